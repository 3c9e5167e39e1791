"""The cost of a call, in Python calls: exact, and therefore a gate."""

import dipeo
from benchmarks.python_calls import python_calls
from dipeo import LLMService, Settings
from dipeo.testing import ProviderSimulator

MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello"}]


async def test_a_call_takes_few_python_calls() -> None:
    """A `complete()` makes at most 300 Python calls, at most 100 of them dipeo's own; the goals are 400 and 150."""
    with ProviderSimulator() as simulator:  # on a thread of its own, where it is not counted
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": "sk-x"})
        async with dipeo.connect(settings) as llm:
            total, own = await python_calls(lambda: llm.complete(MESSAGES, "gpt-5.4-mini"))
    assert total <= 300
    assert own <= 100


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
