"""What every source of keys keeps."""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dipeo.domain.errors import MalformedAPIKeyError
from dipeo.domain.ports import APIKeyPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.keys.chained import ChainedKeys
from dipeo.infrastructure.keys.dotenv_file import DotenvKeys
from dipeo.infrastructure.keys.environment import EnvironmentKeys
from dipeo.infrastructure.keys.key_file import FileKeys
from dipeo.testing import FakeKeys

CANARY = "sk-canary-99f1c2"
OPENAI, GROQ = LLMService.OPENAI, LLMService.GROQ

Make = Callable[[Mapping[str, str]], APIKeyPort]
"""Makes a source that holds these keys by id, and a usual key for OpenAI alone."""


def variables(keys: Mapping[str, str]) -> dict[str, str]:
    """The keys as environment variables."""
    return {"OPENAI_API_KEY": "sk-usual", **{f"DIPEO_KEY_{key_id.upper()}": value for key_id, value in keys.items()}}


class UsualFake(FakeKeys):
    """Has the usual key that this contract speaks of."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__(keys, services=(OPENAI,))


@pytest.fixture(params=["environment", "file", "dotenv", "chained", "fake"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A maker of each kind."""

    def environment(keys: Mapping[str, str]) -> APIKeyPort:
        return EnvironmentKeys(variables(keys))

    def file(keys: Mapping[str, str]) -> APIKeyPort:
        path = tmp_path / "keys.toml"
        path.touch(mode=0o600)
        lines = [f'{key_id} = "{value.encode("unicode_escape").decode()}"' for key_id, value in keys.items()]
        path.write_text("\n".join(["[keys]", 'usual = "sk-usual"', *lines, "[services]", 'openai = "usual"']))
        return FileKeys(path)

    def dotenv(keys: Mapping[str, str]) -> APIKeyPort:
        path = tmp_path / ".env"
        lines = [f'{name}="{value.encode("unicode_escape").decode()}"' for name, value in variables(keys).items()]
        path.write_text("\n".join(lines))
        return DotenvKeys(path)

    def chained(keys: Mapping[str, str]) -> APIKeyPort:
        return ChainedKeys(EnvironmentKeys({}), EnvironmentKeys(variables(keys)))

    makers: dict[str, Make] = {
        "environment": environment,
        "file": file,
        "dotenv": dotenv,
        "chained": chained,
        "fake": UsualFake,
    }
    return makers[request.param]


def test_it_is_a_source_of_keys(make: Make) -> None:
    """It implements the port."""
    assert isinstance(make({}), APIKeyPort)


def value_of(keys: APIKeyPort, service: LLMService, api_key_id: str | None = None) -> str | None:
    """The key's value."""
    secret = keys.find(service, api_key_id)
    return None if secret is None else secret.reveal()


def test_a_service_has_its_usual_key(make: Make) -> None:
    """Without an id, the service's own key is found; a service without one has none."""
    keys = make({"team": "sk-team"})
    assert value_of(keys, OPENAI) in ("sk-usual", "sk-fake-openai")
    assert value_of(keys, GROQ) is None


def test_a_key_is_found_by_its_id_for_any_service(make: Make) -> None:
    """An id means one key, whoever is asked."""
    keys = make({"team": "sk-team", "other": "sk-other"})
    assert value_of(keys, OPENAI, "team") == "sk-team"
    assert value_of(keys, GROQ, "team") == "sk-team"
    assert value_of(keys, GROQ, "other") == "sk-other"


@pytest.mark.parametrize("api_key_id", ["gone", "", "openai", "OPENAI", "../team", "te am"])
def test_an_unknown_id_never_falls_back(make: Make, api_key_id: str) -> None:
    """Whoever asks for a certain key gets that one or none."""
    assert make({"team": "sk-team"}).find(OPENAI, api_key_id) is None


def test_equal_look_ups_find_equal_keys(make: Make) -> None:
    """The same key has the same fingerprint each time, so that connections are shared."""
    keys = make({"team": "sk-team"})
    assert keys.find(OPENAI, "team") == keys.find(GROQ, "team")
    assert keys.find(OPENAI) != keys.find(OPENAI, "team")


@pytest.mark.parametrize("api_key_id", [None, "gone", "team"])
def test_it_says_where_it_looks(make: Make, api_key_id: str | None) -> None:
    """The words name the id where there is one, else the service, and hold no key."""
    keys = make({"team": CANARY})
    where = keys.where(GROQ, api_key_id)
    assert (api_key_id or "groq") in where.lower()
    assert CANARY not in where
    assert CANARY not in repr(keys)


@pytest.mark.parametrize("value", [f"{CANARY}\n", f" {CANARY}", f"{CANARY} x"])
def test_a_malformed_key_is_refused_and_not_shown(make: Make, value: str) -> None:
    """Before it is used, at the latest when it is asked for, a key with a line break or a space in it is refused."""
    with pytest.raises(MalformedAPIKeyError) as caught:
        make({"team": value}).find(OPENAI, "team")
    assert "team" in str(caught.value).lower()
    assert CANARY not in "".join(traceback.format_exception(caught.value, chain=True))
    assert CANARY not in str(caught.value.to_dict())
