"""What every source of prompts keeps."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dipeo.domain.errors import PromptRefusedError
from dipeo.domain.ports import PromptPort
from dipeo.domain.prompt import PromptFile
from dipeo.infrastructure.prompts.file_prompts import FilePrompts
from dipeo.testing import FakePrompts

Make = Callable[[Mapping[str, str]], PromptPort]


@pytest.fixture(params=["file", "fake"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A maker of each kind."""

    def file(texts: Mapping[str, str]) -> PromptPort:
        for name, text in texts.items():
            path = tmp_path / "prompts" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return FilePrompts(tmp_path / "prompts")

    return file if request.param == "file" else FakePrompts


TEXTS = {"kind.md": "Be kind, {name}.", "deep/er/brief.txt": "Be brief. Grüße 🙂"}


def test_it_is_a_source_of_prompts(make: Make) -> None:
    """It implements the port."""
    assert isinstance(make(TEXTS), PromptPort)


def test_a_prompt_is_found_by_its_name(make: Make) -> None:
    """The name is a path with slashes; the text is what was written, its variables not filled in."""
    prompts = make(TEXTS)
    for name, text in TEXTS.items():
        prompt = prompts.load(name)
        assert isinstance(prompt, PromptFile)
        assert prompt.text == text


def test_a_prompt_is_found_again(make: Make) -> None:
    """Loading twice gives equal prompts."""
    prompts = make(TEXTS)
    assert prompts.load("kind.md") == prompts.load("kind.md")


@pytest.mark.parametrize("name", ["gone.md", "deep/gone.md", "gone/kind.md", "kind", "Kind.md"])
def test_a_prompt_that_is_not_there_is_none(make: Make, name: str) -> None:
    """A name that could be a prompt's, and is none's, is no error."""
    assert make(TEXTS).load(name) is None


@pytest.mark.parametrize("name", ["../kind.md", "deep/../../kind.md", "/etc/passwd", "..", "\0", "a\0b"])
def test_a_name_that_leads_outside_is_refused(make: Make, name: str) -> None:
    """A name that could only lead out of the base directory is refused, not merely unknown."""
    with pytest.raises(PromptRefusedError):
        make(TEXTS).load(name)


def test_texts_with_equal_ends_are_told_apart(make: Make) -> None:
    """The whole path is the name."""
    prompts = make({"kind.md": "one", "a/kind.md": "two"})
    texts = [prompt.text for name in ("kind.md", "a/kind.md") if (prompt := prompts.load(name)) is not None]
    assert texts == ["one", "two"]
