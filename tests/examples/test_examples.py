"""The examples run as they are, without a key and without the network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

TELLING: Mapping[str, tuple[str, ...]] = {
    "first_answer.py": ("-- gpt-5.4-mini on openai, stop", "-- attempts: 1"),
    "three_persons.py": ("Ada Lovelace (openai):", "George Boole (anthropic):", "Marie Curie (google):", "7 messages"),
    "private_message.py": (
        "anna has seen 2 messages",
        "boris has seen 2 messages",
        "The request to openai holds the code word.",
        "The request to anthropic does not hold the code word.",
    ),
    "embeddings.py": (
        "Nearest: Comets are made of ice and dust. (1.00)",
        "-- text-embedding-3-small on openai: 4 vectors of 1536 numbers",
    ),
    "streaming.py": ("Rain is water that has changed its mind about the sky.", "-- 11 pieces", "-- enough"),
    "sync_program.py": (
        "What is a comet? ",
        "What is a fossil? ",
        " tokens",
        "next_return: 2061",
        "It comes back in 2061.",
    ),
    "tools.py": (
        "in_stock {'colour': 'red'}: done -> 3",
        "denied -> Not carried out: it was not approved. Two boats at most.",
        'done -> {"ordered": 2}',
        "-- answered after 4 answers",
    ),
    "structured_output.py": (
        "Party(day='Friday', guests=(Guest(name='Ada', meal='fish'),))",
        "-- after 2 answers",
        "-- at first: guests[0].meal must be one of 'fish', 'vegetables'.",
        "{'day': 'Sunday', 'guests': [{'name': 'Grace'}]}",
    ),
    "pictures.py": (
        "openai: I see 1 image (image/png, 69 bytes) and 1 document (application/pdf, 40 bytes).",
        "anthropic: I see 1 image",
        "grok-4 was not asked: messages[0].content[1] is not taken.",
    ),
    "reasoning.py": (
        "anthropic thinks: Seven goes into 1,001.",
        "Ada says: Yes, it is.",
        "-- messages[1].content[0] dropped",
        "Ada says: No: it is 17 times 59. (7 tokens of thought)",
    ),
    "prompt_caching.py": (
        "On the first floor. -- 3010 tokens in: 3000 written, 0 read",
        "At six. -- 3010 tokens in: 0 written, 3000 read",
        "-- prompt_cache dropped",
        "-- with strict=True: 'prompt_cache' cannot be sent as asked",
    ),
    "openai_responses.py": ("-- kept: True", "-- over /v1/responses by AsyncOpenAI"),
    "know_your_models.py": (
        "-- unknown of your own model: True",
        "claude-sonnet-5",
        "-- the question: 11 tokens as the provider counts",
        "-- the answer cost",
    ),
    "web_search.py": (
        "-- to be kept: anthropic, web_search",
        "The comet returns in 2061. [1]",
        "[1] The Almanac, https://almanac.example.com/halley",
        "In 1986, says the Almanac.",
    ),
    "long_conversation.py": (
        "62 messages in the conversation, 6 sent",
        "room 3 is the only one with a stove",
        "-- summed up by gemini-3.5-flash, answered by claude-sonnet-5-5",
    ),
    "workflow_engine.py": ("writer: ", "editor: ", "The diagram's test passes."),
    "own_alias_and_endpoint.py": (
        "-- llama-3.3-70b-instruct on openai_compatible",
        "-- the server saw: POST /v1/chat/completions for llama-3.3-70b-instruct",
    ),
}
"""What each example is known by."""

Runs = Mapping[str, "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Every example's run, in a directory of its own and without any key; they go on side by side."""
    with ThreadPoolExecutor(4) as workers:
        yield {name: workers.submit(_run, name, tmp_path_factory.mktemp("example")) for name in TELLING}


@pytest.mark.parametrize("name", TELLING)
def test_example_runs(name: str, runs: Runs) -> None:
    """The example ends well, without a warning, and prints what it is known by."""
    finished = runs[name].result()
    assert finished.returncode == 0, finished.stderr[-4000:]
    assert finished.stderr == ""
    for words in TELLING[name]:
        assert words in finished.stdout


def test_every_example_is_run() -> None:
    """No example is forgotten here."""
    assert set(TELLING) == {path.name for path in EXAMPLES.glob("*.py")}


def _run(name: str, directory: Path) -> subprocess.CompletedProcess[str]:
    kept = {variable: value for variable, value in os.environ.items() if variable in ("PATH", "HOME", "SYSTEMROOT")}
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=directory,
        env={**kept, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
