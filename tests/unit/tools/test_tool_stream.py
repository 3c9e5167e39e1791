"""A streamed run shows what happens while it happens."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.application.tool_call import CallEnding
from dipeo.application.tool_limits import RunEnding
from dipeo.application.tool_loop import ToolLoop
from dipeo.application.tool_round import ToolEnded
from dipeo.application.tool_run import RunEnd
from dipeo.domain.completion import Completion
from dipeo.domain.message import Message
from dipeo.domain.parts import TextPart, ToolCallPart, ToolResultPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.stream import CompletionEnd, TextDelta
from dipeo.testing import ScriptedService
from tests.unit.tools.answers import QUESTION, call, calling, clock, saying, weather


def names_of(events: Sequence[Any]) -> list[str]:
    """What kinds of events these are, and of what."""
    return [
        f"{type(event).__name__} {getattr(event, 'text', '') or getattr(getattr(event, 'part', None), 'call_id', '')}"
        for event in events
    ]


async def test_events_of_answers_and_tools_come_in_order() -> None:
    """Text comes through, each tool begins and ends, and the outcome is last."""
    asks = calling(TextPart("Let me"), call("weather", "a", city="Rome"))
    with ScriptedService(asks, saying("Sunny today.")) as llm:
        async with ToolLoop(llm, [weather]).stream(QUESTION, "m") as run:
            events = [event async for event in run]
    assert names_of(events) == [
        "TextDelta Let", "TextDelta  me", "CompletionEnd ", "ToolStarted a", "ToolEnded ",
        "TextDelta Sunny", "TextDelta  today.", "CompletionEnd ", "RunEnd ",
    ]  # fmt: skip
    end = events[-1]
    assert isinstance(end, RunEnd)
    assert end.outcome == run.outcome
    assert run.outcome.is_answered
    assert all(asked.is_stream for asked in llm.asked)


async def test_a_run_that_is_awaited_has_events_too() -> None:
    """Without streaming, an answer is one event."""
    with ScriptedService(calling(call("nothing")), saying("Done.")) as llm:
        run = ToolLoop(llm, [clock]).run(QUESTION, "m")
        kinds = [type(event) async for event in run]
    assert kinds == [CompletionEnd, ToolEnded, CompletionEnd, RunEnd]


async def test_a_person_is_streamed_alike() -> None:
    """The twin for persons streams."""
    said = [Message(from_person_id="host", content="Hello.")]
    with ScriptedService("Good day.") as llm:
        run = ToolLoop(llm, [weather]).stream_with_person(said, "ada", PersonLLMConfig(model="m"))
        texts = [event.text async for event in run if isinstance(event, TextDelta)]
    assert texts == ["Good", " day."]
    assert llm.asked[0].is_stream


async def test_leaving_the_run_stops_the_tools() -> None:
    """Who breaks off reading gets tools stopped, and what was done until then."""
    was_stopped = asyncio.Event()

    async def slow(n: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            was_stopped.set()

    def quick(n: int) -> int:
        return n

    with ScriptedService(calling(call("slow", "a", n=1), call("quick", "b", n=2))) as llm:
        async with ToolLoop(llm, [slow, quick]).stream(QUESTION, "m") as run:
            async for event in run:
                if isinstance(event, ToolEnded):
                    break
    assert was_stopped.is_set()
    assert run.outcome.ending is RunEnding.CANCELLED
    assert [each.ending for each in run.outcome.calls] == [CallEnding.CANCELLED, CallEnding.DONE]
    await run.aclose()


def scripts() -> st.SearchStrategy[list[Completion]]:
    """Answers that call tools in all ways, well and badly."""
    part = st.builds(
        call,
        st.sampled_from(["weather", "clock", "nothing"]),
        st.sampled_from(["a", "b", "c"]),
        broken=st.none() | st.just("{"),
        city=st.sampled_from(["Rome", "Bern", 3]),
    )
    return st.lists(st.lists(part, min_size=1, max_size=4).map(lambda parts: calling(*parts)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(scripts(), st.booleans(), st.integers(0, 40))
async def test_every_call_is_told_exactly_once_wherever_the_run_ends(
    script: list[Completion], is_stream: bool, leave_after: int
) -> None:
    """Whatever the model asks and whenever one leaves: what was said pairs each call with one result."""
    llm = ScriptedService(*script, saying("Done."))
    loop = ToolLoop(llm, [weather, clock])
    run = loop.stream(QUESTION, "m") if is_stream else loop.run(QUESTION, "m")
    async with run:
        count = 0
        async for _ in run:
            count += 1
            if count > leave_after:
                break
    outcome = run.outcome
    assert outcome.ending is not RunEnding.RUNNING
    parts = [part for message in outcome.said for part in message.parts]
    calls = [part.call_id for part in parts if isinstance(part, ToolCallPart)]
    results = [part.call_id for part in parts if isinstance(part, ToolResultPart)]
    assert calls == results == [each.part.call_id for each in outcome.calls]
    assert len(set(calls)) == len(calls)
