"""A simulator that plays the providers for the snippets, as `dipeo simulate` does for the reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from dipeo.domain.service import LLMService
from dipeo.infrastructure.keys.variable_name import USUAL_VARIABLES
from dipeo.testing import ProviderSimulator
from tests.docs.page import PAGES, ROOT, Page

_TIMEOUT_S = 50.0
_WORKERS = 4

SIMULATED_LINES = sorted(
    {
        line
        for page in map(Page, PAGES)
        for block in page.blocks("sh")
        for line in block.text.splitlines()
        if "dipeo " in line and "--on simulator" in line
    }
)
"""The commands in the pages that can be run here as they stand."""

Runs = Mapping[Path, "Future[subprocess.CompletedProcess[str]]"]
LineRuns = Mapping[str, "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="session")
def page_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Every page's run, each in a process and an empty directory of its own; they go on side by side."""
    pages = [page for page in map(Page, PAGES) if page.python()]
    with ProviderSimulator() as simulator, ThreadPoolExecutor(_WORKERS) as workers:
        variables = _variables(simulator.base_urls)
        yield {
            page.path: workers.submit(_run, page, tmp_path_factory.mktemp(page.path.stem), variables) for page in pages
        }


@pytest.fixture(scope="session")
def line_runs() -> Iterator[LineRuns]:
    """The run of every command that asks the simulator, where the prompts are and with nothing on stdin."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    with ThreadPoolExecutor(_WORKERS) as workers:
        yield {line: workers.submit(_run_line, line, path) for line in SIMULATED_LINES}


def _run_line(line: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=ROOT,
        env={"PATH": path, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def _variables(base_urls: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "SYSTEMROOT")}
    addresses = {f"DIPEO_{LLMService(name).name}_BASE_URL": url for name, url in base_urls.items()}
    keys = {names[0]: "sk-simulated" for names in USUAL_VARIABLES.values()}
    return {**kept, "LC_ALL": "C.UTF-8", **addresses, **keys}


def _run(page: Page, directory: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    for name, text in page.files().items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    given = {"page": page.name, "blocks": [(block.line, block.text) for block in page.python()]}
    return subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("run_page.py"))],
        input=json.dumps(given),
        cwd=directory,
        env=dict(variables),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
