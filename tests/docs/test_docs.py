"""The documentation says what is so: its snippets run, its links lead somewhere, and nothing is left out."""

from __future__ import annotations

import re
import shlex
import tomllib
from itertools import chain
from typing import Any

import pytest
import typer

from dipeo.entrypoints.cli.main import app
from tests.docs.conftest import SIMULATED_LINES, LineRuns, Runs
from tests.docs.page import DOCS, PAGES, ROOT, Page

_PAGES = [Page(path) for path in PAGES]
_WITH_PYTHON = [page for page in _PAGES if page.python()]
_COMMANDS: Any = typer.main.get_command(app)


@pytest.mark.parametrize("page", _WITH_PYTHON, ids=lambda page: page.name)
def test_snippets_run(page: Page, page_runs: Runs) -> None:
    """Every snippet of a page runs, in order, without a key and without a warning."""
    finished = page_runs[page.path].result()
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-4000:]


def test_skipped_snippets_are_few() -> None:
    """Snippets that do not run are rare."""
    blocks = [block for page in _PAGES for block in page.blocks("python")]
    skipped = [block for block in blocks if block.remark_kind == "not run"]
    assert len(skipped) <= len(blocks) * 0.06


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    """Every relative link leads to a file of the repository, and to a heading in it where it names one."""
    for link in page.links():
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        assert target.is_file(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link}"
        assert not anchor or anchor in Page(target).anchors(), f"{page.name}: {link}"


def test_commands_in_the_pages_exist() -> None:
    """Every `dipeo` and `make` line in a shell block names a command, options and a target that there are."""
    lines = [line for page in _PAGES for block in page.blocks("sh") for line in block.text.splitlines()]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    seen = 0
    for line in chain.from_iterable(line.split(" | ") for line in lines):
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in targets, line
        elif words[:1] == ["dipeo"]:
            command = _COMMANDS if words[1].startswith("-") else _COMMANDS.commands[words[1]]
            if below := getattr(command, "commands", {}) if command is not _COMMANDS else {}:
                command = below[words[2]]
            known = {name for parameter in command.params for name in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, line
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize("line", SIMULATED_LINES)
def test_commands_on_the_simulator_run(line: str, line_runs: LineRuns) -> None:
    """Every command in the pages that asks the simulator works as it stands."""
    finished = line_runs[line].result()
    assert finished.returncode == 0, finished.stderr
    assert "Simulated" in finished.stderr + finished.stdout


def test_every_page_is_in_the_navigation() -> None:
    """The navigation of the built documentation names each page once, and no page that is not there."""
    settings = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    listed = list(_leaves(settings["project"]["nav"]))
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_every_decision_has_the_same_parts() -> None:
    """Each decision says its context, the decision, the consequences, and when to revisit; the index lists it."""
    index = Page(DOCS / "adr" / "index.md")
    decisions = [Page(path) for path in sorted((DOCS / "adr").glob("0*.md"))]
    assert index.links() == [page.path.name for page in decisions]
    for page in decisions:
        assert re.findall(r"^## (.+)$", page.text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
            "When to revisit",
        ]


def _leaves(entries: Any) -> Any:
    if isinstance(entries, str):
        yield entries
    else:
        for entry in entries.values() if isinstance(entries, dict) else entries:
            yield from _leaves(entry)
