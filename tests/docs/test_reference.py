"""The reference is what the code is."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import typer

import dipeo
from dipeo import config, errors
from dipeo.config import DEFAULT_BASE_URLS, Settings
from dipeo.domain import errors as errors_module
from dipeo.domain.completion import Completion, CompletionOptions
from dipeo.domain.verdict import OUTCOME_UNKNOWN_VERDICTS, RETRYABLE_VERDICTS, Verdict
from dipeo.entrypoints.cli.failures import ExitCode
from dipeo.entrypoints.cli.main import app
from dipeo.facade import Parts
from dipeo.infrastructure.catalog.aliases import DEFAULT_ALIASES, infer
from dipeo.infrastructure.keys.variable_name import USUAL_VARIABLES
from tests.docs.page import DOCS, Page, rows

_COMMANDS: Any = typer.main.get_command(app)
_SUBCOMMANDS = [
    f"{group} {name}" for group, above in _COMMANDS.commands.items() for name in getattr(above, "commands", ())
]
_REFERENCE = DOCS / "reference"
_ERRORS = Page(_REFERENCE / "errors.md")
_API = Page(_REFERENCE / "api.md")
_CLI = Page(_REFERENCE / "cli.md")
_SERVICES = Page(_REFERENCE / "services.md")


def test_the_table_of_errors_is_the_code() -> None:
    """Class, HTTP status, code, verdict and retries of every error stand in the table as the code has them."""
    table = [row[:5] for row in rows(_ERRORS.section("Table"))]
    assert table == [_facts_of(error) for error in _family(errors.DipeoError)]


def test_the_tree_of_errors_is_the_code() -> None:
    """The tree in the page is the one at the top of the module."""
    drawn = _ERRORS.blocks("text")[0].text.strip()
    assert drawn in (inspect.getdoc(errors_module) or "")


def test_the_mistakes_of_programs_are_listed() -> None:
    """Every `DipeoUsageError` is in the table of mistakes."""
    table = {row[0] for row in rows(_ERRORS.section("Mistakes in the program"))}
    assert table == {error.__name__ for error in _family(errors.DipeoUsageError)}


def test_the_variables_are_those_that_are_read() -> None:
    """The environment page lists each variable that the settings, the keys and the command line read, and no other."""
    page = Page(_REFERENCE / "environment.md")
    headings = ("Settings", "Addresses", "Keys", "The command line alone")
    documented = {row[0] for heading in headings for row in rows(page.section(heading))}
    assert documented == {*_variables_in_settings(), *_key_variables(), *_variables_of_the_command_line()}


def test_the_addresses_are_those_of_the_code() -> None:
    """Both tables of base URLs hold the usual ones."""
    for page, heading in ((Page(_REFERENCE / "environment.md"), "Addresses"), (_SERVICES, "Addresses and keys")):
        text = page.section(heading)
        assert all(f"`{url}`" in text for url in DEFAULT_BASE_URLS.values())


def test_every_service_is_described() -> None:
    """Each table of the services page has every service."""
    for heading in ("Addresses and keys", "Sampling", "Roles, names and turns", "Streams"):
        named = re.findall(r"`?([a-z_]+)`?", " ".join(row[0] for row in rows(_SERVICES.section(heading))))
        assert sorted(named) == sorted(service.value for service in dipeo.LLMService), heading


def test_everyday_names_are_understood() -> None:
    """The everyday names in the services page mean the service beside them."""
    for row in rows(_SERVICES.section("Addresses and keys")):
        for name in re.findall(r"[a-z-]+", row[1]):
            assert dipeo.LLMService.from_name(name) == row[0]


def test_names_of_models_give_away_their_service() -> None:
    """Each example in the table of rules leads to the service beside it, and the default aliases are those listed."""
    table = rows(_SERVICES.section("How a model's name gives away its service"))
    rules = [row for row in table if row[0] not in DEFAULT_ALIASES]
    for row in rules:
        for name in re.findall(r"`([^`]+)`", f"`{row[0].replace('...', 'x')}`"):
            assert [target.service.value for target in [infer(name)] if target] == [row[1]], name
    aliases = {row[0]: row[1] for row in table if row[0] in DEFAULT_ALIASES}
    assert aliases == {
        alias: f"{target.model}` on `{target.service.value}" for alias, target in DEFAULT_ALIASES.items()
    }


def test_every_public_name_is_described() -> None:
    """The page of public names lists what `dipeo` exports, and no more."""
    listed = [row[0] for row in rows(_API.text.partition("## ")[0])]
    assert sorted(listed) == sorted(dipeo.__all__)


def test_options_settings_and_parts_are_described() -> None:
    """Options of a call, fields of the settings and parts of `connect()` are those of the code."""
    assert _first_column("Options") == set(CompletionOptions.__annotations__)
    assert _first_column("Settings") == {field.name for field in attrs.fields(Settings)}
    assert _first_column("Parts") == set(Parts.__annotations__)


def test_a_completion_is_described() -> None:
    """Every attribute of a completion is in its table."""
    described = set(re.findall(r"[a-z_]+", " ".join(row[0] for row in rows(_API.section("Completion")))))
    public = {name for name, value in vars(Completion).items() if isinstance(value, property)}
    assert described == {field.name for field in attrs.fields(Completion)} | public


def test_the_defaults_of_the_settings_are_described() -> None:
    """The numbers in the table of settings are the defaults."""
    defaults = {row[0]: row[1] for row in rows(_API.section("Settings"))}
    assert float(defaults["timeout_s"]) == Settings().timeout_s
    assert int(defaults["max_attempts"]) == Settings().max_attempts


def test_every_command_is_described() -> None:
    """The page of the command line names every command."""
    assert {row[0] for row in rows(_CLI.text) if row[0].startswith("dipeo ")} == {
        f"dipeo {name}" for name in _COMMANDS.commands
    }


@pytest.mark.parametrize("command", sorted(_COMMANDS.commands))
def test_every_option_of_a_command_is_described(command: str) -> None:
    """The table of a command has each of its options, and no other."""
    assert _documented_options(_CLI.section(f"dipeo {command}")) == _options_of(_COMMANDS.commands[command])


@pytest.mark.parametrize("command", _SUBCOMMANDS)
def test_every_option_of_a_subcommand_is_described(command: str) -> None:
    """The commands below a command have tables of their own, and each is in the table of the one above."""
    group, name = command.split()
    documented = _documented_options(_CLI.section(f"dipeo {command}"))
    assert documented == _options_of(_COMMANDS.commands[group].commands[name])
    assert name in {row[0] for row in rows(_CLI.section(f"dipeo {group}"))}


def test_the_options_without_a_command_are_described() -> None:
    """The options of `dipeo` itself are in the table at the top."""
    top = _CLI.text.partition("## ")[0]
    assert _documented_options(top) == _options_of(_COMMANDS) | {"--help", "-h"}


def test_the_exit_codes_are_described() -> None:
    """The table of exit codes has every code."""
    assert [int(row[0]) for row in rows(_CLI.section("Exit codes"))] == [code.value for code in ExitCode]


def _family(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == error.__module__:
            yield from _family(child)


def _facts_of(error: Any) -> list[str]:
    verdict: Verdict | None = error.default_verdict
    return [
        error.__name__,
        str(error.http_status),
        error.code,
        verdict.value if verdict else "none",
        _retried(verdict),
    ]


def _retried(verdict: Verdict | None) -> str:
    if verdict in {Verdict.EMPTY_RESPONSE, Verdict.TOOL_CALL_INVALID}:
        return "once"
    if verdict in RETRYABLE_VERDICTS:
        return "yes"
    return "if allowed" if verdict in OUTCOME_UNKNOWN_VERDICTS else "no"


def _variables_in_settings() -> set[str]:
    """Every constant of the module that looks like a variable, and the addresses, whose names are put together."""
    tree = ast.parse(Path(config.__file__).read_text(encoding="utf-8"))
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    names = {value for value in constants if isinstance(value, str) and re.fullmatch(r"[A-Z]+(_[A-Z]+)+", value)}
    return names | {f"DIPEO_{service.name}_BASE_URL" for service in dipeo.LLMService}


def _key_variables() -> set[str]:
    return {name for names in USUAL_VARIABLES.values() for name in names} | {"DIPEO_KEY_<ID>"}


def _variables_of_the_command_line() -> set[str]:
    parameters = [parameter for command in _COMMANDS.commands.values() for parameter in command.params]
    return {parameter.envvar for parameter in parameters if parameter.envvar}


def _first_column(heading: str) -> set[str]:
    return {row[0] for row in rows(_API.section(heading))}


def _options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("-")}


def _documented_options(text: str) -> set[str]:
    names = [name.strip(" `") for row in rows(text) for name in row[0].split(",")]
    return {name for name in names if re.fullmatch(r"--?[a-z-]+", name)}
