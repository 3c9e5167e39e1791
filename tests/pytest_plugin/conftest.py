"""Runs pytest on small projects, each in a process and a directory of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = Path(__file__).with_name("projects")

_INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = --strict-markers
"""
_OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED) \S+::(\w+)", re.MULTILINE)


@attrs.frozen
class PytestRun:
    """How a run of pytest ended, and what it printed."""

    code: int
    text: str

    @property
    def outcomes(self) -> Mapping[str, str]:
        """Name of a test -> its outcome."""
        return {name: outcome for outcome, name in _OUTCOME.findall(self.text)}


_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "guarded": ("-q", "-rA", "guarded.py"),
    "live": ("-q", "-rA", "--dipeo-live", "guarded.py"),
    "without": ("-q", "-rA", "-p", "no:dipeo", "-o", "markers=live", "guarded.py", "fixture_wanted.py"),
    "scripted": ("-q", "-rA", "scripted.py"),
    "plain": ("-q", "plain.py"),
    "plain_without": ("-q", "-p", "no:dipeo", "plain.py"),
    "markers": ("--markers",),
}

Runs = Mapping[str, "Future[PytestRun]"]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The run of every command; they go on side by side."""
    with ThreadPoolExecutor(4) as workers:
        pending = {}
        for name, arguments in _COMMANDS.items():
            directory = tmp_path_factory.mktemp(name)
            shutil.copytree(PROJECTS, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*"))
            (directory / "pytest.ini").write_text(_INI, encoding="utf-8")
            pending[name] = workers.submit(run_pytest, directory, *arguments)
        example = tmp_path_factory.mktemp("example") / "tested_project"
        shutil.copytree(ROOT / "examples" / "tested_project", example, ignore=shutil.ignore_patterns("__pycache__"))
        pending["example"] = workers.submit(run_pytest, example, "-q", "-rA")
        yield pending


def run_pytest(directory: Path, *arguments: str) -> PytestRun:
    """Runs pytest there, with nothing of this environment but where programs are found."""
    kept = {variable: value for variable, value in os.environ.items() if variable in ("PATH", "HOME", "SYSTEMROOT")}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=directory,
        env={**kept, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return PytestRun(finished.returncode, finished.stdout + finished.stderr)
