"""Instructions come from the file that loads, else from the config, and the role fits the model."""

import logging
from pathlib import Path

import pytest

from dipeo.domain.completion import Role
from dipeo.domain.errors import PromptRefusedError, ValidationError
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.prompt import PromptFile
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.system_prompt_handler import SystemPromptHandler
from dipeo.testing import FakePrompts

FILE = PromptFile(text="From the file, {name}.", variables={"name": "friend"})


def handler(*, refused: tuple[str, ...] = ()) -> SystemPromptHandler:
    """A handler that knows one file, `there.md`."""
    return SystemPromptHandler(prompts=FakePrompts({"there.md": FILE}, refused=refused))


def test_the_file_wins_over_the_inline_prompt(caplog: pytest.LogCaptureFixture) -> None:
    """Where the file loads, its text is used, and there is nothing to note."""
    config = PersonLLMConfig(model="m", prompt_file="there.md", system_prompt="Inline.")
    resolved = handler().resolve(config)
    assert (resolved.text, resolved.file, resolved.notes) == ("From the file, friend.", FILE, ())
    assert handler().get_system_prompt(config) == resolved.text
    assert caplog.records == []


def test_the_inline_prompt_stands_in_for_a_missing_file(caplog: pytest.LogCaptureFixture) -> None:
    """Falling back is logged as a warning and noted for the caller, with the file's name."""
    config = PersonLLMConfig(
        model="m", prompt_file="gone.md", system_prompt="Inline {name}.", prompt_variables={"name": "x"}
    )
    with caplog.at_level(logging.WARNING, logger="dipeo.prompts"):
        resolved = handler().resolve(config)
    assert (resolved.text, resolved.file) == ("Inline x.", None)
    (note,) = resolved.notes
    assert "gone.md" in note
    assert "inline" in note
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert note in caplog.text


def test_nothing_stands_in_for_a_missing_file_without_an_inline_prompt(caplog: pytest.LogCaptureFixture) -> None:
    """No prompt at all is noted and logged too."""
    with caplog.at_level(logging.WARNING, logger="dipeo.prompts"):
        resolved = handler().resolve(PersonLLMConfig(model="m", prompt_file="gone.md"))
    assert resolved.text is None
    assert "no prompt" in resolved.notes[0]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("prompt", [None, ""])
def test_without_either_there_is_no_prompt(prompt: str | None) -> None:
    """No file and no text is no prompt, and nothing to note."""
    resolved = handler().resolve(PersonLLMConfig(model="m", system_prompt=prompt))
    assert (resolved.text, resolved.notes) == (None, ())


def test_a_refused_file_is_no_missing_file() -> None:
    """What may not be read is an error, even with an inline prompt at hand."""
    config = PersonLLMConfig(model="m", prompt_file="evil.md", system_prompt="Inline.")
    with pytest.raises(PromptRefusedError):
        handler(refused=("evil.md",)).resolve(config)


def test_variables_fill_either_prompt() -> None:
    """The person's values go before the file's defaults."""
    by_file = PersonLLMConfig(model="m", prompt_file="there.md", prompt_variables={"name": "Ada"})
    assert handler().get_system_prompt(by_file) == "From the file, Ada."
    inline = PersonLLMConfig(model="m", system_prompt="{name}, {unknown}", prompt_variables={"name": "{unknown}"})
    assert handler().get_system_prompt(inline) == "{unknown}, {unknown}"


def test_a_variable_without_a_value_is_asked_for() -> None:
    """A file whose variable has neither value nor default cannot be used."""
    prompts = FakePrompts({"p": PromptFile(text="{name}", variables={"name": None})})
    with pytest.raises(ValidationError, match="'name'"):
        SystemPromptHandler(prompts=prompts).resolve(PersonLLMConfig(model="m", prompt_file="p"))


def test_a_base_directory_will_do(tmp_path: Path) -> None:
    """Without a port of prompts, files are read below the directory."""
    (tmp_path / "kind.md").write_text("Be kind.")
    config = PersonLLMConfig(model="m", prompt_file="kind.md")
    assert SystemPromptHandler(tmp_path).get_system_prompt(config) == "Be kind."
    with pytest.raises(PromptRefusedError):
        SystemPromptHandler(tmp_path / "..").resolve(PersonLLMConfig(model="m", prompt_file="../kind.md"))


@pytest.mark.parametrize(
    ("model", "role"),
    [
        ("o1", Role.DEVELOPER),
        ("o1-2024-12-17", Role.DEVELOPER),
        ("o1-pro", Role.DEVELOPER),
        ("o1-mini", Role.SYSTEM),
        ("o1-mini-2024-09-12", Role.SYSTEM),
        ("o1-preview", Role.SYSTEM),
        ("o1-preview-2024-09-12", Role.SYSTEM),
        ("o3", Role.DEVELOPER),
        ("o3-mini", Role.DEVELOPER),
        ("o4-mini-2025-04-16", Role.DEVELOPER),
        ("gpt-4o", Role.DEVELOPER),
        ("gpt-4o-mini", Role.DEVELOPER),
        ("gpt-4.1-nano", Role.DEVELOPER),
        ("gpt-5", Role.DEVELOPER),
        ("gpt-5.4-mini", Role.DEVELOPER),
        ("chatgpt-4o-latest", Role.DEVELOPER),
        ("gpt-4", Role.SYSTEM),
        ("gpt-4-turbo", Role.SYSTEM),
        ("gpt-3.5-turbo", Role.SYSTEM),
        ("my-model", Role.SYSTEM),
    ],
)
def test_openai_models_that_know_the_developer_get_it(model: str, role: Role) -> None:
    """The role follows the vendor's own table; the previews of o1 know neither word for it."""
    assert handler().get_system_role(LLMService.OPENAI, model) is role


@pytest.mark.parametrize("service", [service for service in LLMService if service is not LLMService.OPENAI])
@pytest.mark.parametrize("model", ["o3", "gpt-5", "claude-sonnet-5-5"])
def test_every_other_service_gets_the_system_role(service: LLMService, model: str) -> None:
    """A model of the same name elsewhere is not asked in OpenAI's words."""
    assert handler().get_system_role(service, model) is Role.SYSTEM
