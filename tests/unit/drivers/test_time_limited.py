"""What is not done by the deadline is ended, and nothing else is."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain import errors
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.parts import TextPart
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, ReasoningDelta, TextDelta
from dipeo.infrastructure.llm.wrappers.time_limited import TimeLimitedModel
from dipeo.testing import ManualClock, ScriptedModel
from tests.virtual_world.virtual_loop import VirtualClock, VirtualLoop, run_virtual

SOON_S = 0.01
LATER_S = 60.0


def request(deadline_at_s: float | None) -> CompletionRequest:
    """A request with this deadline."""
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    return CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, deadline_at_s=deadline_at_s)


class Hanging(ChatModelPort):
    """Says "Hel" where it is streamed, and then waits until it is let go or told to answer."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = 0
        self.may_answer = asyncio.Event()

    async def complete(self, request: CompletionRequest) -> Completion:
        """Waits, then answers."""
        self.asked += 1
        try:
            await self.may_answer.wait()
        finally:
            self.closed += 1
        return Completion(
            service=LLMService.OPENAI, model="m", parts=(TextPart("Hello."),), finish_reason=FinishReason.STOP
        )

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """Some text, then as `complete()`."""
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        yield TextDelta("Hel")
        yield CompletionEnd(await self.complete(request))


async def ask(model: ChatModelPort, way: str, deadline_at_s: float | None) -> Completion:
    """One call, unary or streamed."""
    asked = request(deadline_at_s)
    return await (model.complete(asked) if way == "complete" else model.stream(asked).collect())


ways = pytest.mark.parametrize("way", ["complete", "stream"])


@ways
@pytest.mark.parametrize("deadline_at_s", [None, LATER_S])
async def test_what_is_in_time_passes(way: str, deadline_at_s: float | None) -> None:
    """Answers and errors come through unchanged, with a deadline and without."""
    problem = errors.OverloadedError()
    model = TimeLimitedModel(ScriptedModel("Hello there.", problem), ManualClock())
    assert (await ask(model, way, deadline_at_s)).text == "Hello there."
    with pytest.raises(errors.OverloadedError) as caught:
        await ask(model, way, deadline_at_s)
    assert caught.value is problem


@ways
async def test_what_is_late_is_ended(way: str) -> None:
    """The error is ours and knows provider and model, and the connection is let go."""
    inner = Hanging()
    with pytest.raises(errors.DeadlineExceededError) as caught:
        await ask(TimeLimitedModel(inner, ManualClock()), way, SOON_S)
    assert (caught.value.provider, caught.value.model) == ("openai", "m")
    assert caught.value.is_outcome_unknown
    assert inner.closed == 1


async def test_what_had_arrived_is_kept() -> None:
    """The text that was delivered before the end is on the error; where there was none, nothing is said of it."""
    model = TimeLimitedModel(Hanging(), ManualClock())
    with pytest.raises(errors.DeadlineExceededError) as caught:
        await model.stream(request(SOON_S)).collect()
    assert caught.value.context == {"partial_text": "Hel", "phase": "total"}
    with pytest.raises(errors.DeadlineExceededError) as caught:
        await model.complete(request(SOON_S))
    assert caught.value.context == {"phase": "total"}


@ways
@pytest.mark.parametrize("deadline_at_s", [100.0, 99.0, 0.0])
async def test_after_the_deadline_nobody_is_asked(way: str, deadline_at_s: float) -> None:
    """A request that could only be too late is not sent at all."""
    clock = ManualClock()
    clock.advance(100)
    inner = ScriptedModel("Hello.")
    with pytest.raises(errors.DeadlineExceededError):
        await ask(TimeLimitedModel(inner, clock), way, deadline_at_s)
    assert inner.asked == []


