"""Tools and shapes behind the synchronous door: in threads, under loops, interrupted, left early, dropped."""

import asyncio
import inspect
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import field, frozen

import dipeo
from dipeo import LLMServicePort, Message, PersonLLMConfig, Settings, TextDelta, errors
from dipeo.domain.parts import ToolResultPart
from dipeo.domain.stream import CompletionEnd
from dipeo.infrastructure.sync_door import SyncLLMService
from dipeo.structured import AskedAgain, StructuredEnd, StructuredOutput, SyncStructuredOutput
from dipeo.testing import Fault, ProviderSimulator, Reply, ScriptedModel, SimulatedToolCall
from dipeo.tools import (
    CallEnding,
    PendingCall,
    RunEnd,
    RunEnding,
    SyncToolLoop,
    ToolEnded,
    ToolLimits,
    ToolLoop,
    ToolStarted,
)
from tests.end_to_end.conftest import ENVIRON
from tests.end_to_end.test_services import forks

WATCHDOG = pytest.mark.timeout(10)
QUESTION = [{"role": "user", "content": "What is it like in Rome?"}]
ADA = PersonLLMConfig(model="claude")


def weather(town: str) -> str:
    """The weather in a town."""
    return f"It rains in {town}."


class Slow:
    """A tool that does not end by itself."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.was_stopped = threading.Event()

    async def slow(self, town: str) -> None:
        """Takes its time."""
        self.has_begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.was_stopped.set()


@frozen
class Town:
    """A town."""

    name: str
    rain_mm: int = field()

    @rain_mm.validator
    def _check(self, _attribute: object, value: int) -> None:
        if value < 0:
            raise ValueError("'rain_mm' must not be negative.")


@pytest.fixture
def llm(thread_simulator: ProviderSimulator) -> Iterator[SyncLLMService]:
    """The door, to a simulator on a thread of its own."""
    with dipeo.connect_sync(Settings(base_urls=thread_simulator.base_urls, environ=ENVIRON)) as llm:
        yield llm


def calls(*names: str) -> Reply:
    return Reply(tool_calls=[SimulatedToolCall(name, {"town": "Rome"}) for name in names])


# --- the same service ------------------------------------------------------------------------------------------------

METHODS = [
    (asynchronous, synchronous, name)
    for asynchronous, synchronous in (
        (LLMServicePort, SyncLLMService),
        (ToolLoop, SyncToolLoop),
        (StructuredOutput, SyncStructuredOutput),
    )
    for name, method in vars(asynchronous).items()
    if inspect.isfunction(method) and not name.startswith("_")
]


@pytest.mark.parametrize(("asynchronous", "synchronous", "name"), METHODS)
def test_the_door_has_the_same_methods_and_arguments(asynchronous: type, synchronous: type, name: str) -> None:
    """Whoever knows the one knows the other: names, order, defaults and kinds of all arguments are the same."""

    def arguments(method: Any) -> list[tuple[object, ...]]:
        given = inspect.signature(method).parameters.values()
        return [(each.name, each.kind, each.default) for each in given]

    assert arguments(getattr(synchronous, name)) == arguments(getattr(asynchronous, name))


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"), [(ToolLoop, SyncToolLoop), (StructuredOutput, SyncStructuredOutput)]
)
def test_the_door_is_made_of_the_same_arguments(asynchronous: type, synchronous: type) -> None:
    """It takes a service of its own kind, and else what the other takes."""
    assert list(inspect.signature(synchronous).parameters) == list(inspect.signature(asynchronous).parameters)


# --- tools -----------------------------------------------------------------------------------------------------------


@WATCHDOG
def test_a_run_gives_its_outcome(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """Tools are carried out between the answers, and what was said is there to go on from."""
    thread_simulator.script("anthropic", calls("weather"), Reply("Take an umbrella."))
    outcome = SyncToolLoop(llm, [weather]).run(QUESTION, "claude", max_tokens=500)
    assert (outcome.text, outcome.ending) == ("Take an umbrella.", RunEnding.ANSWERED)
    assert outcome.calls[0].result.content == "It rains in Rome."
    assert [message.role.value for message in outcome.said] == ["assistant", "tool", "assistant"]


@WATCHDOG
def test_a_persons_run_gives_messages(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """Persons call tools as well, streamed or not."""
    thread_simulator.script("anthropic", *[calls("weather"), Reply("Take an umbrella.")] * 2)
    said = [Message(from_person_id="host", content="How is Rome?")]
    loop = SyncToolLoop(llm, [weather])
    outcome = loop.run_with_person(said, "ada", ADA)
    with loop.stream_with_person(said, "ada", ADA) as run:
        text = "".join(event.text for event in run if isinstance(event, TextDelta))
    assert outcome.text == text == "Take an umbrella."
    for each in (outcome, run.outcome):
        assert [message.from_person_id for message in each.said] == ["ada", "tools", "ada"]
        assert isinstance(each.said[1].parts[0], ToolResultPart)


@WATCHDOG
def test_a_streamed_run_is_an_iterator_of_its_events(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """Events come while things happen; one may stop, look, and read on."""
    thread_simulator.script("anthropic", calls("weather"), Reply("Take an umbrella."))
    with SyncToolLoop(llm, [weather]).stream(QUESTION, "claude") as run:
        first = next(run)
        assert run.outcome.ending is RunEnding.RUNNING
        kinds = [type(event) for event in (first, *run)]
    assert [kind for kind in kinds if kind in (ToolStarted, ToolEnded, CompletionEnd, RunEnd)] == [
        *(CompletionEnd, ToolStarted, ToolEnded, CompletionEnd, RunEnd)
    ]
    assert kinds[-1] is RunEnd
    assert next(run, None) is None
    assert run.collect() == run.outcome
    assert repr(run) == "<SyncToolRun of <ToolRun answered: 2 answers, 1 calls>>"


@WATCHDOG
def test_many_threads_run_tools_through_one_door(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """Each of many runs at once gets its own results."""

    def work(number: int) -> list[object]:
        loop = SyncToolLoop(llm, [weather])
        question = [{"role": "user", "content": f"Use the weather tool for town {number}."}]
        if number % 2:
            with loop.stream(question, "openai") as run:
                outcome = run.collect()
        else:
            outcome = loop.run(question, "openai")
        assert outcome.is_answered
        return [call.result.content == f"It rains in {call.part.arguments['town']}." for call in outcome.calls]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(40))) == [[True]] * 40


@WATCHDOG
async def test_tools_run_under_a_running_loop(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """A blocking run on a loop's own thread comes back, and so do those in threads beside it."""

    def program() -> str:
        return SyncToolLoop(llm, [weather]).run(QUESTION, "openai").ending.value

    beside = [asyncio.ensure_future(asyncio.to_thread(program)) for _ in range(3)]
    assert program() == "answered"
    assert await asyncio.gather(*beside) == ["answered"] * 3


