"""The loop carries out what may be, tells the model of everything, and ends where it should."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dipeo.application.tool import ToolError, tool
from dipeo.application.tool_call import CallEnding
from dipeo.application.tool_limits import Denied, PendingCall, RunEnding, ToolLimits
from dipeo.application.tool_loop import ToolLoop
from dipeo.application.tool_run import ToolOutcome
from dipeo.domain.completion import ChatMessage, FinishReason, Role
from dipeo.domain.errors import DeadlineExceededError, RateLimitError, StreamNotFinishedError, ValidationError
from dipeo.domain.message import Message
from dipeo.domain.parts import TextPart, ToolResultPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.testing import ScriptedService
from tests.unit.tools.answers import QUESTION, call, calling, clock, saying, weather


async def ran(*answers: Any, tools: Any = (weather, clock), **settings: Any) -> ToolOutcome[ChatMessage]:
    """What a run over these answers comes to; all answers must be used."""
    with ScriptedService(*answers) as llm:
        return await ToolLoop(llm, tools, **settings).run(QUESTION, "m")


def endings(outcome: ToolOutcome[Any]) -> list[CallEnding]:
    """How the calls ended."""
    return [each.ending for each in outcome.calls]


def told(outcome: ToolOutcome[Any]) -> list[str]:
    """What the model was told of the calls."""
    return [each.result.content for each in outcome.calls]


async def test_tools_are_called_until_there_is_an_answer() -> None:
    """Calls of one answer run, their results go back in one message, and the answer in words is the end."""
    asks = calling(TextPart("Let me see."), call("weather", "a", city="Rome"), call("clock", "b", city="Rome"))
    with ScriptedService(asks, saying("Sunny, noon.")) as llm:
        outcome = await ToolLoop(llm, [weather, clock]).run(QUESTION, "m", temperature=0, tool_choice="required")
    assert (outcome.ending, outcome.text, outcome.is_answered) == (RunEnding.ANSWERED, "Sunny, noon.", True)
    assert told(outcome) == ["Sunny in Rome.", '{"city": "Rome", "time": "12:00"}']
    assert outcome.usage == Usage(input_tokens=20, output_tokens=10)
    assert outcome.cost_usd is None
    first, second = llm.asked
    assert [spec.name for spec in first.options["tools"]] == ["weather", "clock"]
    assert (first.options["tool_choice"], "tool_choice" in second.options) == ("required", False)
    assert second.options["temperature"] == 0
    assert list(second.messages) == [*QUESTION, *outcome.said[:2]]
    assert [message.role for message in outcome.said] == [Role.ASSISTANT, Role.TOOL, Role.ASSISTANT]
    assert outcome.said[0].parts == asks.parts
    assert outcome.said[1].parts == tuple(each.result for each in outcome.calls)


async def test_a_person_can_call_tools() -> None:
    """What the person says is theirs, and the results are for them alone; both can go into the conversation."""
    config = PersonLLMConfig(model="m")
    opening = [Message(from_person_id="host", content="How is Rome?")]
    with ScriptedService(calling(call("weather", city="Rome")), "Sunny.") as llm:
        outcome = await ToolLoop(llm, [weather]).run_with_person(opening, "ada", config)
    said = [(message.from_person_id, message.to_person_id) for message in outcome.said]
    assert said == [("ada", None), ("tools", "ada"), ("ada", None)]
    assert not outcome.said[1].is_visible_to("host")
    assert list(llm.asked[1].messages) == [*opening, *outcome.said[:2]]
    assert llm.asked[1].person_id == "ada"


async def test_independent_calls_run_at_once() -> None:
    """Tools, async and sync, wait for each other, as they could not one after the other."""
    barrier = threading.Barrier(2, timeout=10)
    both = asyncio.Barrier(2)

    def sync_one(n: int) -> int:
        return barrier.wait() * 0 + n

    async def async_one(n: int) -> int:
        await both.wait()
        return n

    parts = [call("sync_one", "a", n=1), call("async_one", "b", n=2), call("sync_one", "c", n=3)]
    outcome = await ran(calling(*parts, call("async_one", "d", n=4)), saying("Done."), tools=[sync_one, async_one])
    assert told(outcome) == ["1", "2", "3", "4"]


async def test_a_tool_that_runs_alone_runs_alone() -> None:
    """Calls before it have ended when it begins, and those after it begin when it has."""
    order: list[str] = []

    async def read(n: int) -> None:
        order.append(f"+{n}")
        await asyncio.sleep(0.01)
        order.append(f"-{n}")

    write = tool(read, name="write", runs_alone=True)
    parts = [call("read", "a", n=1), call("read", "b", n=2), call("write", "c", n=3), call("read", "d", n=4)]
    await ran(calling(*parts), saying("Done."), tools=[read, write])
    assert order == ["+1", "+2", "-1", "-2", "+3", "-3", "+4", "-4"]


async def test_no_more_tools_run_at_once_than_may() -> None:
    """The limit of concurrency holds."""
    running = most = 0

    async def work(n: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    parts = [call("work", f"c{n}", n=n) for n in range(9)]
    await ran(calling(*parts), saying("Done."), tools=[work], limits=ToolLimits(max_concurrent=3))
    assert most == 3


@pytest.mark.parametrize(
    ("part", "finish", "words"),
    [
        (call("weather", broken='{"city": "Ro'), FinishReason.TOOL_CALLS, "no JSON object"),
        (call("weather", city="Rome"), FinishReason.LENGTH, "broke off"),
        (call("weather", city="Rome"), FinishReason.CONTENT_FILTER, "broke off"),
        (call("format_disk", city="Rome"), FinishReason.TOOL_CALLS, "no such tool. There are: weather, clock"),
        (call("__class__"), FinishReason.TOOL_CALLS, "no such tool"),
        (call("weather"), FinishReason.TOOL_CALLS, "city is missing"),
        (call("weather", city=["Rome"]), FinishReason.TOOL_CALLS, "city must be a string, not an array"),
        (call("weather", city="R" * 200_000), FinishReason.TOOL_CALLS, "100000 are allowed"),
    ],
)
async def test_what_must_not_be_carried_out_is_not(part: Any, finish: FinishReason, words: str) -> None:
    """A broken or cut off call, one of a tool that was not offered, and arguments that do not fit are only told."""
    outcome = await ran(calling(part, finish=finish), saying("Sorry."))
    assert endings(outcome) == [CallEnding.REFUSED]
    assert outcome.calls[0].result.is_error
    assert words in told(outcome)[0]
    assert outcome.is_answered


async def test_a_good_call_beside_a_bad_one_is_carried_out() -> None:
    """Calls are judged one by one."""
    outcome = await ran(calling(call("weather", "a", city="Rome"), call("nothing", "b")), saying("Done."))
    assert endings(outcome) == [CallEnding.DONE, CallEnding.REFUSED]


async def test_tools_that_may_not_be_called_are_not() -> None:
    """With `tool_choice='none'` no tool is offered, whatever the model does."""
    with ScriptedService(calling(call("weather", city="Rome")), saying("No.")) as llm:
        outcome = await ToolLoop(llm, [weather]).run(QUESTION, "m", tool_choice="none")
    assert endings(outcome) == [CallEnding.REFUSED]
    assert llm.asked[1].options["tool_choice"] == "none"


async def test_broken_calls_again_and_again_end_the_run() -> None:
    """The model may mend its call once; a run of answers that break off is not gone on with."""
    cut = [calling(call("weather", broken="{"), finish=FinishReason.LENGTH) for _ in range(2)]
    outcome = await ran(*cut)
    assert outcome.ending is RunEnding.BROKEN_CALLS
    mended = calling(call("weather", "x", city="Rome"))
    again = await ran(cut[0], mended, cut[0], saying("Done."))
    assert again.is_answered


def unknown_city(city: str) -> str:
    """Knows no city."""
    raise ToolError(f"There is no {city}.")


def leaky(city: str) -> str:
    """Fails with words that are not for the model."""
    raise ValueError("postgres://user:secret@host")


def stops(city: str) -> str:
    """Raises what futures cannot hold."""
    raise StopIteration


def leaves(city: str) -> str:
    """Tries to end the program."""
    raise SystemExit(1)


async def cancels(city: str) -> str:
    """Is cancelled from within."""
    raise asyncio.CancelledError


def opaque(city: str) -> object:
    """Gives back what is no JSON."""
    return object()


class Lazy(dict[str, int]):
    """Raises when it is read."""

    def items(self) -> Any:
        """Raises."""
        raise RuntimeError("sk-secret")


def lazy(city: str) -> object:
    """Gives back what raises when it is read."""
    return Lazy(a=1)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (unknown_city, "There is no Rome."),
        (leaky, "The tool failed: ValueError."),
        (stops, "The tool failed: RuntimeError."),
        (leaves, "The tool failed: RuntimeError."),
        (cancels, "The tool was cancelled."),
        (opaque, "The tool gave back something that cannot be shown."),
        (lazy, "The tool failed: RuntimeError."),
    ],
)
async def test_a_tool_that_fails_is_told_without_its_secrets(function: Callable[..., Any], words: str) -> None:
    """The model is told the words of a `ToolError`, and of anything else no more than its name; the run goes on."""
    outcome = await ran(calling(call(function.__name__, city="Rome")), saying("Done."), tools=[function])
    assert endings(outcome) == [CallEnding.FAILED]
    assert told(outcome) == [words]
    assert outcome.is_answered


async def test_the_program_sees_what_a_tool_raised() -> None:
    """The record keeps the exception."""
    outcome = await ran(calling(call("leaky", city="Rome")), saying("Done."), tools=[leaky])
    assert isinstance(outcome.calls[0].error, ValueError)


async def test_results_have_a_bound() -> None:
    """A text is cut, and of an endless structure no more is written than is shown."""

    def long(kind: str) -> object:
        return "x" * 10_000 if kind == "text" else [0] * 1_000_000

    parts = [call("long", "a", kind="text"), call("long", "b", kind="list")]
    outcome = await ran(calling(*parts), saying("Done."), tools=[long], limits=ToolLimits(max_result_chars=100))
    assert all(len(text) < 200 and "only the first 100 characters" in text for text in told(outcome))


async def test_characters_that_cannot_be_sent_are_replaced() -> None:
    """Half a character in a result does not break the run."""
    outcome = await ran(calling(call("half", city="R")), saying("."), tools=[tool(lambda city: "a\ud83d", name="half",
        parameters={"type": "object", "properties": {"city": {"type": "string"}}})])  # fmt: skip
    assert told(outcome) == ["a?"]


async def test_a_tool_has_its_time() -> None:
    """One that takes longer is stopped, whether async, sync, or deaf; the others are not touched."""
    was_stopped = asyncio.Event()
    release = threading.Event()

    @tool(timeout_s=0.05)
    async def slow(n: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            was_stopped.set()

    @tool(timeout_s=0.05)
    def blocking(n: int) -> None:
        release.wait(30)

    def quick(n: int) -> int:
        return n

    parts = [call("slow", "a", n=1), call("blocking", "b", n=2), call("quick", "c", n=3)]
    begun_at_s = time.monotonic()
    outcome = await ran(calling(*parts), saying("Done."), tools=[slow, blocking, quick])
    release.set()
    assert time.monotonic() - begun_at_s < 10
    assert endings(outcome) == [CallEnding.TIMED_OUT, CallEnding.TIMED_OUT, CallEnding.DONE]
    assert told(outcome)[0] == "The tool was stopped after 0.05 seconds."
    assert was_stopped.is_set()


def asking_for_ever(count: int) -> list[Any]:
    """Answers that call a tool with other arguments each time."""
    return [calling(call("weather", f"c{n}", city=f"City {n}")) for n in range(count)]


@pytest.mark.parametrize(
    ("answers", "limits", "ending", "calls_done"),
    [
        (asking_for_ever(10), ToolLimits(), RunEnding.ROUNDS, 9),
        (asking_for_ever(1), ToolLimits(max_rounds=1), RunEnding.ROUNDS, 0),
        (asking_for_ever(3), ToolLimits(max_calls=2), RunEnding.CALLS, 2),
        ([calling(*(call("weather", f"c{n}", city=str(n)) for n in range(51)))], ToolLimits(), RunEnding.CALLS, 0),
        ([calling(call("weather", city="Rome"))] * 4, ToolLimits(), RunEnding.REPEATS, 3),
        (asking_for_ever(2), ToolLimits(max_total_tokens=30), RunEnding.TOKENS, 1),
        ([calling(call("weather", city="R"), usage=UNREPORTED_USAGE)], ToolLimits(max_total_tokens=30),
         RunEnding.TOKENS, 0),
    ],
)  # fmt: skip
async def test_limits_end_the_run(answers: list[Any], limits: ToolLimits, ending: RunEnding, calls_done: int) -> None:
    """Nothing more is carried out where a limit is reached; every call still has a result, and the reason is told."""
    outcome = await ran(*answers, limits=limits)
    assert outcome.ending is ending
    assert outcome.detail
    assert not outcome.is_answered
    assert endings(outcome).count(CallEnding.DONE) == calls_done
    called = [part.call_id for completion in outcome.completions for part in completion.tool_calls]
    results = [part for message in outcome.said for part in message.parts if isinstance(part, ToolResultPart)]
    assert len(results) == len(called) == len(outcome.calls)


async def test_the_cost_has_a_limit_and_unknown_is_not_zero() -> None:
    """Costs are summed; an answer whose cost nobody knows ends the run where there is a limit."""
    limits = ToolLimits(max_cost_usd=0.25)
    outcome = await ran(*asking_for_ever(3), limits=limits, cost_of=lambda _: 0.1)
    assert outcome.ending is RunEnding.COST
    assert outcome.cost_usd == pytest.approx(0.3)
    unknown = await ran(*asking_for_ever(1), limits=limits, cost_of=lambda _: None)
    assert (unknown.ending, unknown.cost_usd) == (RunEnding.COST, None)
    assert endings(unknown) == [CallEnding.SKIPPED]
    free = await ran(*asking_for_ever(1), saying("Done."), cost_of=lambda _: None)
    assert free.is_answered
    with pytest.raises(ValidationError, match="cost_of"):
        ToolLoop(ScriptedService(), [weather], limits=limits)


async def test_the_run_has_its_time() -> None:
    """What is left of it bounds each answer and each tool; when it is over, so is the run."""

    async def slow(n: int) -> None:
        await asyncio.sleep(60)

    with ScriptedService(calling(call("slow", n=1))) as llm:
        outcome = await ToolLoop(llm, [slow], limits=ToolLimits(timeout_s=0.2)).run(QUESTION, "m", timeout_s=90)
    assert outcome.ending is RunEnding.TIME
    assert endings(outcome) == [CallEnding.TIMED_OUT]
    assert 0 < (llm.asked[0].options["timeout_s"] or 0) <= 0.2


async def test_an_answer_that_takes_all_the_time_ends_the_run_in_order() -> None:
    """The deadline of an answer that is the run's own is an end, and no error; any other is an error."""
    limits = ToolLimits(timeout_s=0.03)
    outcome = await ran(DeadlineExceededError(), limits=limits)
    assert outcome.ending is RunEnding.TIME
    with pytest.raises(DeadlineExceededError):
        await ran(DeadlineExceededError())


