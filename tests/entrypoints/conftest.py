"""A simulator on a thread, and a command line that is pointed at it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dipeo.testing import ProviderSimulator
from tests.entrypoints.command_line import CANARY, CommandLine

PERSONA = """---
name: {name}
model: {model}
---
You are {name}. Be brief.
"""


@pytest.fixture(autouse=True, scope="session")
def _interrupts_are_heeded() -> None:
    """A test run in the background inherits that SIGINT is ignored, and so would the processes it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def simulator() -> Iterator[ProviderSimulator]:
    """A simulator to script."""
    with ProviderSimulator() as simulator:
        yield simulator


@pytest.fixture
def offline(tmp_path: Path) -> CommandLine:
    """No keys and no provider, but three personas in the working directory."""
    for file, name, model in (
        ("ada", "Ada Lovelace", "gpt-5.4-mini"),
        ("boole", "George Boole", "claude-sonnet-5-5"),
        ("odd", '"[red]Odd[/red]"', "gemini-3.5-flash"),
    ):
        (tmp_path / f"{file}.md").write_text(PERSONA.format(name=name, model=model))
    return CommandLine(cwd=tmp_path)


@pytest.fixture
def cli(offline: CommandLine, simulator: ProviderSimulator) -> CommandLine:
    """Every service is the simulator, and every key the canary."""
    urls = {f"DIPEO_{service.upper()}_BASE_URL": url for service, url in simulator.base_urls.items()}
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), CANARY)
    return offline.given(**urls, **keys, DIPEO_LLM_MAX_RETRIES="1")
