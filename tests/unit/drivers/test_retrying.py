"""Tries again where that helps, waits as long as it must, and tells what it did."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import islice, repeat
from typing import Any

import pytest

from dipeo.domain import errors
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import DipeoError
from dipeo.domain.parts import TextPart
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.domain.verdict import OUTCOME_UNKNOWN_VERDICTS, RETRYABLE_VERDICTS, Verdict
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.infrastructure.llm.wrappers.retrying import RetryingModel, full_jitter_waits
from dipeo.testing import FakeKeys, FakeLedger, ManualClock, ScriptedModel

Ask = Callable[[RetryingModel, CompletionRequest], Any]


def request(**values: Any) -> CompletionRequest:
    """A request with five attempts to its name."""
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    facts: dict[str, Any] = {"max_attempts": 5, "call_id": "call-1", **values}
    return CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, **facts)


async def complete(model: RetryingModel, asked: CompletionRequest) -> Completion:
    """A unary call."""
    return await model.complete(asked)


async def stream(model: RetryingModel, asked: CompletionRequest) -> Completion:
    """A stream, read to its end."""
    return await model.stream(asked).collect()


@pytest.fixture(params=[complete, stream], ids=["complete", "stream"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both ways to ask: all that is promised holds for either."""
    chosen: Ask = request.param
    return chosen


class Bench:
    """A retrying model around a metered one around a script."""

    def __init__(self, *answers: str | Completion | Exception, **settings: Any) -> None:
        self.inner = ScriptedModel(*answers)
        self.clock = ManualClock()
        self.ledger = FakeLedger()
        metered = MeteredModel(self.inner, ledger=self.ledger, keys=FakeKeys(), clock=self.clock)
        settings.setdefault("waits", lambda: repeat(1.0))
        self.model = RetryingModel(metered, self.clock, **settings)


class TestWaits:
    """How long it waits by itself."""

    def test_waits_are_bounded_by_a_doubling_limit(self) -> None:
        """The bounds are 0.5, 1, 2, 4 and then 8 seconds; no wait is negative."""
        bounds = [0.5, 1, 2, 4, 8, 8, 8, 8]
        for _ in range(300):
            for wait_s, bound in zip(islice(full_jitter_waits(), len(bounds)), bounds, strict=True):
                assert 0 <= wait_s <= bound

    def test_waits_are_spread_over_the_whole_range(self) -> None:
        """Full jitter: each wait is drawn evenly from zero up to its bound, not around it."""
        draws = [list(islice(full_jitter_waits(), 6)) for _ in range(2000)]
        for column, bound in enumerate([0.5, 1, 2, 4, 8, 8]):
            values = sorted(draw[column] for draw in draws)
            assert values[0] < bound * 0.02
            assert values[-1] > bound * 0.98
            assert abs(sum(values) / len(values) - bound / 2) < bound * 0.05

    def test_every_call_begins_anew(self) -> None:
        """Two calls do not share a sequence."""
        first, second = full_jitter_waits(), full_jitter_waits()
        list(islice(first, 10))
        assert next(second) <= 0.5


