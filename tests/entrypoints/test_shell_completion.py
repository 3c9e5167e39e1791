"""What the shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "complete -o default"), ("zsh", "compdef"), ("fish", "complete --command dipeo")],
)
def test_every_shell_has_its_script(line: CommandLine, shell: str, words: str) -> None:
    """What `--show-completion` prints is in the words of the shell that it is asked for."""
    shown = _run(["dipeo", "--show-completion", shell], _environment(line.cwd), line.cwd)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert words in shown.stdout


def test_installed_completion_completes(line: CommandLine, tmp_path: Path) -> None:
    """`--install-completion` writes what bash reads when it starts; there, Tab after `dipeo mod` completes the word."""
    done = _run(["dipeo", "--install-completion", "bash"], _environment(tmp_path), line.cwd)
    assert (done.returncode, "bash completion installed" in done.stdout) == (0, True), done.stderr
    tab = 'source ~/.bashrc; COMP_WORDS=(dipeo mod); COMP_CWORD=1; _dipeo_completion dipeo; echo "${COMPREPLY[@]}"'
    assert _run(["bash", "--norc", "-c", tab], _environment(tmp_path), line.cwd).stdout == "models\n"


def _environment(home: Path) -> dict[str, str]:
    """A shell is named and not guessed from the processes around."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


def _run(command: list[str], environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_script_for_the_shell_can_be_shown() -> None:
    """`--show-completion` prints a script for the shell that is named."""
    environment = {"_DIPEO_COMPLETE": "source_bash", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = CliRunner().invoke(app, ["--show-completion", "bash"], env=environment, prog_name="dipeo")
    assert "_DIPEO_COMPLETE=complete_bash" in shown.output
