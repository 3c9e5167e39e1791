"""The `dipeo` command itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import dipeo
from dipeo.domain import errors
from dipeo.entrypoints.cli.failures import ExitCode, exit_code_of, failures_reported
from dipeo.entrypoints.cli.main import app
from dipeo.entrypoints.cli.output import printable
from tests.docs.page import DOCS, Page, rows
from tests.entrypoints.command_line import CommandLine

_COMMANDS: Any = typer.main.get_command(app)
_IN_ORDER = ["ask", "chat", "converse", "persons", "conversation", "models", "doctor", "simulate"]
_SUBCOMMANDS = [(group, name) for group in ("persons", "conversation") for name in _COMMANDS.commands[group].commands]


@pytest.mark.parametrize("arguments", [(), *((name,) for name in _IN_ORDER), *_SUBCOMMANDS])
def test_every_command_has_help(arguments: tuple[str, ...]) -> None:
    """--help works everywhere; the first page has the exit codes."""
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert arguments or "130 interrupted" in " ".join(result.output.split())


def test_commands_are_listed_in_order() -> None:
    """The commands that talk come first, then those that look, then those that are for setting up."""
    page = CliRunner().invoke(app, ["--help"]).output.partition("Commands")[2]
    listed = [line.split()[1] for line in page.splitlines() if len(line.split()) > 1]
    assert [word for word in listed if word in _IN_ORDER] == _IN_ORDER


@pytest.mark.parametrize(("group", "name"), _SUBCOMMANDS)
def test_every_option_of_a_subcommand_is_described(group: str, name: str) -> None:
    """The reference has a section for each command of a group, whose table has each of its options, and no other."""
    section = Page(DOCS / "reference" / "cli.md").section(f"dipeo {group} {name}")
    documented = {word.strip(" `") for row in rows(section) for word in row[0].split(",")}
    parameters = _COMMANDS.commands[group].commands[name].params
    options = {option for parameter in parameters for option in parameter.opts if option.startswith("-")}
    assert {word for word in documented if word.startswith("-")} == options


def test_usage_errors_and_version() -> None:
    """The parser's own complaints end with 2; --version names the version."""
    runner = CliRunner()
    assert runner.invoke(app, ["sing"]).exit_code == 2
    assert runner.invoke(app, ["ask", "Hi"], env={"DIPEO_MODEL": None}).exit_code == 2
    assert runner.invoke(app, ["ask", "Hi", "-m", "openai", "--on", "moon"]).exit_code == 2
    assert runner.invoke(app, ["--version"]).output == f"dipeo {dipeo.__version__}\n"


def test_help_loads_neither_http_nor_an_sdk() -> None:
    """What a command needs is imported when it runs."""
    heavy = ("aiohttp", "openai", "anthropic", "google.genai", "ollama", "dependency_injector", "pydantic", "yaml")
    code = f"""
import sys
from typer.testing import CliRunner
from dipeo.entrypoints.cli.main import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ValidationError(), ExitCode.BAD_INPUT),
        (errors.ConfigurationError(), ExitCode.CONFIGURATION),
        (errors.APIKeyRefusedError(), ExitCode.CONFIGURATION),
        (errors.ConnectFailedError(), ExitCode.PROVIDER),
        (errors.OverloadedError(), ExitCode.PROVIDER),
        (errors.QuotaExhaustedError(), ExitCode.RATE_LIMIT),
        (errors.DeadlineExceededError(), ExitCode.TIMEOUT),
        (errors.AgentFailureError(), ExitCode.FAILURE),
    ],
)
def test_exit_codes(error: errors.DipeoError, code: ExitCode) -> None:
    """Each family of errors has its code."""
    assert exit_code_of(error) is code


def test_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A full disk is a failure with a message, no traceback."""
    with pytest.raises(typer.Exit) as ended, failures_reported():
        raise OSError(28, "No space left on device")
    assert ended.value.exit_code == ExitCode.FAILURE
    assert capsys.readouterr().err == "Error: No space left on device\n"


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("ask", "Hi", "-m", "openai", "--on", "simulator")])
def test_output_that_goes_nowhere_is_said_in_a_line(offline: CommandLine, arguments: tuple[str, ...]) -> None:
    """A full disk and a closed stdout are no bug of ours, and show no traceback."""
    with Path("/dev/full").open("wb") as full:
        done = offline.finish(offline.start(*arguments, stdout=full.fileno()))
    assert (done.code, done.err.splitlines()[-1]) == (1, "Error: No space left on device")
    without_stdout = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    closed = subprocess.run(
        [sys.executable, "-c", without_stdout, "-m", "dipeo", *arguments],
        cwd=offline.cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (closed.returncode, closed.stderr) == (1, "Error: stdout is closed: there is nowhere to write to.\n")


def test_control_characters_are_left_out() -> None:
    """Text keeps its letters, tabs and line breaks, and nothing that a terminal obeys."""
    assert printable("a\x00\x1b[1mb\x7f\x85\x9bc\r\n\t\u00e9\U0001f600") == "a[1mbc\n\t\u00e9\U0001f600"