async def test_approval_is_asked_before_anything_runs() -> None:
    """Only True allows; a denial is told with its reason, and the others are carried out."""
    asked: list[tuple[str, int]] = []

    def approve(pending: PendingCall) -> Any:
        asked.append((pending.part.call_id, pending.round_number))
        return {"a": True, "b": Denied("Too far."), "c": False, "d": "yes"}[pending.part.call_id]

    parts = [call("weather", each, city=each) for each in "abcd"]
    outcome = await ran(calling(*parts, call("nothing", "e")), saying("Done."), approve=approve)
    assert [each.ending for each in outcome.calls] == [
        CallEnding.DONE, CallEnding.DENIED, CallEnding.DENIED, CallEnding.DENIED, CallEnding.REFUSED,
    ]  # fmt: skip
    assert told(outcome)[1] == "Not carried out: it was not approved. Too far."
    assert asked == [(each, 1) for each in "abcd"]


async def test_approval_may_take_its_time() -> None:
    """An async function is awaited, but not beyond the time of the run."""

    async def approve(pending: PendingCall) -> bool:
        await asyncio.sleep(0 if pending.part.call_id == "a" else 60)
        return True

    parts = [call("weather", "a", city="A"), call("weather", "b", city="B")]
    outcome = await ran(calling(*parts), approve=approve, limits=ToolLimits(timeout_s=0.1))
    assert outcome.ending is RunEnding.TIME
    assert endings(outcome) == [CallEnding.SKIPPED, CallEnding.DENIED]