class TestWhat:
    """What is tried again."""

    @pytest.mark.parametrize("verdict", Verdict)
    async def test_retryable_verdicts_are_tried_again_and_no_others(self, ask: Ask, verdict: Verdict) -> None:
        """What a second try can cure is tried again; the rest fails at once, without a wait."""
        bench = Bench(errors.ProviderError(verdict=verdict), "Hello.")
        if verdict in RETRYABLE_VERDICTS:
            assert (await ask(bench.model, request())).text == "Hello."
            assert bench.clock.sleeps == [1.0]
        else:
            with pytest.raises(errors.ProviderError):
                await ask(bench.model, request())
            assert bench.clock.sleeps == []
            assert len(bench.inner.asked) == 1

    async def test_what_would_come_again_is_not_asked_for_again_by_any_order(self, ask: Ask) -> None:
        """A web page stands there the next time too, whatever the caller would pay."""
        page = errors.MalformedResponseError("A web page.", is_lasting=True)
        bench = Bench(page, "Hello.", retries_unknown_outcome=True)
        with pytest.raises(errors.MalformedResponseError) as caught:
            await ask(bench.model, request())
        assert len(bench.inner.asked) == 1
        decision = "given up: the same request would be answered in the same way"
        assert [each.decision for each in caught.value.attempts] == [decision]

    @pytest.mark.parametrize("verdict", Verdict)
    async def test_an_unknown_outcome_is_tried_again_by_order_alone(self, ask: Ask, verdict: Verdict) -> None:
        """Who allows it may pay twice for what nobody saw the end of; nothing else changes by that."""
        bench = Bench(errors.ProviderError(verdict=verdict), "Hello.", retries_unknown_outcome=True)
        if verdict in RETRYABLE_VERDICTS | OUTCOME_UNKNOWN_VERDICTS:
            assert (await ask(bench.model, request())).text == "Hello."
        else:
            with pytest.raises(errors.ProviderError):
                await ask(bench.model, request())

    async def test_the_error_has_the_last_word(self, ask: Ask) -> None:
        """A failure that says it is final is believed against its verdict."""
        bench = Bench(errors.RateLimitError(is_retryable=False), "Hello.")
        with pytest.raises(errors.RateLimitError):
            await ask(bench.model, request())
        assert bench.clock.sleeps == []

    async def test_an_empty_answer_is_tried_again_once(self, ask: Ask) -> None:
        """A second empty answer is an answer."""
        bench = Bench(errors.EmptyResponseError(), "Hello.")
        assert (await ask(bench.model, request())).text == "Hello."
        bench = Bench(errors.EmptyResponseError(), errors.EmptyResponseError(), "Hello.")
        with pytest.raises(errors.EmptyResponseError) as caught:
            await ask(bench.model, request())
        assert "empty before" in caught.value.attempts[-1].decision

    async def test_an_empty_answer_is_tried_again_once_whatever_is_inside(self, ask: Ask) -> None:
        """The rule does not depend on somebody else's records, nor on what happened in between."""
        inner = ScriptedModel(
            errors.EmptyResponseError(), errors.RateLimitError(), errors.EmptyResponseError(), "Hello."
        )
        with pytest.raises(errors.EmptyResponseError):
            await ask(RetryingModel(inner, ManualClock(), waits=lambda: repeat(1.0)), request())
        assert len(inner.asked) == 3

    @pytest.mark.parametrize("problem", [KeyError("bug"), errors.ServiceClosedError("closed")])
    async def test_a_bug_is_not_tried_again(self, ask: Ask, problem: Exception) -> None:
        """What is none of our outages passes through."""
        bench = Bench(problem, "Hello.")
        with pytest.raises(type(problem)):
            await ask(bench.model, request())
        assert len(bench.inner.asked) == 1


class TestWhen:
    """How long it waits, and for how many attempts."""

    async def test_the_longer_wait_counts(self, ask: Ask) -> None:
        """Of the provider's wait and ours, the longer is kept to."""
        failures = [errors.RateLimitError(retry_after_s=seconds) for seconds in (2.0, 0.25, None, 0.0)]
        bench = Bench(*failures, "Hello.", waits=lambda: iter([1.0, 1.5, 0.7, 0.9]))
        await ask(bench.model, request())
        assert bench.clock.sleeps == [2.0, 1.5, 0.7, 0.9]

    async def test_default_waits_are_those_of_full_jitter(self, ask: Ask) -> None:
        """Without other orders each wait is within its bound."""
        bench = Bench(*[errors.RateLimitError() for _ in range(4)], "Hello.", waits=full_jitter_waits)
        await ask(bench.model, request())
        assert all(0 <= wait_s <= bound for wait_s, bound in zip(bench.clock.sleeps, [0.5, 1, 2, 4], strict=True))

    @pytest.mark.parametrize("max_attempts", [1, 2, 3])
    async def test_the_allowance_is_kept(self, ask: Ask, max_attempts: int) -> None:
        """That many attempts are made and no more; the last failure is raised."""
        failures = [errors.OverloadedError(str(number)) for number in range(5)]
        bench = Bench(*failures)
        with pytest.raises(errors.OverloadedError) as caught:
            await ask(bench.model, request(max_attempts=max_attempts))
        assert caught.value is failures[max_attempts - 1]
        assert len(bench.inner.asked) == len(bench.ledger.recorded) == max_attempts
        assert len(bench.clock.sleeps) == max_attempts - 1

    async def test_each_attempt_knows_its_number_and_its_wait(self, ask: Ask) -> None:
        """The request that is sent again is the same but for that."""
        bench = Bench(errors.OverloadedError(), errors.OverloadedError(retry_after_s=3), "Hello.")
        await ask(bench.model, request())
        assert [(each.attempt_number, each.waited_s) for each in bench.inner.asked] == [(1, 0.0), (2, 1.0), (3, 3.0)]
        assert len({(each.messages, each.call_id, each.model) for each in bench.inner.asked}) == 1

    @pytest.mark.parametrize(
        ("left_s", "is_tried"), [(3.0, True), (2.001, True), (2.0, False), (1.0, False), (0.0, False)]
    )
    async def test_a_wait_beyond_the_deadline_is_not_begun(self, ask: Ask, left_s: float, *, is_tried: bool) -> None:
        """What cannot be in time fails at once, with the error that there was."""
        bench = Bench(errors.RateLimitError(retry_after_s=2.0), "Hello.")
        asked = request(deadline_at_s=bench.clock.monotonic_s() + left_s)
        if is_tried:
            assert (await ask(bench.model, asked)).text == "Hello."
        else:
            with pytest.raises(errors.RateLimitError) as caught:
                await ask(bench.model, asked)
            assert bench.clock.sleeps == []
            assert "deadline" in caught.value.attempts[-1].decision

    async def test_waiting_uses_up_the_deadline(self, ask: Ask) -> None:
        """The deadline is the call's and not each attempt's."""
        bench = Bench(*[errors.OverloadedError(retry_after_s=2.0) for _ in range(5)])
        with pytest.raises(errors.OverloadedError):
            await ask(bench.model, request(deadline_at_s=5.0))
        assert bench.clock.sleeps == [2.0, 2.0]

    async def test_a_success_waits_for_nothing(self, ask: Ask) -> None:
        """Nothing is drawn and nobody sleeps when the first attempt succeeds."""
        drawn: list[str] = []

        def waits() -> Iterator[float]:
            drawn.append("waits")
            return repeat(1.0)

        bench = Bench("Hello.", waits=waits)
        await ask(bench.model, request())
        assert (drawn, bench.clock.sleeps) == ([], [])


