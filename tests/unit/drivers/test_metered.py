"""Every attempt is written down, and nothing that was none."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest

from dipeo.domain import errors
from dipeo.domain.attempt import Attempt, Billed
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.parts import TextPart
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.testing import FakeKeys, FakeLedger, ManualClock, ScriptedModel

ANSWER = Completion(
    service=LLMService.OPENAI,
    model="m-2026",
    parts=(TextPart("Hello there."),),
    finish_reason=FinishReason.STOP,
    usage=Usage(input_tokens=3, output_tokens=2),
    request_id="req-1",
)


def request(**values: Any) -> CompletionRequest:
    """A request of a person."""
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    facts: dict[str, Any] = {"call_id": "call-1", "person_id": "ada", "attempt_number": 2, "waited_s": 1.5, **values}
    return CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, **facts)


class Slow(ChatModelPort):
    """Takes a quarter of a second by the clock, then answers, fails, or waits for ever."""

    def __init__(self, clock: ManualClock, answer: Completion | Exception | None) -> None:
        self.clock = clock
        self.answer = answer

    async def complete(self, request: CompletionRequest) -> Completion:
        """The answer, a quarter of a second later."""
        self.clock.advance(0.25)
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """Two deltas, then what `complete()` comes to."""
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        yield TextDelta("Hello")
        yield TextDelta(" there.")
        yield CompletionEnd(await self.complete(request))


class Bench:
    """A metered model around a slow one."""

    def __init__(self, answer: Completion | Exception | None, *, keys: FakeKeys | None = None) -> None:
        self.clock = ManualClock()
        self.ledger = FakeLedger()
        self.model = MeteredModel(
            Slow(self.clock, answer), ledger=self.ledger, keys=keys or FakeKeys({"team": "sk-team"}), clock=self.clock
        )

    async def ask(self, way: str, **values: Any) -> Completion:
        """One call, unary or streamed."""
        if way == "complete":
            return await self.model.complete(request(**values))
        return await self.model.stream(request(**values)).collect()


ways = pytest.mark.parametrize("way", ["complete", "stream"])


async def answer_of(model: MeteredModel, way: str, asked: CompletionRequest | None = None) -> Completion:
    """What the model answers, unary or streamed."""
    asked = asked or request()
    return await (model.complete(asked) if way == "complete" else model.stream(asked).collect())


async def caller_of(ledger: "SlowLedger", way: str) -> "asyncio.Task[Completion]":
    """One who has the answer, and for whom the ledger writes now."""
    clock = ManualClock()
    model = MeteredModel(Slow(clock, ANSWER), ledger=ledger, keys=FakeKeys(), clock=clock)
    task = asyncio.ensure_future(answer_of(model, way))
    while not ledger.begun:
        await asyncio.sleep(0)
    return task


@ways
async def test_a_success_is_recorded_with_all_that_is_known(way: str) -> None:
    """Who, what, when, how long, with which key, and what it used; the same record is on the completion."""
    bench = Bench(ANSWER)
    completion = await bench.ask(way, api_key_id="team")
    (attempt,) = bench.ledger.recorded
    assert completion.attempts == (attempt,)
    assert completion.latency_ms == attempt.latency_ms == 250
    assert (attempt.call_id, attempt.number, attempt.waited_s, attempt.person_id) == ("call-1", 2, 1.5, "ada")
    assert (attempt.service, attempt.model, attempt.status) == (LLMService.OPENAI, "m", 200)
    assert (attempt.verdict, attempt.usage, attempt.request_id) == (None, ANSWER.usage, "req-1")
    assert attempt.started_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert attempt.key_fingerprint == Secret("sk-team").fingerprint
    assert attempt.billed is Billed.YES


@ways
async def test_the_answer_is_the_same_but_for_the_record(way: str) -> None:
    """Nothing else of the completion changes."""
    completion = await Bench(ANSWER).ask(way)
    assert completion.with_attempts((), latency_ms=0.0) == ANSWER


@ways
async def test_a_failure_is_recorded_and_raised(way: str) -> None:
    """The record holds what the error knows, and the error holds the record."""
    problem = errors.RateLimitError(status=429, provider_code="slow", request_id="req-9", retry_after_s=2.0)
    bench = Bench(problem)
    with pytest.raises(errors.RateLimitError) as caught:
        await bench.ask(way)
    (attempt,) = bench.ledger.recorded
    assert caught.value is problem
    assert problem.attempts == (attempt,)
    assert (attempt.verdict, attempt.status, attempt.provider_code) == (Verdict.RATE_LIMITED, 429, "slow")
    assert (attempt.request_id, attempt.retry_after_s, attempt.latency_ms) == ("req-9", 2.0, 250)
    assert (attempt.usage, attempt.billed) == (UNREPORTED_USAGE, Billed.NO)


@ways
@pytest.mark.parametrize(
    "problem",
    [
        errors.ValidationError("refused", field="x"),
        errors.UnsupportedParameterError("refused"),
        errors.UnknownServiceError("refused"),
        errors.ConfigurationError("refused"),
        errors.MissingAPIKeyError("refused"),
        errors.MalformedAPIKeyError("refused"),
    ],
)
async def test_what_was_refused_here_is_no_attempt(way: str, problem: errors.DipeoError) -> None:
    """Nothing was sent, so nothing is recorded."""
    bench = Bench(problem)
    with pytest.raises(type(problem)) as caught:
        await bench.ask(way)
    assert bench.ledger.recorded == []
    assert caught.value.attempts == ()


@ways
@pytest.mark.parametrize(
    ("problem", "verdict"),
    [
        (errors.InvalidRequestError(status=400), Verdict.BAD_REQUEST),
        (errors.ContextTooLongError(status=400), Verdict.CONTEXT_TOO_LONG),
        (errors.ConfigurationError(status=307), Verdict.CONFIG_ERROR),
        (errors.APIKeyRefusedError(status=401), Verdict.AUTH_FAILED),
        (errors.ConnectFailedError(), Verdict.CONNECT_FAILED),
        (errors.DeadlineExceededError(), Verdict.DEADLINE_EXCEEDED),
        (errors.AgentFailureError(), Verdict.PROVIDER_ERROR),
    ],
)
async def test_what_the_provider_refused_is_one(way: str, problem: errors.DipeoError, verdict: Verdict) -> None:
    """A refusal that came over the wire, and a failure on the way, are attempts."""
    bench = Bench(problem)
    with pytest.raises(type(problem)):
        await bench.ask(way)
    assert [attempt.verdict for attempt in bench.ledger.recorded] == [verdict]


@ways
async def test_a_cancelled_call_is_recorded_and_stays_cancelled(way: str) -> None:
    """Nobody saw the end, so it may have been billed."""
    bench = Bench(None)
    task = asyncio.ensure_future(bench.ask(way))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (attempt,) = bench.ledger.recorded
    assert (attempt.verdict, attempt.billed, attempt.usage) == (Verdict.CANCELLED, Billed.PERHAPS, UNREPORTED_USAGE)


async def test_a_reader_who_leaves_early_is_recorded_as_cancelled() -> None:
    """Leaving the stream gives the answer up, and is written down before the next line runs."""
    bench = Bench(ANSWER)
    async with bench.model.stream(request()) as stream:
        await anext(stream)
        assert bench.ledger.recorded == []
    assert [attempt.verdict for attempt in bench.ledger.recorded] == [Verdict.CANCELLED]


async def test_a_reader_who_leaves_at_the_end_has_the_answer() -> None:
    """Who takes the last event and goes has made one attempt, and a successful one."""
    bench = Bench(ANSWER)
    async with bench.model.stream(request()) as stream:
        async for event in stream:
            if isinstance(event, CompletionEnd):
                break
    assert [attempt.verdict for attempt in bench.ledger.recorded] == [None]


async def test_a_stream_nobody_read_is_no_attempt() -> None:
    """Nothing is sent before the first event is asked for."""
    bench = Bench(ANSWER)
    async with bench.model.stream(request()):
        pass
    assert bench.ledger.recorded == []


@ways
async def test_a_call_without_a_key_has_no_fingerprint(way: str) -> None:
    """A local model needs no key."""
    bench = Bench(ANSWER, keys=FakeKeys(services=()))
    await bench.ask(way)
    assert bench.ledger.recorded[0].key_fingerprint is None


@ways
async def test_the_key_itself_is_not_recorded(way: str) -> None:
    """The record tells keys apart and does not reveal them."""
    bench = Bench(ANSWER)
    await bench.ask(way, api_key_id="team")
    assert "sk-team" not in repr(bench.ledger.recorded)


@ways
async def test_every_attempt_is_recorded_by_itself(way: str) -> None:
    """Several calls are several records, in order."""
    ledger, clock = FakeLedger(), ManualClock()
    inner = ScriptedModel("a", errors.OverloadedError(), "b")
    model = MeteredModel(inner, ledger=ledger, keys=FakeKeys(), clock=clock)
    for number in range(3):
        asked = request(call_id=f"call-{number}")
        with contextlib.suppress(errors.OverloadedError):
            await (model.complete(asked) if way == "complete" else model.stream(asked).collect())
    assert [(each.call_id, each.verdict) for each in ledger.recorded] == [
        ("call-0", None),
        ("call-1", Verdict.OVERLOADED),
        ("call-2", None),
    ]


class FailingKeys(APIKeyPort):
    """A source of keys that cannot be read."""

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        """Fails."""
        raise errors.ConfigurationError("The key file cannot be read.")

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        """Nowhere."""
        return "nowhere"


@ways
async def test_a_source_of_keys_that_fails_costs_no_answer(way: str) -> None:
    """Whose key it was is then not known; all else is recorded."""
    clock, ledger = ManualClock(), FakeLedger()
    model = MeteredModel(Slow(clock, ANSWER), ledger=ledger, keys=FailingKeys(), clock=clock)
    await answer_of(model, way)
    (attempt,) = ledger.recorded
    assert (attempt.key_fingerprint, attempt.status, attempt.usage) == (None, 200, ANSWER.usage)


@ways
async def test_the_key_of_the_call_is_recorded_though_another_comes(way: str) -> None:
    """What counts is the key at the beginning, of the service that is asked."""
    bench = Bench(ANSWER, keys=FakeKeys({"team": "sk-team", "other": "sk-other"}))
    await bench.ask(way, api_key_id="other")
    assert bench.ledger.recorded[0].key_fingerprint == Secret("sk-other").fingerprint


class KeyPerService(APIKeyPort):
    """A key for each service."""

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        """That of the service."""
        return Secret(f"sk-{service.value}")

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        """Everywhere."""
        return "everywhere"


@ways
async def test_the_key_is_that_of_the_service(way: str) -> None:
    """Another service has another key."""
    clock, ledger = ManualClock(), FakeLedger()
    model = MeteredModel(Slow(clock, ANSWER), ledger=ledger, keys=KeyPerService(), clock=clock)
    await answer_of(model, way)
    assert ledger.recorded[0].key_fingerprint == Secret("sk-openai").fingerprint


@ways
async def test_a_ledger_that_fails_costs_no_answer(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer carries its attempt all the same, and the log says which call was not written down, and why."""
    clock = ManualClock()
    failing = FakeLedger(failure=OSError("disk full"))
    model = MeteredModel(Slow(clock, ANSWER), ledger=failing, keys=FakeKeys(), clock=clock)
    completion = await answer_of(model, way)
    assert [attempt.status for attempt in completion.attempts] == [200]
    (entry,) = caplog.records
    assert (entry.name, entry.levelname) == ("dipeo.ledger", "ERROR")
    assert "call-1" in entry.getMessage()
    assert "disk full" in str(entry.exc_info)


