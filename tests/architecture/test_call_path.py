"""The cost of a call, in Python calls: exact, and therefore a gate."""

import ast
import re
from pathlib import Path
from typing import Final

import dipeo
from benchmarks.python_calls import python_calls
from dipeo import LLMService, Settings
from dipeo.testing import ProviderSimulator

PACKAGE: Final = Path(dipeo.__file__).parent
_NEW: Final = re.compile(r"_?new_")
MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello"}]


async def test_a_call_takes_few_python_calls() -> None:
    """A `complete()` makes at most 290 Python calls, at most 80 of them dipeo's own; the goals are 400 and 150."""
    with ProviderSimulator() as simulator:  # on a thread of its own, where it is not counted
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": "sk-x"})
        async with dipeo.connect(settings) as llm:
            total, own = await python_calls(lambda: llm.complete(MESSAGES, "gpt-5.4-mini"))
    assert total <= 290
    assert own <= 80


def test_values_are_made_without_a_dictionary_of_their_fields() -> None:
    """Beyond fifteen names the interpreter puts a call's arguments into one, which takes twice as long as the rest."""
    seen = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _NEW.match(node.func.id):
                seen += 1
                weight = len(node.args) + 2 * len(node.keywords)
                assert weight <= 30, f"{path}:{node.lineno} names too many fields"
    assert seen >= 10


async def test_a_stream_takes_few_python_calls_for_each_chunk() -> None:
    """A chunk of a stream makes at most 60 Python calls, of which at most 30 are dipeo's own."""
    words = 200
    from dipeo.testing import Reply

    with ProviderSimulator() as simulator:
        simulator.script("openai", *[Reply("word " * words, chunks=words)] * 30)
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": "sk-x"})
        async with dipeo.connect(settings) as llm:
            total, own = await python_calls(
                lambda: llm.stream(MESSAGES, "gpt-5.4-mini", service=LLMService.OPENAI).collect(), repeat=5
            )
    assert own / words <= 30
    assert total / words <= 60


async def test_a_call_that_may_be_asked_twice_and_is_not_takes_few_python_calls() -> None:
    """With hedging on, and enough calls before it, a `complete()` that is answered in time makes at most 400."""
    with ProviderSimulator() as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": "sk-x"}, hedge_share=0.05)
        async with dipeo.connect(settings) as llm:
            # The delay is learned from twenty calls, each of which is slower than those that are counted.
            for _ in range(20):
                await llm.complete(MESSAGES, "gpt-5.4-mini")
            total, _ = await python_calls(lambda: llm.complete(MESSAGES, "gpt-5.4-mini"))
    assert total <= 400


async def test_a_call_whose_first_candidate_answers_takes_few_python_calls() -> None:
    """With two fallbacks that nobody needs, a `complete()` makes at most 400 Python calls."""
    with ProviderSimulator() as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": "sk-x"})
        async with dipeo.connect(settings) as llm:
            total, _ = await python_calls(
                lambda: llm.complete(MESSAGES, "gpt-5.4-mini", fallbacks=["claude", "gemini"])
            )
    assert total <= 400