async def test_the_readers_own_time_counts() -> None:
    """A reader who works past the deadline gets no further event, and the source is let go."""
    inner = ScriptedModel("Hello there.")
    async with TimeLimitedModel(inner, ManualClock()).stream(request(SOON_S)) as stream:
        assert await anext(stream) == TextDelta("Hello")
        await asyncio.sleep(SOON_S * 3)
        with pytest.raises(errors.DeadlineExceededError):
            await anext(stream)


@ways
async def test_cancellation_is_not_taken_for_lateness(way: str) -> None:
    """A caller who is cancelled is cancelled, and the connection is let go."""
    inner = Hanging()
    task = asyncio.ensure_future(ask(TimeLimitedModel(inner, ManualClock()), way, LATER_S))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inner.closed == 1


@ways
async def test_cancellation_wins_over_lateness(way: str) -> None:
    """Both at once is a cancellation: whoever cancels a task must see it end so."""
    inner = Hanging()
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(ask(TimeLimitedModel(inner, ManualClock()), way, SOON_S))
    await asyncio.sleep(0)
    loop.call_at(loop.time() + SOON_S, task.cancel)
    until = loop.time() + SOON_S * 2
    while loop.time() < until:
        pass  # Both timers go off in one turn of the loop.
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@ways
async def test_lateness_leaves_no_cancellation_behind(way: str) -> None:
    """The task that was told of the deadline goes on as if nobody had ever cancelled it."""
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(errors.DeadlineExceededError):
        await ask(TimeLimitedModel(Hanging(), ManualClock()), way, SOON_S)
    assert task.cancelling() == 0
    await asyncio.sleep(0)


@ways
async def test_lateness_is_told_in_a_task_that_was_cancelled_before(way: str) -> None:
    """Clean-up work of a cancelled task has deadlines too, and hears of them as everybody does."""
    outcome: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await ask(TimeLimitedModel(Hanging(), ManualClock()), way, SOON_S)
            except errors.DeadlineExceededError:
                outcome.append("late")

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcome == ["late"]


class Stubborn(Hanging):
    """Answers although it was cancelled."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Waits; being let go, answers all the same."""
        try:
            return await super().complete(request)
        except asyncio.CancelledError:
            self.may_answer.set()
            return await super().complete(request)


@ways
async def test_an_answer_in_the_last_moment_leaves_no_cancellation_behind(way: str) -> None:
    """Whether such an answer counts or not, the task is not left half cancelled."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(errors.DeadlineExceededError):
        await ask(TimeLimitedModel(Stubborn(), ManualClock()), way, SOON_S)
    assert task.cancelling() == 0


class Translating(Hanging):
    """Makes an error of its own out of being let go."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Waits; being let go, says that the connection was lost."""
        try:
            return await super().complete(request)
        except asyncio.CancelledError:
            raise errors.ConnectionLostError from None


@ways
async def test_an_error_in_the_last_moment_leaves_no_cancellation_behind(way: str) -> None:
    """Whatever the inside makes of its end, the task is not left half cancelled."""
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises((errors.DeadlineExceededError, errors.ConnectionLostError)):
        await ask(TimeLimitedModel(Translating(), ManualClock()), way, SOON_S)
    assert task.cancelling() == 0


@ways
async def test_calls_at_once_have_each_their_own_deadline(way: str) -> None:
    """The late one is ended, the ones with more time or none are not, whichever began first."""
    for deadlines in ((SOON_S, LATER_S, None), (LATER_S, None, SOON_S), (None, SOON_S * 2, SOON_S, LATER_S)):
        inner = Hanging()
        model = TimeLimitedModel(inner, ManualClock())
        tasks = [asyncio.ensure_future(ask(model, way, deadline)) for deadline in deadlines]
        late = [task for task, deadline in zip(tasks, deadlines, strict=True) if deadline and deadline < 1]
        await asyncio.wait(late, timeout=5)
        assert all(isinstance(task.exception(), errors.DeadlineExceededError) for task in late)
        assert not any(task.done() for task in tasks if task not in late)
        inner.may_answer.set()
        for task in tasks:
            if task not in late:
                assert (await task).text == "Hello."