async def test_without_approval_nothing_goes_on() -> None:
    """A function that fails to decide ends the run: its error is raised, and nothing was carried out."""

    def approve(pending: PendingCall) -> bool:
        raise LookupError("no terminal")

    with ScriptedService(calling(call("weather", city="Rome"))) as llm:
        run = ToolLoop(llm, [weather], approve=approve).run(QUESTION, "m")
        with pytest.raises(LookupError):
            await run
    assert run.outcome.ending is RunEnding.FAILED
    assert endings(run.outcome) == [CallEnding.SKIPPED]


async def test_a_tool_that_needs_approval_is_not_offered_without() -> None:
    """Nobody to approve is a mistake that is found at once."""
    dangerous = tool(weather, needs_approval=True)
    with pytest.raises(ValidationError, match="'weather' needs approval"):
        ToolLoop(ScriptedService(), [dangerous])


async def test_tools_have_names_of_their_own_and_belong_to_the_loop() -> None:
    """Two of one name are refused, and so are tools among the options."""
    with pytest.raises(ValidationError, match="Two tools are named 'weather'"):
        ToolLoop(ScriptedService(), [weather, weather])
    with pytest.raises(ValidationError, match="those it was made with"):
        ToolLoop(ScriptedService(), [weather]).run(QUESTION, "m", tools=[])


