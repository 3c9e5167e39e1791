"""One run: awaited by some, begun with messages of all kinds."""

import asyncio
from typing import Any

import pytest

from dipeo.application.tool_call import CallEnding
from dipeo.application.tool_limits import RunEnding
from dipeo.application.tool_loop import ToolLoop
from dipeo.domain.errors import RateLimitError
from dipeo.domain.parts import TextPart
from dipeo.testing import ScriptedService
from tests.unit.tools.answers import QUESTION, call, calling, saying, weather


async def test_a_run_may_be_awaited_again_and_by_several_at_once() -> None:
    """Whoever awaits it gets the one outcome; nothing is asked or carried out twice."""
    calls = 0

    async def count(n: int) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        return n

    with ScriptedService(calling(call("count", n=1)), saying("Done.")) as llm:
        run = ToolLoop(llm, [count]).run(QUESTION, "m")
        one, other = await asyncio.gather(run.collect(), run.collect())
        again = await run
    assert one == other == again
    assert again.text == "Done."
    assert calls == 1


async def test_a_run_that_failed_fails_for_all_who_await_it() -> None:
    """The error comes again, and is not mistaken for an outcome."""
    problem = RateLimitError()
    run = ToolLoop(ScriptedService(problem, "never asked"), [weather]).run(QUESTION, "m")
    at_once = await asyncio.gather(run.collect(), run.collect(), return_exceptions=True)
    with pytest.raises(RateLimitError) as caught:
        await run
    assert [*at_once, caught.value] == [problem, problem, problem]
    assert run.outcome.ending is RunEnding.FAILED


async def test_who_did_not_cancel_a_run_learns_that_it_was_cancelled() -> None:
    """The one who is cancelled takes the run along; whoever else awaits it gets what it had come to."""
    has_begun = asyncio.Event()

    async def slow(n: int) -> None:
        has_begun.set()
        await asyncio.sleep(60)

    run = ToolLoop(ScriptedService(calling(call("slow", n=1))), [slow]).run(QUESTION, "m")
    first, second, third = (asyncio.ensure_future(run.collect()) for _ in range(3))
    await has_begun.wait()
    third.cancel()
    await asyncio.sleep(0)
    assert run.outcome.ending is RunEnding.RUNNING
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).ending is RunEnding.CANCELLED
    assert (await run).calls[0].ending is CallEnding.CANCELLED


async def test_messages_that_are_mappings_have_calls_with_ids_too() -> None:
    """A history as OpenAI's clients write it, or with parts in its content, keeps its ids to itself."""
    written: list[dict[str, object]] = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "a", "content": "Snow."},
        {"role": "assistant", "content": [TextPart("Well."), call("weather", "b", city="Oslo")]},
        {"role": "tool", "tool_call_id": "b", "content": "Snow."},
    ]
    asked: list[dict[str, object]] = [{"role": "user", "content": "And today?"}]
    calls = calling(call("weather", "a", city="Rome"), call("weather", "b", city="Bern"))
    with ScriptedService(calls, saying("Done.")) as llm:
        outcome = await ToolLoop(llm, [weather]).run([*asked, *written], "m")
    assert [each.part.call_id for each in outcome.calls] == ["a_2", "b_2"]


@pytest.mark.parametrize(
    "message",
    [3, "words", {}, {"tool_calls": 3}, {"tool_calls": [3, {}, {"id": None}]}, {"content": [3, {"type": "text"}]}],
)
async def test_a_broken_message_is_left_to_the_service_to_refuse(message: Any) -> None:
    """The loop looks for ids alone, and stumbles over nothing else."""
    with ScriptedService(saying("Done.")) as llm:
        outcome = await ToolLoop(llm, [weather]).run([message], "m")
    assert outcome.is_answered
    assert llm.asked[0].messages == (message,)