@ways
async def test_a_call_after_many_has_its_deadline(way: str) -> None:
    """Deadlines that were never reached do not get in the way of one that is."""
    clock = ManualClock()
    quick = TimeLimitedModel(ScriptedModel(*["Hello."] * 50), clock)
    for number in range(50):
        await ask(quick, way, LATER_S - number)
    inner = Hanging()
    with pytest.raises(errors.DeadlineExceededError):
        await ask(TimeLimitedModel(inner, clock), way, SOON_S)


class Endless(ScriptedModel):
    """Never answers, on whichever loop it is asked."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Waits for ever."""
        forever: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        return await forever


def test_one_model_serves_several_event_loops() -> None:
    """A deadline in a second loop is kept like one in the first."""
    model = TimeLimitedModel(Endless(), ManualClock())
    for _ in range(3):
        with pytest.raises(errors.DeadlineExceededError):
            asyncio.run(ask(model, "complete", SOON_S))


async def test_a_reader_who_leaves_lets_go_of_the_source() -> None:
    """Closing the stream closes what is inside."""
    closed: list[str] = []

    async def source() -> AsyncGenerator[CompletionEvent, None]:
        try:
            yield TextDelta("a")
            yield TextDelta("b")
        finally:
            closed.append("source")

    class Inner(ScriptedModel):
        """Streams from the source above."""

        def stream(self, request: CompletionRequest) -> CompletionStream:
            return CompletionStream(source())

    async with TimeLimitedModel(Inner(), ManualClock()).stream(request(LATER_S)) as stream:
        await anext(stream)
    assert closed == ["source"]


class Paced(ChatModelPort):
    """Streams each event that many seconds after the one before was taken; then ends."""

    def __init__(self, *paces: tuple[float, CompletionEvent]) -> None:
        self.paces = paces
        self.closed_at_s: float | None = None

    async def complete(self, request: CompletionRequest) -> Completion:
        """Not used here."""
        raise NotImplementedError

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """The events."""
        return CompletionStream(self._events())

    async def _events(self) -> AsyncGenerator[CompletionEvent, None]:
        try:
            for pause_s, event in self.paces:
                await asyncio.sleep(pause_s)
                yield event
        finally:
            self.closed_at_s = asyncio.get_running_loop().time()


A, B = TextDelta("Hel"), TextDelta("lo.")


def heard(
    inner: Paced, *, reader_works_s: float = 0.0, deadline_at_s: float = 100.0, **limits: float | None
) -> tuple[list[CompletionEvent], errors.DipeoError | None, float]:
    """What a reader hears who takes a while for each event, the error if there was one, and when it was over."""
    facts: dict[str, Any] = {f"{name}_timeout_s": limit for name, limit in limits.items()}
    asked = evolve(request(deadline_at_s), **facts)

    async def read(loop: VirtualLoop) -> tuple[list[CompletionEvent], errors.DipeoError | None]:
        events: list[CompletionEvent] = []
        try:
            async with TimeLimitedModel(inner, VirtualClock(loop)).stream(asked) as stream:
                async for event in stream:
                    events.append(event)
                    await asyncio.sleep(reader_works_s)
        except errors.DipeoError as error:
            return events, error
        return events, None

    run = run_virtual(1, read)
    return *run.result, run.ended_at_s


def test_a_first_event_that_is_long_in_coming_is_not_waited_for() -> None:
    """The error says how long was waited, and that nothing had come."""
    inner = Paced((5.0, A))
    events, error, ended_at_s = heard(inner, first_token=2.0, idle=1.0)
    assert (events, ended_at_s, inner.closed_at_s) == ([], 2.0, 2.0)
    assert isinstance(error, errors.DeadlineExceededError)
    assert (error.message, error.context) == ("Nothing came within 2 s.", {"phase": "first_token"})
    assert (error.provider, error.model) == ("openai", "m")