class SlowLedger(FakeLedger):
    """Writes only when it may; what is interrupted is not written."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = asyncio.Event()
        self.begun = 0

    async def record(self, attempt: Attempt) -> None:
        """Waits, then writes."""
        self.begun += 1
        await self.may_write.wait()
        await super().record(attempt)


@ways
async def test_who_leaves_while_the_ledger_writes_leaves_a_record(way: str) -> None:
    """The attempt was made, and is written down to the end; the caller who was cancelled is cancelled."""
    ledger = SlowLedger()
    task = await caller_of(ledger, way)
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (task.done(), ledger.recorded) == (False, [])
    ledger.may_write.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [attempt.verdict for attempt in ledger.recorded] == [None]


@ways
async def test_who_leaves_while_the_ledger_writes_leaves_no_cycle(way: str) -> None:
    """What was asked, which may be long, goes with the call, and does not wait for the garbage collector."""
    clock, ledger = ManualClock(), SlowLedger()
    model = MeteredModel(Slow(clock, ANSWER), ledger=ledger, keys=FakeKeys(), clock=clock)
    asked = request()
    seen = weakref.ref(asked)
    task = asyncio.ensure_future(answer_of(model, way, asked))
    del asked
    gc.disable()
    try:
        while not ledger.begun:
            await asyncio.sleep(0)
        task.cancel()
        ledger.may_write.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        del task
        await asyncio.sleep(0)
        assert seen() is None
    finally:
        gc.enable()


class LeavingLedger(FakeLedger):
    """Is cancelled from within, whenever it is asked to write."""

    asked = 0

    async def record(self, attempt: Attempt) -> None:
        """Counts, and leaves."""
        self.asked += 1
        raise asyncio.CancelledError


@ways
async def test_a_ledger_that_is_cancelled_from_within_costs_no_answer(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody told the caller to leave. It is asked once more, not for ever, and that it could not write is logged."""
    clock, ledger = ManualClock(), LeavingLedger()
    model = MeteredModel(Slow(clock, ANSWER), ledger=ledger, keys=FakeKeys(), clock=clock)
    completion = await answer_of(model, way)
    assert (completion.text, ledger.asked) == ("Hello there.", 2)
    assert ["call-1" in entry.getMessage() for entry in caplog.records] == [True]