@WATCHDOG
def test_a_tool_may_ask_the_model_itself(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """A sync tool and a sync approval run in threads of their own, where the door may be used; an async tool runs on
    the loop that it would wait for, and is told so."""
    asked: list[str] = []

    def sub_question(town: str) -> str:
        """Asks somebody else."""
        return llm.complete([{"role": "user", "content": town}], "openai").text

    async def stuck(town: str) -> str:
        """Would wait for itself."""
        return llm.complete([{"role": "user", "content": town}], "openai").text

    def approve(call: PendingCall) -> bool:
        asked.append(llm.complete([{"role": "user", "content": "May it?"}], "openai").text)
        return True

    thread_simulator.script("anthropic", calls("sub_question"), calls("stuck"), Reply("Done."))
    thread_simulator.script("openai", Reply("Yes."), Reply("Sunny."), Reply("Yes."))
    outcome = SyncToolLoop(llm, [sub_question, stuck], approve=approve).run(QUESTION, "claude")
    assert asked == ["Yes.", "Yes."]
    assert [call.ending for call in outcome.calls] == [CallEnding.DONE, CallEnding.FAILED]
    assert outcome.calls[0].result.content == "Sunny."
    assert "must not wait for itself" in str(outcome.calls[1].error)


@WATCHDOG
def test_limits_of_time_hold_behind_the_door(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """The time of a run ends it in order; the time of a call is an error, and the run says that it failed."""
    tool = Slow()
    thread_simulator.script("anthropic", calls("slow"))
    outcome = SyncToolLoop(llm, [tool.slow], limits=ToolLimits(timeout_s=0.2)).run(QUESTION, "claude")
    assert outcome.ending is RunEnding.TIME
    assert tool.was_stopped.wait(2)
    thread_simulator.script("anthropic", Fault.hang())
    run = SyncToolLoop(llm, [tool.slow]).stream(QUESTION, "claude", timeout_s=0.2)
    with run, pytest.raises(errors.DeadlineExceededError):
        run.collect()
    with pytest.raises(errors.DeadlineExceededError):
        run.collect()
    assert run.outcome.ending is RunEnding.FAILED


# --- interrupted, left, dropped --------------------------------------------------------------------------------------


@contextmanager
def interrupted_when(is_so: Callable[[], bool]) -> Iterator[None]:
    """Ctrl-C in the main thread, as soon as this is so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident or 0

    def watch() -> None:
        wait_until(is_so)
        signal.pthread_kill(main, signal.SIGINT)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        watcher.join()
        signal.signal(signal.SIGINT, before)


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.005)


@WATCHDOG
def test_an_interrupt_of_the_waiting_thread_cancels_the_run(
    llm: SyncLLMService, thread_simulator: ProviderSimulator
) -> None:
    """Tools are stopped before the interrupt is seen, and the outcome of a streamed run says what was done."""
    thread_simulator.script("anthropic", calls("slow"), calls("slow"))
    tool = Slow()
    with interrupted_when(tool.has_begun.is_set):
        SyncToolLoop(llm, [tool.slow]).run(QUESTION, "claude")
    assert tool.was_stopped.is_set()
    tool = Slow()
    run = SyncToolLoop(llm, [tool.slow]).stream(QUESTION, "claude")
    with interrupted_when(tool.has_begun.is_set), run:
        for event in run:
            assert not isinstance(event, ToolEnded)
    assert tool.was_stopped.is_set()
    assert run.outcome.ending is RunEnding.CANCELLED
    assert [call.ending for call in run.outcome.calls] == [CallEnding.CANCELLED]


@WATCHDOG
def test_an_interrupt_cancels_a_call_for_a_shape(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """The connection is closed when the interrupt is seen: nobody goes on to be billed."""
    thread_simulator.script("anthropic", Fault.hang(), Fault.hang(after_chunks=1))
    structured = SyncStructuredOutput(llm)
    with interrupted_when(lambda: len(thread_simulator.requests) == 1):
        structured.complete(QUESTION, "claude", Town)
    with interrupted_when(lambda: len(thread_simulator.requests) == 2):
        structured.stream(QUESTION, "claude", Town).collect()
    wait_until(lambda: thread_simulator.open_connections == 0)


@WATCHDOG
def test_who_leaves_a_run_stops_its_tools(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """Leaving the block waits until the tools were stopped; closing again does nothing."""
    thread_simulator.script("anthropic", calls("slow", "weather"))
    tool = Slow()
    with SyncToolLoop(llm, [tool.slow, weather]).stream(QUESTION, "claude") as run:
        for event in run:
            if isinstance(event, ToolEnded):
                break
    assert tool.was_stopped.is_set()
    assert run.outcome.ending is RunEnding.CANCELLED
    run.close()


@WATCHDOG
def test_what_is_dropped_is_closed(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """A plain loop over events, values or text that breaks off leaves no tool running and no connection open."""
    tool = Slow()
    thread_simulator.script("anthropic", calls("slow", "weather"), *[Reply("word " * 400, chunk_delay_s=0.01)] * 3)
    for event in SyncToolLoop(llm, [tool.slow, weather]).stream(QUESTION, "claude"):
        if isinstance(event, ToolEnded):
            break
    assert tool.was_stopped.wait(5)
    for _ in SyncToolLoop(llm, [weather]).stream(QUESTION, "claude"):
        break
    for _ in SyncStructuredOutput(llm).stream(QUESTION, "claude", list[str]):
        break
    for _ in llm.stream(QUESTION, "claude").text():
        break
    assert len(thread_simulator.requests) == 4
    wait_until(lambda: thread_simulator.open_connections == 0)


@WATCHDOG
def test_what_is_dropped_after_the_door_is_closed_does_no_harm(thread_simulator: ProviderSimulator) -> None:
    """The door has closed what was open; reading on is a mistake in the program."""
    thread_simulator.script("anthropic", calls("slow", "weather"))
    tool = Slow()
    with dipeo.connect_sync(Settings(base_urls=thread_simulator.base_urls, environ=ENVIRON)) as llm:
        run = SyncToolLoop(llm, [tool.slow, weather]).stream(QUESTION, "claude")
        assert any(isinstance(event, ToolEnded) for event in run)
    assert tool.was_stopped.is_set()
    assert run.outcome.ending is RunEnding.CANCELLED
    with pytest.raises(errors.ServiceClosedError):
        next(run)
    with pytest.raises(errors.ServiceClosedError):
        SyncToolLoop(llm, [weather]).run(QUESTION, "claude")
    with pytest.raises(errors.ServiceClosedError):
        SyncStructuredOutput(llm).complete(QUESTION, "claude", Town)
    del run


@forks
@WATCHDOG
def test_a_forked_worker_leaves_the_streams_of_its_parent_alone(
    llm: SyncLLMService, thread_simulator: ProviderSimulator
) -> None:
    """What a child process drops goes on in the parent."""
    thread_simulator.script("anthropic", Reply("word " * 20, chunk_delay_s=0.01))
    held = [llm.stream(QUESTION, "claude")]
    next(held[0])
    child = os.fork()
    if child == 0:
        try:
            llm.complete(QUESTION, "openai")
            held.clear()
            llm.complete(QUESTION, "openai")
            os._exit(0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with held[0] as stream:
        assert stream.collect().text == "word " * 20


# --- shapes ----------------------------------------------------------------------------------------------------------


@WATCHDOG
def test_a_shape_is_a_value_behind_the_door(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """What does not fit is asked for again, for persons as well, and what never fits is an error."""
    bad, good = Reply('{"name": "Rome", "rain_mm": -1}'), Reply('{"name": "Rome", "rain_mm": 3}')
    thread_simulator.script("openai", bad, good, bad, good, bad, bad)
    structured = SyncStructuredOutput(llm, max_reasks=1)
    answer = structured.complete(QUESTION, "openai", Town)
    assert answer.value == Town(name="Rome", rain_mm=3)
    assert len(answer.problems) == 1
    said = [Message(from_person_id="host", content="How is Rome?")]
    assert structured.complete_with_person(said, "ada", PersonLLMConfig(model="openai"), Town).value == answer.value
    with pytest.raises(errors.MalformedResponseError) as caught:
        structured.complete(QUESTION, "openai", Town)
    assert len(caught.value.attempts) == 2


@WATCHDOG
def test_values_are_known_piece_by_piece(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """`partials()` is a plain iterator, and so is the stream; the answer is there at the end."""
    bad, good = Reply('{"name": "Rome", "rain_mm": -1}'), Reply('{"name": "Rome in rain", "rain_mm": 3}')
    thread_simulator.script("openai", good, bad, good)
    structured = SyncStructuredOutput(llm)
    with structured.stream(QUESTION, "openai", Town) as stream:
        values = stream.partials()
        first = next(values)
        with pytest.raises(errors.StreamNotFinishedError):
            _ = stream.answer
        known = [first, *values]
    assert len(known) > 1
    assert known[-1] == {"name": "Rome in rain", "rain_mm": 3}
    assert stream.answer.value == Town(name="Rome in rain", rain_mm=3)
    said = [Message(from_person_id="host", content="How is Rome?")]
    with structured.stream_with_person(said, "ada", PersonLLMConfig(model="openai"), Town) as again:
        kinds = [type(event) for event in again]
    assert [kind for kind in kinds if kind in (AskedAgain, StructuredEnd)] == [AskedAgain, StructuredEnd]
    assert again.collect() == again.answer


@WATCHDOG
def test_all_tries_of_a_shape_share_their_time(llm: SyncLLMService, thread_simulator: ProviderSimulator) -> None:
    """The deadline of a call holds, over a provider that hangs."""
    thread_simulator.script("openai", Reply("{}"), Fault.hang())
    with pytest.raises(errors.DeadlineExceededError):
        SyncStructuredOutput(llm).complete(QUESTION, "openai", Town, timeout_s=0.3)
    assert len(thread_simulator.requests) == 2


@WATCHDOG
def test_shapes_are_asked_for_in_many_threads(llm: SyncLLMService) -> None:
    """Runs that have no door of their own share the one."""

    def work(number: int) -> bool:
        structured = SyncStructuredOutput(llm)
        if number % 2:
            return structured.complete(QUESTION, "openai", list[int]).value is not None
        return structured.stream(QUESTION, "gemini", list[int]).collect().value is not None

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(40)))


def test_a_script_stands_in_for_the_providers() -> None:
    """Programs are tested behind the door as in front of it."""
    model = ScriptedModel('{"name": "Rome", "rain_mm": 3}', "Good day.")
    with model, dipeo.connect_sync(Settings(environ={}), model=model) as llm:
        assert SyncStructuredOutput(llm).complete(QUESTION, "openai", Town).value.rain_mm == 3
        loop = SyncToolLoop(llm, [weather])
        assert loop.run(QUESTION, "openai").text == "Good day."
    assert repr(loop) == "<SyncToolLoop weather>"