def test_a_stream_that_falls_silent_is_not_waited_for() -> None:
    """It broke off: the text that had come is on the error, and how long was waited."""
    inner = Paced((1.0, A), (1.0, B), (4.0, A))
    events, error, ended_at_s = heard(inner, first_token=2.0, idle=3.0)
    assert (events, ended_at_s, inner.closed_at_s) == ([A, B], 5.0, 5.0)
    assert isinstance(error, errors.IncompleteStreamError)
    assert error.message == "The stream fell silent for 3 s after 6 characters."
    assert (error.context["partial_text"], error.context["phase"]) == ("Hello.", "idle")
    assert (error.provider, error.model) == ("openai", "m")


def test_thoughts_are_events_and_no_text() -> None:
    """They count against silence, and are not in the text that is told afterwards."""
    thought = ReasoningDelta("hm")
    events, error, ended_at_s = heard(Paced((1.0, thought), (2.5, A), (9.0, B)), idle=3.0)
    assert (events, ended_at_s) == ([thought, A], 6.5)
    assert isinstance(error, errors.IncompleteStreamError)
    assert error.context["partial_text"] == "Hel"
    events, error, ended_at_s = heard(Paced((1.0, thought), (9.0, B)), idle=3.0)
    assert (events, ended_at_s) == ([thought], 4.0)
    assert isinstance(error, errors.IncompleteStreamError)
    assert "0 characters" in error.message


@pytest.mark.parametrize(("first_token", "idle"), [(2.0, 3.0), (None, 3.0), (2.0, None), (None, None)])
def test_what_comes_within_the_limits_passes(first_token: float | None, idle: float | None) -> None:
    """Each wait has its own limit, and they do not add up."""
    events, error, ended_at_s = heard(Paced((1.9, A), (2.9, B), (2.9, A)), first_token=first_token, idle=idle)
    assert (events, error) == ([A, B, A], None)
    assert ended_at_s == pytest.approx(7.7)


def test_a_limit_on_silence_does_not_limit_the_first_event() -> None:
    """Without a limit of its own the first event may take its time."""
    assert heard(Paced((50.0, A), (1.0, B)), idle=2.0)[:2] == ([A, B], None)


@pytest.mark.parametrize(
    ("deadline_at_s", "paces", "partial"),
    [(2.0, ((9.0, A),), None), (1.5, ((9.0, A),), None), (4.0, ((1.0, A), (9.0, B)), "Hel")],
)
def test_the_deadline_counts_where_it_is_not_later(
    deadline_at_s: float, paces: tuple[tuple[float, CompletionEvent], ...], partial: str | None
) -> None:
    """A limit that reaches the deadline or beyond is not the one that was passed."""
    _, error, ended_at_s = heard(Paced(*paces), deadline_at_s=deadline_at_s, first_token=2.0, idle=3.0)
    assert ended_at_s == deadline_at_s
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.message == errors.DeadlineExceededError.default_message
    assert error.context == ({"phase": "total", "partial_text": partial} if partial else {"phase": "total"})


def test_a_reader_may_take_longer_than_the_provider() -> None:
    """The time between two events in which nobody waits is no silence; after it, the limit holds as before."""
    assert heard(Paced((1.0, A), (1.0, B)), reader_works_s=10.0, first_token=2.0, idle=2.0)[:2] == ([A, B], None)
    events, error, ended_at_s = heard(Paced((1.0, A), (9.0, B)), reader_works_s=10.0, first_token=2.0, idle=2.0)
    assert (events, ended_at_s) == ([A], 13.0)
    assert isinstance(error, errors.IncompleteStreamError)


def test_a_reader_may_not_take_longer_than_the_deadline() -> None:
    """What comes after it is not given, even if it was there in time."""
    events, error, ended_at_s = heard(
        Paced((1.0, A), (0.0, B)), deadline_at_s=8.0, reader_works_s=20.0, first_token=2.0, idle=2.0
    )
    assert (events, ended_at_s) == ([A], 21.0)
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.context == {"phase": "total", "partial_text": "Hel"}