async def test_calls_get_ids_that_no_other_has() -> None:
    """Providers that count anew in every answer do not let results be mixed up."""
    earlier = ChatMessage(Role.ASSISTANT, (call("weather", "call_0", city="Oslo"),))
    results = ChatMessage(Role.TOOL, (ToolResultPart(call_id="call_0", content="Snow."),))
    twice = calling(call("weather", "call_0", city="Rome"), call("weather", "call_0", city="Bern"))
    with ScriptedService(twice, calling(call("weather", "call_0", city="Paris")), saying("Done.")) as llm:
        outcome = await ToolLoop(llm, [weather]).run([*map(as_given, QUESTION), earlier, results], "m")
    assert [each.part.call_id for each in outcome.calls] == ["call_0_2", "call_0_3", "call_0_4"]
    assert [each.result.call_id for each in outcome.calls] == ["call_0_2", "call_0_3", "call_0_4"]
    assert told(outcome) == ["Sunny in Rome.", "Sunny in Bern.", "Sunny in Paris."]


def as_given(message: dict[str, str]) -> ChatMessage:
    """The message as a value."""
    return ChatMessage.from_text(Role(message["role"]), message["content"])


async def test_a_paused_answer_goes_on() -> None:
    """Where a provider's own tools take long, what came so far goes back, and the answer goes on."""
    paused = calling(TextPart("Searching"), finish=FinishReason.PAUSED)
    outcome = await ran(paused, saying("Found."))
    assert outcome.is_answered
    assert [message.text for message in outcome.said] == ["Searching", "Found."]