@ways
async def test_who_is_told_to_leave_again_leaves_at_once(way: str) -> None:
    """The attempt is written down all the same, by nobody's leave."""
    ledger = SlowLedger()
    task = await caller_of(ledger, way)
    task.cancel()
    while ledger.begun < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ledger.recorded == []
    ledger.may_write.set()
    while not ledger.recorded:
        await asyncio.sleep(0)
    assert ([attempt.verdict for attempt in ledger.recorded], ledger.begun) == ([None], 2)


class InterruptedLedger(SlowLedger):
    """Waits the first time, and fails the second."""

    async def record(self, attempt: Attempt) -> None:
        """Waits, or fails."""
        if self.begun:
            raise OSError("disk full")
        await super().record(attempt)


@ways
async def test_a_ledger_that_fails_after_it_was_interrupted_is_logged(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller who was told to leave hears of that, and of nothing else."""
    task = await caller_of(InterruptedLedger(), way)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (entry,) = caplog.records
    assert "disk full" in str(entry.exc_info)


@ways
async def test_an_error_that_was_told_before_keeps_what_was_told(way: str) -> None:
    """The failure is raised as it is, without another one behind it."""
    bench = Bench(errors.OverloadedError())
    with pytest.raises(errors.OverloadedError) as caught:
        await bench.ask(way)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("is_stream", [False, True])
async def test_whoever_observes_is_told_what_an_answer_used(*, is_stream: bool) -> None:
    """Once for each answered request, and of no other."""
    told: list[tuple[str, Usage]] = []
    clock = ManualClock()

    def observe(asked: CompletionRequest, usage: Usage) -> None:
        told.append((asked.call_id, usage))

    for answer in (ANSWER, errors.OverloadedError()):
        model = MeteredModel(Slow(clock, answer), ledger=FakeLedger(), keys=FakeKeys(), clock=clock, observe=observe)
        with contextlib.suppress(errors.OverloadedError):
            await (model.stream(request()).collect() if is_stream else model.complete(request()))
    assert told == [("call-1", ANSWER.usage)]