def test_a_deadline_is_a_moment_of_the_clock_and_not_of_the_loop() -> None:
    """The two may count from different beginnings."""

    async def ask_late(loop: VirtualLoop) -> None:
        clock = ManualClock()
        clock.advance(1000.0)
        with pytest.raises(errors.DeadlineExceededError):
            await TimeLimitedModel(Hanging(), clock).complete(request(1002.5))
        assert loop.time() == 2.5

    run_virtual(1, ask_late)


@ways
def test_what_is_over_is_forgotten(way: str) -> None:
    """Calls that ended in time leave one timer, which finds nothing and is not set again."""

    async def ask_often(loop: VirtualLoop) -> None:
        model = TimeLimitedModel(ScriptedModel(*["Hello."] * 5), VirtualClock(loop))
        for _ in range(5):
            await ask(model, way, loop.time() + 5.5)
            assert [handle.when() for handle in loop._scheduled if not handle.cancelled()] == [5.5]
            await asyncio.sleep(1.0)
        await asyncio.sleep(1.0)
        assert [handle for handle in loop._scheduled if not handle.cancelled()] == []

    run_virtual(1, ask_often)


@ways
async def test_the_beginning_of_time_is_a_deadline_too(way: str) -> None:
    """Zero is a moment like any other, and not the lack of one."""
    inner = ScriptedModel("Hello.")
    with pytest.raises(errors.DeadlineExceededError):
        await ask(TimeLimitedModel(inner, ManualClock()), way, 0.0)
    assert inner.asked == []


def test_a_stream_that_thought_and_then_fell_silent_fell_silent() -> None:
    """Thoughts are a beginning: what comes too late after them is told as silence, not as a late first event."""
    thought = ReasoningDelta("Hm.")
    events, error, ended_at_s = heard(Paced((1.0, thought), (9.0, B)), first_token=2.0, idle=3.0)
    assert events == [thought]
    assert isinstance(error, errors.IncompleteStreamError)
    assert error.context["phase"] == "idle"
    assert ended_at_s == pytest.approx(4.0)


class Roused(Paced):
    """Says its first word when it is told to leave, and goes on at its own pace."""

    async def _events(self) -> AsyncGenerator[CompletionEvent, None]:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(50.0)
        yield A
        await asyncio.sleep(1.0)
        yield B


def test_a_word_in_the_last_moment_begins_the_stream() -> None:
    """Once it has come, the limit for it is over, and the limit for silences counts."""
    assert heard(Roused(), first_token=2.0, idle=3.0) == ([A, B], None, 3.0)
    events, error, ended_at_s = heard(Roused(), first_token=2.0, idle=0.5)
    assert (events, ended_at_s) == ([A], 2.5)
    assert isinstance(error, errors.IncompleteStreamError)
    assert error.context["phase"] == "idle"


async def test_nothing_is_delivered_after_the_deadline() -> None:
    """A reader who keeps the loop to themselves past it hears no more, though more had come: their time counts too."""

    async def source() -> AsyncGenerator[CompletionEvent, None]:
        yield A
        yield B

    class Inner(ScriptedModel):
        """Streams from the source above."""

        def stream(self, request: CompletionRequest) -> CompletionStream:
            return CompletionStream(source())

    loop = asyncio.get_running_loop()
    async with TimeLimitedModel(Inner(), ManualClock()).stream(request(SOON_S)) as stream:
        assert await anext(stream) == A
        busy_until = loop.time() + 2 * SOON_S
        while loop.time() < busy_until:
            pass
        with pytest.raises(errors.DeadlineExceededError) as caught:
            await anext(stream)
    assert (caught.value.context["phase"], caught.value.context["partial_text"]) == ("total", "Hel")