class TestStory:
    """What is told afterwards."""

    async def test_an_error_tells_of_all_attempts(self, ask: Ask) -> None:
        """Each attempt has its number, its verdict, and what was decided then."""
        bench = Bench(
            errors.RateLimitError(retry_after_s=2), errors.OverloadedError(), errors.APIKeyRefusedError(status=401)
        )
        with pytest.raises(errors.APIKeyRefusedError) as caught:
            await ask(bench.model, request())
        attempts = caught.value.attempts
        assert [each.number for each in attempts] == [1, 2, 3]
        assert [each.verdict for each in attempts] == [Verdict.RATE_LIMITED, Verdict.OVERLOADED, Verdict.AUTH_FAILED]
        assert [each.waited_s for each in attempts] == [0.0, 2.0, 1.0]
        assert attempts[0].decision == "tried again after 2.000 s"
        assert attempts[1].decision == "tried again after 1.000 s"
        assert attempts[2].decision.startswith("given up: ")

    async def test_used_up_attempts_are_told(self, ask: Ask) -> None:
        """The last decision says that the allowance was used."""
        with pytest.raises(errors.OverloadedError) as caught:
            await ask(Bench(errors.OverloadedError(), errors.OverloadedError()).model, request(max_attempts=2))
        assert caught.value.attempts[-1].decision == "given up: all 2 attempts are used"

    async def test_a_completion_tells_of_all_attempts(self, ask: Ask) -> None:
        """The answer knows the failures before it, and how long all of it took."""
        bench = Bench(errors.RateLimitError(), errors.OverloadedError(), "Hello.")
        completion = await ask(bench.model, request())
        assert [each.number for each in completion.attempts] == [1, 2, 3]
        assert [each.verdict for each in completion.attempts] == [Verdict.RATE_LIMITED, Verdict.OVERLOADED, None]
        assert [bool(each.decision) for each in completion.attempts] == [True, True, False]
        assert completion.latency_ms == pytest.approx(2000)

    async def test_a_first_success_has_one_attempt(self, ask: Ask) -> None:
        """Without failures there is no story beyond the answer's own."""
        completion = await ask(Bench("Hello.").model, request())
        assert [each.verdict for each in completion.attempts] == [None]

    async def test_the_answer_is_the_same_but_for_the_story(self, ask: Ask) -> None:
        """Every other field of the completion passes through."""
        answer = Completion(
            service=LLMService.GOOGLE,
            model="other",
            parts=(TextPart("Hel"), TextPart("lo.")),
            finish_reason=FinishReason.LENGTH,
            raw_finish_reason="MAX",
            response_id="r1",
            request_id="q1",
            notes=("note",),
            raw={"a": 1},
        )
        completion = await ask(Bench(errors.OverloadedError(), answer).model, request())
        assert completion.with_attempts((), latency_ms=0.0) == answer
        assert completion.raw == answer.raw