async def test_an_error_of_the_provider_loses_nothing() -> None:
    """The error is raised, and the run still says what was done before it."""
    with ScriptedService(calling(call("weather", city="Rome")), RateLimitError()) as llm:
        run = ToolLoop(llm, [weather]).run(QUESTION, "m")
        with pytest.raises(RateLimitError):
            await run
    assert run.outcome.ending is RunEnding.FAILED
    assert endings(run.outcome) == [CallEnding.DONE]
    assert [message.role for message in run.outcome.said] == [Role.ASSISTANT, Role.TOOL]


async def test_cancelling_stops_the_tools_and_loses_nothing() -> None:
    """Tools that run are stopped, those that had ended keep their result, and the rest were not begun."""
    began = asyncio.Event()
    was_stopped = asyncio.Event()

    async def slow(n: int) -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            was_stopped.set()

    def quick(n: int) -> int:
        return n

    last = tool(quick, name="last", runs_alone=True)
    parts = [call("quick", "a", n=1), call("slow", "b", n=2), call("last", "c", n=3)]
    with ScriptedService(calling(*parts)) as llm:
        run = ToolLoop(llm, [slow, quick, last]).run(QUESTION, "m")
        task = asyncio.ensure_future(run)
        await began.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert was_stopped.is_set()
    assert run.outcome.ending is RunEnding.CANCELLED
    assert endings(run.outcome) == [CallEnding.DONE, CallEnding.CANCELLED, CallEnding.SKIPPED]
    assert [each.was_begun for each in run.outcome.calls] == [True, True, False]
    assert len(run.outcome.said) == 2


