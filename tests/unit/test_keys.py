"""Keys are found where they are said to be, and show up nowhere else."""

import copy
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from dipeo.domain.errors import ConfigurationError, DipeoError, MalformedAPIKeyError
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.keys.chained import ChainedKeys
from dipeo.infrastructure.keys.dotenv_file import DotenvKeys
from dipeo.infrastructure.keys.environment import EnvironmentKeys
from dipeo.infrastructure.keys.key_file import FileKeys
from dipeo.infrastructure.keys.variable_name import USUAL_VARIABLES

CANARY = "sk-canary-4b1d0c"
OPENAI = LLMService.OPENAI


def value_of(keys: APIKeyPort, service: LLMService = OPENAI, api_key_id: str | None = None) -> str | None:
    """The key's value, or None where there is none."""
    secret = keys.find(service, api_key_id)
    return None if secret is None else secret.reveal()


def write_private(path: Path, text: str) -> Path:
    """A file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


class TestEnvironment:
    """Keys in environment variables."""

    def test_every_service_has_a_usual_variable(self) -> None:
        """Each service's key is found in each of its usual variables."""
        assert set(USUAL_VARIABLES) == set(LLMService)
        for service, variables in USUAL_VARIABLES.items():
            for variable in variables:
                assert value_of(EnvironmentKeys({variable: f"sk-{service}"}), service) == f"sk-{service}"

    def test_the_first_usual_variable_wins(self) -> None:
        """Google's own newer variable goes before the older one; an empty one counts as none."""
        both = {"GEMINI_API_KEY": "new", "GOOGLE_API_KEY": "old"}
        assert value_of(EnvironmentKeys(both), LLMService.GOOGLE) == "new"
        assert value_of(EnvironmentKeys({**both, "GEMINI_API_KEY": ""}), LLMService.GOOGLE) == "old"

    @pytest.mark.parametrize(
        ("api_key_id", "variable"),
        [
            ("team-a", "DIPEO_KEY_TEAM_A"),
            ("Team.A", "DIPEO_KEY_TEAM_A"),
            ("é1", "DIPEO_KEY__1"),
            ("TEAM_API_KEY", "TEAM_API_KEY"),
            ("TEAM_API_KEY", "DIPEO_KEY_TEAM_API_KEY"),
        ],
    )
    def test_ids_name_variables(self, api_key_id: str, variable: str) -> None:
        """An id stands for a variable with dipeo's prefix, or for a variable that is named like a key."""
        assert value_of(EnvironmentKeys({variable: "sk-1"}), OPENAI, api_key_id) == "sk-1"

    @pytest.mark.parametrize("api_key_id", ["team-a", "HOME", "OPENAI_API_KEY ", "", "file"])
    def test_an_unknown_id_gives_nothing(self, api_key_id: str) -> None:
        """An id never falls back to the usual key, and reaches no variable that holds something else."""
        environ = {"OPENAI_API_KEY": "sk-1", "HOME": "/root", "DIPEO_KEY_FILE": "/keys.toml"}
        assert EnvironmentKeys(environ).find(OPENAI, api_key_id) is None

    def test_it_is_a_snapshot(self) -> None:
        """A later change of the mapping has no effect, and the same secret comes back each time."""
        environ = {"OPENAI_API_KEY": "sk-1"}
        keys = EnvironmentKeys(environ)
        environ["OPENAI_API_KEY"] = "sk-2"
        assert value_of(keys) == "sk-1"
        assert keys.find(OPENAI) is keys.find(OPENAI, "OPENAI_API_KEY")

    @pytest.mark.parametrize("value", [f"{CANARY}\n", f" {CANARY}", f"{CANARY}é", f'"{CANARY} "', " "])
    def test_a_malformed_key_is_refused_by_its_variable(self, value: str) -> None:
        """Values are not tidied up: the error names the variable."""
        with pytest.raises(MalformedAPIKeyError, match="environment variable OPENAI_API_KEY") as problem:
            EnvironmentKeys({"OPENAI_API_KEY": value}).find(OPENAI)
        assert problem.value.field == "environment variable OPENAI_API_KEY"

    def test_it_says_where_it_looks(self) -> None:
        """The words name every variable in question."""
        keys = EnvironmentKeys({})
        assert keys.where(OPENAI) == "environment variable OPENAI_API_KEY"
        assert keys.where(LLMService.GOOGLE) == "environment variable GEMINI_API_KEY or GOOGLE_API_KEY"
        assert keys.where(OPENAI, "team-a") == "environment variable DIPEO_KEY_TEAM_A"
        assert keys.where(OPENAI, "TEAM_API_KEY") == "environment variable DIPEO_KEY_TEAM_API_KEY or TEAM_API_KEY"


