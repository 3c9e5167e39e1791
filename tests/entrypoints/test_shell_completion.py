"""What the shell completes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from dipeo.entrypoints.cli.main import app
from tests.entrypoints.command_line import CommandLine


@pytest.fixture
def line(offline: CommandLine) -> CommandLine:
    """A working directory with prompt files at the top and below, and others that are none."""
    for name in ("prompts/ada.md", "prompts/old/eve.txt", "prompts/.hidden.md", ".secret/x.md", "notes.json"):
        path = offline.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Hi.")
    return offline


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("models --service o", ["openai", "ollama", "openrouter", "openai_compatible"]),
        ("ask Hi --service gr", ["groq"]),
        ("ask Hi --model ", ["openai", "claude", "gemini"]),
        ("ask Hi --system-file prompts/", ["prompts/ada.md", "prompts/old/eve.txt"]),
        ("chat --person a", ["ada.md"]),
        ("converse ada.md b", ["boole.md"]),
        ("persons show --base-dir prompts ", ["ada.md", "old/eve.txt"]),
        ("persons render prompts/o", ["prompts/old/eve.txt"]),
        ("conversation sh", ["show"]),
        ("mod", ["models"]),
    ],
)
def test_words_are_completed(line: CommandLine, words: str, completed: list[str]) -> None:
    """Commands, services, aliases, and the prompt files below the base directory; nothing hidden."""
    assert _completions(line, f"dipeo {words}") == completed


def test_bad_setting_is_not_in_the_way(line: CommandLine) -> None:
    """A setting that cannot be used is for the command to report, not for the line that is being typed."""
    assert _completions(line.given(DIPEO_LLM_TIMEOUT="soon"), "dipeo chat --person a") == ["ada.md"]
    assert _completions(line.given(DIPEO_BASE_DIR="prompts"), "dipeo chat --person a") == ["ada.md"]
    assert _completions(line.given(DIPEO_BASE_DIR="nowhere"), "dipeo chat --person a") == []


def _completions(line: CommandLine, words: str) -> list[str]:
    asked = {"_DIPEO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    return line.given(**asked).run_here().out.split()


def test_script_for_the_shell_can_be_shown() -> None:
    """`--show-completion` prints a script for the shell that is named."""
    environment = {"_DIPEO_COMPLETE": "source_bash", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = CliRunner().invoke(app, ["--show-completion", "bash"], env=environment, prog_name="dipeo")
    assert "_DIPEO_COMPLETE=complete_bash" in shown.output