async def test_a_run_that_has_not_begun_has_no_answer() -> None:
    """Nothing is sent before the run is awaited."""
    llm = ScriptedService("Hello.")
    run = ToolLoop(llm, []).run(QUESTION, "m")
    assert (run.outcome.ending, run.outcome.text, llm.asked) == (RunEnding.RUNNING, "", [])
    with pytest.raises(StreamNotFinishedError):
        _ = run.outcome.completion
    assert repr(run) == "<ToolRun running: 0 answers, 0 calls>"
    assert (await run).completion.text == "Hello."


@pytest.mark.parametrize("name", ["max_rounds", "max_calls", "max_repeats", "max_total_tokens", "max_concurrent"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_limits_are_counts(name: str, value: Any) -> None:
    """A limit that is no count is refused by name."""
    with pytest.raises(ValidationError, match=name):
        ToolLimits(**{name: value})


async def test_a_tool_cannot_change_what_the_model_has_said() -> None:
    """What a tool does to its arguments stays with it."""

    def wreck(items: list[object], rest: dict[str, object]) -> None:
        items.clear()
        rest.clear()

    def wreck_plain(**given: Any) -> None:
        given["items"].clear()

    plain = tool(wreck_plain, parameters={"type": "object", "properties": {"items": {"type": "array"}}})
    parts = [call("wreck", "a", items=[[1]], rest={"a": 1}), call("wreck_plain", "b", items=[1])]
    outcome = await ran(calling(*parts), saying("Done."), tools=[wreck, plain])
    assert endings(outcome) == [CallEnding.DONE] * 2
    assert outcome.said[0].parts == tuple(parts)
    assert parts[1].arguments == {"items": [1]}


def test_tools_and_shapes_load_nothing_heavy() -> None:
    """Neither module imports pydantic, an SDK or an HTTP package."""
    code = "import sys, dipeo.tools, dipeo.structured; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(loaded) & {"pydantic", "aiohttp", "openai", "anthropic", "dependency_injector", "orjson"}