class TestDotenv:
    """Keys in a `.env` file."""

    def test_variables_are_read(self, tmp_path: Path) -> None:
        """The names are those of the environment; comments and quotation marks are understood."""
        path = write_private(tmp_path / ".env", "# keys\nexport OPENAI_API_KEY='sk-1'\nDIPEO_KEY_TEAM=sk-2 # two\nX\n")
        keys = DotenvKeys(path)
        assert (value_of(keys), value_of(keys, OPENAI, "team")) == ("sk-1", "sk-2")
        assert keys.find(LLMService.XAI) is None

    def test_nothing_is_filled_in(self, tmp_path: Path) -> None:
        """A reference to another variable is no value of it."""
        path = write_private(tmp_path / ".env", "A=sk-1\nOPENAI_API_KEY=${A}\n")
        assert value_of(DotenvKeys(path)) == "${A}"

    def test_changes_are_seen(self, tmp_path: Path) -> None:
        """A file that comes, changes and goes is followed; in between the same secret comes back."""
        path = tmp_path / ".env"
        keys = DotenvKeys(path)
        assert keys.find(OPENAI) is None
        write_private(path, "OPENAI_API_KEY=sk-1\n")
        assert value_of(keys) == "sk-1"
        assert keys.find(OPENAI) is keys.find(OPENAI)
        path.write_text("OPENAI_API_KEY=sk-22\n")
        assert value_of(keys) == "sk-22"
        path.unlink()
        assert keys.find(OPENAI) is None

    def test_what_is_no_regular_file_holds_no_keys(self, tmp_path: Path) -> None:
        """A folder, such as a virtual environment's, and a FIFO are passed over at once."""
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "file").touch()
        for path in (tmp_path, tmp_path / "fifo", Path("/dev/null"), tmp_path / "file" / ".env"):
            assert DotenvKeys(path).find(OPENAI) is None

    def test_what_cannot_be_read_is_refused(self, tmp_path: Path) -> None:
        """A file in another encoding, and a link in a circle, are named."""
        (tmp_path / "latin.env").write_bytes(b"OPENAI_API_KEY=\xe9\n")
        (tmp_path / "circle.env").symlink_to("circle.env")
        for name in ("latin.env", "circle.env"):
            with pytest.raises(ConfigurationError, match=name):
                DotenvKeys(tmp_path / name).find(OPENAI)

    def test_it_says_where_it_looks(self, tmp_path: Path) -> None:
        """The words name the variable and the file, also in the error for a malformed key."""
        path = write_private(tmp_path / ".env", 'OPENAI_API_KEY="sk-1\\n"\n')
        keys = DotenvKeys(path)
        assert keys.where(OPENAI) == "OPENAI_API_KEY in .env"
        with pytest.raises(
            MalformedAPIKeyError, match=r"The OPENAI_API_KEY in \.env is empty, in quotation marks, or holds"
        ):
            keys.find(OPENAI)


KEY_FILE = """
[keys]
team-a = "sk-1"
"team b" = "sk-2"
nothing = ""

[services]
openai = "team-a"
claude = "team b"
groq = "nothing"
"""


