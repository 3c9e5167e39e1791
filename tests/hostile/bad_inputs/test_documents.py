"""Bad files and documents: each is refused by name, and nothing outside of it is read."""

import os
from pathlib import Path

import pytest

from dipeo import LLMService, Settings, errors
from dipeo.domain.conversation import Conversation
from dipeo.domain.prompt import fill_in
from dipeo.facade import wired
from dipeo.infrastructure.catalog.catalog_file import read_catalog_file
from dipeo.infrastructure.documents.conversation_file import load_conversation
from dipeo.infrastructure.keys.key_file import FileKeys
from dipeo.infrastructure.prompts.file_prompts import FilePrompts
from tests.hostile.bad_inputs.documents import (
    CATALOGUES,
    CONVERSATIONS,
    KEY_FILES,
    KEYS,
    MISSING_NAMES,
    PROMPT_CONTENTS,
    PROMPT_NAMES,
    TEMPLATE_VALUES,
    TEMPLATES,
    VARIABLES,
)
from tests.hostile.bad_inputs.entry import BadInput

SECRET = "canary-in-a-file-4711"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A directory of prompts, with a secret beside it."""
    folder = tmp_path / "base"
    (folder / "sub").mkdir(parents=True)
    (folder / "good.md").write_text("Hello")
    for name in ("secret.md", "base-evil/x.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(SECRET)
    return folder


@pytest.mark.parametrize("bad", PROMPT_NAMES, ids=str)
def test_a_bad_prompt_name_is_refused(bad: BadInput, base: Path) -> None:
    """Before anything is opened, and without telling what there is elsewhere."""
    with pytest.raises(errors.DipeoError) as caught:
        FilePrompts(base).load(str(bad.value))
    bad.check(caught.value)
    assert SECRET not in str(caught.value.to_dict())


@pytest.mark.parametrize("name", MISSING_NAMES, ids=ascii)
def test_an_odd_prompt_name_is_no_other_files(name: str, base: Path) -> None:
    """Nothing is decoded, expanded or guessed."""
    prompt = FilePrompts(base).load(name)
    assert prompt is None or prompt.text == "Hello"


@pytest.mark.parametrize("bad", PROMPT_CONTENTS, ids=str)
def test_a_bad_prompt_is_refused(bad: BadInput, base: Path) -> None:
    """The error names the file and says why; the content is not quoted, nor dragged along."""
    assert isinstance(bad.value, bytes)
    (base / "bad.md").write_bytes(bad.value)
    with pytest.raises(errors.DipeoError) as caught:
        FilePrompts(base).load("bad.md")
    bad.check(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "place",
    [
        "link outside",
        "link to the root",
        "link to a device",
        "link to a folder outside",
        "fifo",
        "folder",
        "sparse",
        "loop",
    ],
)
def test_a_bad_place_is_refused(place: str, base: Path) -> None:
    """S03 to S06: links are followed inside alone, and only regular files of sane size are opened."""
    path, name = base / "bad.md", "bad.md"
    match place:
        case "link outside":
            path.symlink_to(base.parent / "secret.md")
        case "link to the root":
            path.symlink_to("/")
            name = "bad.md/etc/passwd"
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "link to a folder outside":
            path.symlink_to(base.parent / "base-evil")
            name = "bad.md/x.md"
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "sparse":
            path.touch()
            os.truncate(path, 2**40)
        case "loop":
            path.symlink_to(path)
    with pytest.raises(errors.PromptRefusedError) as caught:
        FilePrompts(base).load(name)
    assert caught.value.field == "prompt_file"
    assert SECRET not in str(caught.value.to_dict())


@pytest.mark.parametrize(("id_", "template", "expected"), TEMPLATES, ids=[f"{each[0]} {each[1]}" for each in TEMPLATES])
def test_a_template_is_filled_in_once_and_by_plain_names(id_: str, template: str, expected: str) -> None:
    """Attributes, indices, formats and conversions stand as they are."""
    assert fill_in(template, TEMPLATE_VALUES) == expected, id_


@pytest.mark.parametrize("bad", CONVERSATIONS, ids=str)
def test_a_bad_conversation_is_refused(bad: BadInput, tmp_path: Path) -> None:
    """As text, and in a file, which is then named."""
    with pytest.raises(errors.DipeoError) as caught:
        Conversation.from_json(str(bad.value))
    bad.check(caught.value)
    path = tmp_path / "talk.json"
    path.write_bytes(str(bad.value).encode())
    with pytest.raises(errors.DipeoError) as read:
        load_conversation(path)
    bad.check(read.value)
    assert str(path) in read.value.message


@pytest.mark.parametrize("bad", KEY_FILES, ids=str)
def test_a_bad_key_file_is_refused_without_being_quoted(bad: BadInput, tmp_path: Path) -> None:
    """Whatever stands in the wrong place may be a key."""
    assert isinstance(bad.value, bytes)
    path = tmp_path / "keys.toml"
    path.touch(mode=0o600)
    path.write_bytes(bad.value)
    with pytest.raises(errors.DipeoError) as caught:
        FileKeys(path)
    bad.check(caught.value)
    assert "sk-canary" not in str(caught.value.to_dict())
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("bad", KEYS, ids=str)
def test_a_bad_key_is_refused_without_being_quoted(bad: BadInput) -> None:
    """The error names the variable."""
    with pytest.raises(errors.DipeoError) as caught:
        wired(Settings(environ={"OPENAI_API_KEY": str(bad.value)})).keys().find(LLMService.OPENAI)
    bad.check(caught.value)
    assert "canary" not in str(caught.value.to_dict())


@pytest.mark.parametrize("bad", CATALOGUES, ids=str)
def test_a_bad_catalogue_is_refused(bad: BadInput, tmp_path: Path) -> None:
    """The error names the setting, or the key in the file."""
    assert isinstance(bad.value, bytes)
    path = tmp_path / "catalogue.yaml"
    path.write_bytes(bad.value)
    with pytest.raises(errors.DipeoError) as caught:
        read_catalog_file(path)
    bad.check(caught.value)


@pytest.mark.parametrize("bad", VARIABLES, ids=str)
def test_a_bad_variable_is_refused(bad: BadInput) -> None:
    """The error names the variable."""
    assert isinstance(bad.value, dict)
    with pytest.raises(errors.DipeoError) as caught:
        Settings.from_env(bad.value, dotenv_file=None)
    bad.check(caught.value)