class Broken(ChatModelPort):
    """Streams some events and then fails; counts how often it was begun and let go."""

    def __init__(self, events: tuple[CompletionEvent, ...], problem: Exception | None) -> None:
        self.events = events
        self.problem = problem
        self.begun = 0
        self.closed = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        """Not used here."""
        raise NotImplementedError

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """The events, then the problem, or else an endless wait."""
        return CompletionStream(self._events())

    async def _events(self) -> AsyncGenerator[CompletionEvent, None]:
        self.begun += 1
        try:
            for event in self.events:
                yield event
            if self.problem is not None:
                raise self.problem
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class TestStreams:
    """What holds for streams alone."""

    @pytest.mark.parametrize(
        "problem", [errors.OverloadedError(), errors.IncompleteStreamError(), errors.EmptyResponseError()]
    )
    async def test_a_stream_is_never_begun_again_after_its_first_event(self, problem: DipeoError) -> None:
        """What was delivered cannot be taken back, whatever the failure and the policy."""
        inner = Broken((TextDelta("Hel"),), problem)
        model = RetryingModel(inner, ManualClock(), retries_unknown_outcome=True)
        seen: list[CompletionEvent] = []

        async def read() -> None:
            async with model.stream(request()) as events:
                async for event in events:
                    seen.append(event)

        with pytest.raises(type(problem)):
            await read()
        assert seen == [TextDelta("Hel")]
        assert (inner.begun, inner.closed) == (1, 1)

    async def test_a_stream_that_failed_before_is_begun_again_unseen(self) -> None:
        """The reader sees the events of the attempt that succeeded, and each once."""
        bench = Bench(errors.OverloadedError(), "Hello there.")
        async with bench.model.stream(request()) as events:
            seen = [event async for event in events]
        assert seen[:-1] == [TextDelta("Hello"), TextDelta(" there.")]
        assert isinstance(seen[-1], CompletionEnd)
        assert len(seen[-1].completion.attempts) == 2

    async def test_each_failed_attempt_is_let_go_before_the_next(self) -> None:
        """No connection of an attempt that failed stays open."""
        inner = Broken((), errors.OverloadedError())
        with pytest.raises(errors.OverloadedError):
            await RetryingModel(inner, ManualClock()).stream(request(max_attempts=3)).collect()
        assert (inner.begun, inner.closed) == (3, 3)

    async def test_a_reader_who_leaves_lets_go_of_the_source(self) -> None:
        """Closing the stream closes what is inside, at once."""
        inner = Broken((TextDelta("Hel"),), None)
        async with RetryingModel(inner, ManualClock()).stream(request()) as events:
            await anext(events)
        assert (inner.begun, inner.closed) == (1, 1)


class Hanging(ChatModelPort):
    """Never answers; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        """Waits for ever."""
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """Waits for ever."""
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        yield CompletionEnd(await self.complete(request))


async def test_cancellation_passes_through(ask: Ask) -> None:
    """A caller who is cancelled is cancelled: nothing is tried again, and nothing is translated."""
    inner = Hanging()
    task = asyncio.ensure_future(ask(RetryingModel(inner, ManualClock(), retries_unknown_outcome=True), request()))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inner.asked == 1


class Slow(ScriptedModel):
    """Takes a quarter of a second by the clock for its first attempt, and that much more for each one after it."""

    def __init__(self, clock: ManualClock, *answers: str | Completion | Exception) -> None:
        super().__init__(*answers)
        self.clock = clock

    async def complete(self, request: CompletionRequest) -> Completion:
        """The next answer, some time later."""
        self.clock.advance(0.25 * (1 + len(self.asked)))
        return await super().complete(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """The same, as one event."""
        return CompletionStream(self._whole(request))

    async def _whole(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        yield CompletionEnd(await self.complete(request))


async def test_the_time_of_a_call_is_that_of_all_attempts_and_waits(ask: Ask) -> None:
    """From the beginning of the first attempt to the answer, each attempt keeping its own time."""
    clock = ManualClock()
    inner = Slow(clock, errors.OverloadedError(), errors.OverloadedError(), "Hello.")
    metered = MeteredModel(inner, ledger=FakeLedger(), keys=FakeKeys(), clock=clock)
    completion = await ask(RetryingModel(metered, clock, waits=lambda: repeat(1.0)), request())
    assert completion.latency_ms == pytest.approx(3500)
    assert [each.latency_ms for each in completion.attempts] == pytest.approx([250, 500, 750])


async def test_without_records_the_time_counts_from_the_first_failure(ask: Ask) -> None:
    """Nobody inside wrote down when the first attempt began."""
    clock = ManualClock()
    inner = Slow(clock, errors.OverloadedError(), "Hello.")
    completion = await ask(RetryingModel(inner, clock, waits=lambda: repeat(1.0)), request())
    assert completion.attempts == ()
    assert completion.latency_ms == pytest.approx(1500)


async def test_what_was_delivered_is_the_reason_given() -> None:
    """A stream that broke off says why it was not begun again, even where the attempts were used up as well."""
    clock = ManualClock()
    inner = Broken((TextDelta("Hel"),), errors.OverloadedError())
    metered = MeteredModel(inner, ledger=FakeLedger(), keys=FakeKeys(), clock=clock)
    with pytest.raises(errors.OverloadedError) as caught:
        await RetryingModel(metered, clock).stream(request(max_attempts=1)).collect()
    assert [each.decision for each in caught.value.attempts] == ["given up: text was delivered"]