class TestKeyFile:
    """Keys in a TOML file."""

    def test_ids_and_services_are_read(self, tmp_path: Path) -> None:
        """A key is found by its id, and by the service whose usual key it is."""
        keys = FileKeys(write_private(tmp_path / "keys.toml", KEY_FILE))
        assert value_of(keys) == value_of(keys, LLMService.XAI, "team-a") == "sk-1"
        assert value_of(keys, LLMService.ANTHROPIC) == "sk-2"
        assert keys.find(OPENAI) is keys.find(OPENAI, "team-a")
        for service, api_key_id in ((LLMService.XAI, None), (OPENAI, "nobody"), (OPENAI, ""), (LLMService.GROQ, None)):
            assert keys.find(service, api_key_id) is None

    def test_changes_are_seen(self, tmp_path: Path) -> None:
        """A key that was exchanged in the file is the one that is found next."""
        path = write_private(tmp_path / "keys.toml", '[keys]\na = "sk-1"\n')
        keys = FileKeys(path)
        assert value_of(keys, OPENAI, "a") == "sk-1"
        path.write_text('[keys]\na = "sk-22"\n')
        assert value_of(keys, OPENAI, "a") == "sk-22"
        path.unlink()
        with pytest.raises(ConfigurationError, match="DIPEO_KEY_FILE"):
            keys.find(OPENAI, "a")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (f'[keys]\na = "{CANARY}"\nb = {CANARY}\n', "it is not valid TOML (line 3)"),
            (f'[keys]\na = "{CANARY}"\na = "{CANARY}"\n', "it is not valid TOML (line 3)"),
            (f'[keys]\na = "{CANARY}', "it is not valid TOML (at its end)"),
            (f'{CANARY} = "openai"\n', "something besides the tables [keys] and [services]"),
            (f'keys = "{CANARY}"\n', "'keys' is not a table"),
            ("[keys]\na = 5\n", "[keys] holds something that is not text"),
            (f'[keys]\na.b = "{CANARY}"\n', "[keys] holds something that is not text"),
            (f'[services]\nopenai = "{CANARY}"\n', "[services] gives 'openai' an id that [keys] does not hold"),
            (f'[services]\n"{CANARY}" = "openai"\n', "[services] holds an unknown service"),
            ('[keys]\na = "x"\n[services]\nopenai = "a"\ngpt = "a"\n', "[services] holds 'openai' twice"),
        ],
    )
    def test_mistakes_are_refused_without_a_key(self, tmp_path: Path, text: str, words: str) -> None:
        """The error names the file, the setting and the place, and quotes nothing that may be a key."""
        path = write_private(tmp_path / "keys.toml", text)
        with pytest.raises(ConfigurationError) as problem:
            FileKeys(path)
        assert problem.value.field == "DIPEO_KEY_FILE"
        assert all(part in str(problem.value) for part in (words, str(path), "DIPEO_KEY_FILE"))
        assert CANARY not in "".join(traceback.format_exception(problem.value))

    def test_what_is_no_file_is_refused(self, tmp_path: Path) -> None:
        """A missing file, a folder, a FIFO, a device and another encoding are refused at once."""
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "latin.toml").write_bytes(b'[keys]\na = "\xe9"\n')
        for path in (tmp_path / "none.toml", tmp_path, tmp_path / "fifo", Path("/dev/zero"), tmp_path / "latin.toml"):
            with pytest.raises(ConfigurationError, match="DIPEO_KEY_FILE"):
                FileKeys(path)

    def test_it_says_where_it_looks(self, tmp_path: Path) -> None:
        """The words name the entry and the file, also in the error for a malformed key."""
        text = KEY_FILE.replace('nothing = ""', 'bad = "sk 1"').replace('groq = "nothing"', 'groq = "bad"')
        keys = FileKeys(write_private(tmp_path / "keys.toml", text))
        assert keys.where(OPENAI) == keys.where(OPENAI, "team-a") == "entry 'team-a' in [keys] of keys.toml"
        assert keys.where(LLMService.MISTRAL) == "entry 'mistral' in [services] of keys.toml"
        with pytest.raises(MalformedAPIKeyError, match=r"entry 'bad' in \[keys\] of keys\.toml"):
            keys.find(LLMService.GROQ)

    @pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
    def test_a_file_that_others_may_read_is_warned_of_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, count: int
    ) -> None:
        """The warning names the path, and does not come again with each change."""
        path = write_private(tmp_path / "keys.toml", KEY_FILE)
        path.chmod(mode)
        keys = FileKeys(path)
        path.chmod(0o600)
        path.write_text(f"{KEY_FILE}\n")
        path.chmod(mode)
        keys.find(OPENAI)
        warnings = [record for record in caplog.records if record.name == "dipeo.keys"]
        assert len(warnings) == count
        assert all(str(path) in record.getMessage() for record in warnings)


class TestChained:
    """Several sources in turn."""

    def test_the_first_key_wins(self) -> None:
        """Later sources are asked only for what earlier ones do not hold."""
        first = EnvironmentKeys({"OPENAI_API_KEY": "sk-1"})
        second = EnvironmentKeys({"OPENAI_API_KEY": "sk-2", "DIPEO_KEY_TEAM": "sk-3"}, file_name="other")
        keys = ChainedKeys(first, second)
        assert (value_of(keys), value_of(keys, OPENAI, "team")) == ("sk-1", "sk-3")
        assert keys.find(LLMService.XAI) is None
        assert keys.where(OPENAI) == "environment variable OPENAI_API_KEY or OPENAI_API_KEY in other"

    def test_a_malformed_key_is_not_passed_over(self) -> None:
        """A key that was given wrongly is an error, not a reason to use another."""
        with pytest.raises(MalformedAPIKeyError):
            ChainedKeys(EnvironmentKeys({"OPENAI_API_KEY": "sk 1"}), EnvironmentKeys({"OPENAI_API_KEY": "sk-2"})).find(
                OPENAI
            )

    def test_no_sources_hold_no_keys(self) -> None:
        """An empty chain finds nothing and says so."""
        assert ChainedKeys().find(OPENAI) is None
        assert ChainedKeys().where(OPENAI) == "no source of keys"


def environment_with(_: Path, key: str) -> APIKeyPort:
    """A source with the key in variables."""
    return EnvironmentKeys({"OPENAI_API_KEY": key, "DIPEO_KEY_TEAM": key, "UNRELATED": CANARY})


def dotenv_with(folder: Path, key: str) -> APIKeyPort:
    """A source with the key in a `.env` file, beside a line that cannot be read."""
    return DotenvKeys(write_private(folder / ".env", f"OPENAI_API_KEY='{key}'\nDIPEO_KEY_TEAM='{key}'\n='{key}\n"))


def file_with(folder: Path, key: str) -> APIKeyPort:
    """A source with the key in a key file that anybody may read."""
    path = write_private(folder / "keys.toml", f"[keys]\nteam = '''{key}'''\n[services]\nopenai = 'team'\n")
    path.chmod(0o644)
    return FileKeys(path)


def chain_with(folder: Path, key: str) -> APIKeyPort:
    """All sources in a chain."""
    return ChainedKeys(environment_with(folder, key), dotenv_with(folder, key), file_with(folder, key))


@pytest.mark.parametrize("source_with", [environment_with, dotenv_with, file_with, chain_with])
@pytest.mark.parametrize("key", [CANARY, f"{CANARY}\n", f"{CANARY}é"])
def test_a_key_shows_up_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source_with: Callable[[Path, str], APIKeyPort], key: str
) -> None:
    """Neither texts of the source, nor of its errors, nor the logs at the finest level hold a key."""
    caplog.set_level(logging.DEBUG)
    keys = source_with(tmp_path, key)
    assert isinstance(keys, APIKeyPort)
    seen = []
    for api_key_id in (None, "team"):
        try:
            seen += [repr(keys.find(OPENAI, api_key_id)), str(keys.find(OPENAI, api_key_id))]
        except DipeoError as problem:
            seen += [*traceback.format_exception(problem), repr(problem), str(problem.to_dict())]
        seen += [keys.where(OPENAI, api_key_id)]
    seen += [repr(keys), str(keys), f"{keys}", repr(copy.copy(keys)), caplog.text]
    assert len(seen) > 8
    assert CANARY not in "\n".join(seen)
