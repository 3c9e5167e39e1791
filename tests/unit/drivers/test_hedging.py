"""Asks twice where the first answer is slow to begin, and never more than it may."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain import errors
from dipeo.domain.attempt import Billed
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.drivers.latencies import (
    HALVED_AT_CALLS,
    MAX_SAMPLES,
    MAX_TARGETS,
    MIN_SAMPLES,
    LatencyBook,
)
from dipeo.infrastructure.llm.wrappers.hedging import HedgedModel
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.testing import FakeKeys, FakeLedger, ScriptedModel
from tests.virtual_world.virtual_loop import VirtualClock, VirtualLoop, run_virtual

Plan = dict[int, tuple[float, DipeoError | None]]
ANSWER_S = 1.0


def request(**values: Any) -> CompletionRequest:
    """A request with three attempts to its name."""
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    asked = CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, max_attempts=3, call_id="c")
    return evolve(asked, **values)


class Timed(ChatModelPort):
    """Answers each attempt after its time, or fails then; counts what is open.

    Closing takes `closing_s`; streams of the attempts in `broken` break off before their end.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.asked: list[CompletionRequest] = []
        self.is_open = 0
        self.closing_s = 0.0
        self.broken: set[int] = set()

    async def complete(self, request: CompletionRequest) -> Completion:
        """The answer names the attempt."""
        self.asked.append(request)
        wait_s, failure = self.plan[request.attempt_number]
        self.is_open += 1
        try:
            await asyncio.sleep(wait_s)
        finally:
            await self._close()
        if failure:
            raise failure
        return await ScriptedModel(f"answer {request.attempt_number}").complete(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """The same in pieces, half a second between them."""
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        completion = await self.complete(request)
        self.is_open += 1
        try:
            yield TextDelta("answer ")
            await asyncio.sleep(0.5)
            yield TextDelta(str(request.attempt_number))
            if request.attempt_number in self.broken:
                raise errors.ConnectionLostError
            yield CompletionEnd(completion)
        finally:
            await self._close()

    async def _close(self) -> None:
        try:
            if self.closing_s:
                await asyncio.sleep(self.closing_s)
        finally:
            self.is_open -= 1


class Bench:
    """A hedged model that has learned that an answer takes a second, in virtual time."""

    def __init__(self, loop: VirtualLoop, plan: Plan, *, is_stream: bool, share: float = 0.5) -> None:
        self.loop, self.is_stream = loop, is_stream
        self.inner, self.ledger, self.clock = Timed(plan), FakeLedger(), VirtualClock(loop)
        self.book = LatencyBook(share=share)
        for _ in range(MIN_SAMPLES):
            self.book.delay_s(request(), is_stream=is_stream)
            self.book.note(request(), ANSWER_S, is_stream=is_stream)
        metered = MeteredModel(self.inner, ledger=self.ledger, keys=FakeKeys(), clock=self.clock)
        self.model = HedgedModel(metered, self.clock, self.book)

    async def ask(self, **values: Any) -> Completion:
        """The answer."""
        asked = request(**values)
        return await (self.model.stream(asked).collect() if self.is_stream else self.model.complete(asked))


def played(plan: Plan, main: Callable[[Bench], Any], *, is_stream: bool, share: float = 0.5, seed: int = 1) -> Bench:
    """The bench after the run; nothing may be open then, and no task left."""

    async def run(loop: VirtualLoop) -> Bench:
        bench = Bench(loop, plan, is_stream=is_stream, share=share)
        await main(bench)
        return bench

    bench = run_virtual(seed, run).result
    assert bench.inner.is_open == 0
    return bench


@pytest.mark.parametrize("is_stream", [False, True], ids=["complete", "stream"])
class TestRace:
    """What becomes of two requests."""

    def test_a_quick_answer_is_asked_for_once(self, is_stream: bool) -> None:
        """Whatever comes before the delay is over wins alone."""

        async def main(bench: Bench) -> None:
            completion = await bench.ask()
            assert completion.text == "answer 1"
            assert [each.decision for each in completion.attempts] == [""]

        bench = played({1: (0.9, None)}, main, is_stream=is_stream)
        assert len(bench.inner.asked) == 1

    def test_the_second_wins_and_the_first_is_cancelled(self, is_stream: bool) -> None:
        """The loser stands among the attempts, and in the ledger, as cancelled and perhaps billed."""

        async def main(bench: Bench) -> None:
            completion = await bench.ask()
            assert completion.text == "answer 2"
            first, second = completion.attempts
            assert (first.number, first.verdict, first.billed) == (1, Verdict.CANCELLED, Billed.PERHAPS)
            assert first.decision == ("another was begun beside it after 1.000 s; given up: attempt 2 answered first")
            assert first.latency_ms == pytest.approx(1250)
            assert (first.status, first.request_id, first.usage.is_reported) == (None, None, False)
            assert (second.number, second.verdict, second.decision) == (2, None, "")
            assert completion.latency_ms == pytest.approx(1750 if is_stream else 1250)

        bench = played({1: (9.0, None), 2: (0.25, None)}, main, is_stream=is_stream)
        assert [(each.attempt_number, each.waited_s) for each in bench.inner.asked] == [(1, 0.0), (2, 0.0)]
        recorded = {each.number: each.verdict for each in bench.ledger.recorded}
        assert recorded == {1: Verdict.CANCELLED, 2: None}

    def test_the_first_may_still_win(self, is_stream: bool) -> None:
        """Then the second is the one that is given up."""

        async def main(bench: Bench) -> None:
            completion = await bench.ask()
            assert completion.text == "answer 1"
            assert [each.verdict for each in completion.attempts] == [None, Verdict.CANCELLED]
            assert completion.attempts[0].decision == "another was begun beside it after 1.000 s"
            assert completion.attempts[1].decision == "given up: attempt 1 answered first"

        played({1: (1.5, None), 2: (9.0, None)}, main, is_stream=is_stream)

    def test_one_that_fails_leaves_the_other(self, is_stream: bool) -> None:
        """A failure of one alone is no failure of the call, and is told."""

        async def main(bench: Bench) -> None:
            completion = await bench.ask()
            assert completion.text == "answer 1"
            assert [each.verdict for each in completion.attempts] == [None, Verdict.OVERLOADED]

        played({1: (3.0, None), 2: (0.5, errors.OverloadedError())}, main, is_stream=is_stream)

    def test_two_that_fail_are_both_told(self, is_stream: bool) -> None:
        """The error has the attempts of both, in order."""

        async def main(bench: Bench) -> None:
            with pytest.raises(errors.DipeoError) as caught:
                await bench.ask()
            assert [each.number for each in caught.value.attempts] == [1, 2]

        plan: Plan = {1: (3.0, errors.OverloadedError()), 2: (0.5, errors.RateLimitError())}
        played(plan, main, is_stream=is_stream)

    def test_one_that_was_not_sent_does_not_hide_how_the_other_failed(self, is_stream: bool) -> None:
        """What was asked and failed is worth a second try; that a second one was refused beside it is not the news."""

        async def main(bench: Bench) -> None:
            with pytest.raises(errors.OverloadedError) as caught:
                await bench.ask()
            assert caught.value.is_retryable
            assert [each.number for each in caught.value.attempts] == [1]

        refused = errors.MissingAPIKeyError("It has gone since.")
        played({1: (3.0, errors.OverloadedError(status=503)), 2: (0.0, refused)}, main, is_stream=is_stream)

    @pytest.mark.parametrize("first_s", [0.5, 1.0, 1.1, 1.25])
    @pytest.mark.parametrize("later_s", [0.0, 0.005, 0.015])
    def test_who_is_cancelled_twice_leaves_nothing_open_either(
        self, is_stream: bool, first_s: float, later_s: float
    ) -> None:
        """The second time while the first is still being seen to: the caller ends when all is closed."""

        async def main(bench: Bench) -> None:
            bench.inner.closing_s = 0.01
            caller = asyncio.ensure_future(bench.ask())
            await asyncio.sleep(first_s)
            caller.cancel()
            await asyncio.sleep(later_s)
            caller.cancel()
            await asyncio.wait([caller])
            assert caller.cancelled()
            assert bench.inner.is_open == 0

        played({1: (9.0, None), 2: (0.5, None)}, main, is_stream=is_stream)

    def test_a_first_that_fails_early_is_not_asked_beside(self, is_stream: bool) -> None:
        """Trying again is the retries' business."""

        async def main(bench: Bench) -> None:
            with pytest.raises(errors.OverloadedError) as caught:
                await bench.ask()
            assert len(caught.value.attempts) == 1

        bench = played({1: (0.5, errors.OverloadedError())}, main, is_stream=is_stream)
        assert len(bench.inner.asked) == 1

    @pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0, 1.1, 1.25, 1.5])
    @pytest.mark.parametrize("seed", range(5))
    def test_who_is_cancelled_leaves_nothing_open(self, is_stream: bool, after_s: float, seed: int) -> None:
        """At whatever moment: both requests are given up and recorded."""

        async def main(bench: Bench) -> None:
            caller = asyncio.ensure_future(bench.ask())
            await asyncio.sleep(after_s)
            caller.cancel()
            await asyncio.wait([caller])
            assert caller.cancelled() or after_s >= 1.25
            assert bench.inner.is_open == 0
            assert len(bench.ledger.recorded) == len(bench.inner.asked)

        played({1: (9.0, None), 2: (0.25, None)}, main, is_stream=is_stream, seed=seed)

    @pytest.mark.parametrize("seed", range(10))
    def test_two_that_answer_together_give_one_answer(self, is_stream: bool, seed: int) -> None:
        """Both are told, one is used."""

        async def main(bench: Bench) -> None:
            completion = await bench.ask()
            assert completion.text in {"answer 1", "answer 2"}
            assert [each.number for each in completion.attempts] == [1, 2]
            assert {each.number for each in bench.ledger.recorded} == {1, 2}

        played({1: (2.0, None), 2: (1.0, None)}, main, is_stream=is_stream, seed=seed)

    @pytest.mark.parametrize(
        ("values", "asked"),
        [
            ({"max_attempts": 1}, 1),
            ({"attempt_number": 3}, 1),
            ({"max_attempts": 2}, 2),
            ({"deadline_at_s": 1.0}, 1),
            ({"deadline_at_s": 1.1}, 2),
        ],
    )
    def test_allowance_and_deadline_are_kept(self, is_stream: bool, values: dict[str, Any], asked: int) -> None:
        """The last attempt, and one without the time, is not hedged."""

        async def main(bench: Bench) -> None:
            await bench.ask(**values)

        bench = played({1: (5.0, None), 2: (5.0, None), 3: (5.0, None)}, main, is_stream=is_stream)
        assert len(bench.inner.asked) == asked

    def test_the_share_is_kept(self, is_stream: bool) -> None:
        """Of a hundred slow calls, and twenty before, a tenth is hedged."""

        async def main(bench: Bench) -> None:
            for _ in range(100):
                await bench.ask()

        bench = played({1: (ANSWER_S * 2, None), 2: (9.0, None)}, main, is_stream=is_stream, share=0.1)
        assert 100 < len(bench.inner.asked) <= 112


def test_a_winner_that_breaks_off_tells_of_both() -> None:
    """The request that was given up for it stands among the attempts of the error, as it does in the ledger."""

    async def main(bench: Bench) -> None:
        bench.inner.broken = {2}
        with pytest.raises(errors.ConnectionLostError) as caught:
            await bench.ask()
        first, second = caught.value.attempts
        assert (first.number, first.verdict, first.billed) == (1, Verdict.CANCELLED, Billed.PERHAPS)
        assert first.decision == "another was begun beside it after 1.000 s; given up: attempt 2 answered first"
        assert (first.status, first.provider_code, first.retry_after_s) == (None, None, None)
        assert (second.number, second.verdict) == (2, Verdict.CONNECTION_LOST)
        assert [each.number for each in bench.ledger.recorded] == [1, 2]

    played({1: (9.0, None), 2: (0.25, None)}, main, is_stream=True)


def test_a_reader_who_leaves_closes_the_winner() -> None:
    """Nothing stays open behind them."""

    async def main(bench: Bench) -> None:
        async with bench.model.stream(request()) as events:
            assert await anext(events) == TextDelta("answer ")
            assert bench.inner.is_open == 1
        assert bench.inner.is_open == 0

    played({1: (9.0, None), 2: (0.25, None)}, main, is_stream=True)


def test_without_records_there_is_nothing_to_tell() -> None:
    """The answer passes as it is."""

    async def main(loop: VirtualLoop) -> Completion:
        book = LatencyBook(share=0.5)
        inner = Timed({1: (9.0, None), 2: (0.25, None)})
        model = HedgedModel(inner, VirtualClock(loop), book)
        for _ in range(MIN_SAMPLES):
            book.delay_s(request(), is_stream=False)
            book.note(request(), 1.0, is_stream=False)
        return await model.complete(request())

    assert run_virtual(1, main).result.attempts == ()


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_delay_is_learned_from_calls(is_stream: bool) -> None:
    """Until twenty were answered nothing is hedged; from then on 19 of 20 calls are quicker than the delay."""

    async def main(loop: VirtualLoop) -> list[float | None]:
        bench = Bench(loop, {1: (2.0, None)}, is_stream=is_stream)
        bench.book = LatencyBook(share=0.5)
        bench.model = HedgedModel(bench.inner, bench.clock, bench.book)
        delays = []
        for _ in range(MIN_SAMPLES):
            await bench.ask(max_attempts=1)
            delays.append(bench.book.delay_s(request(), is_stream=is_stream))
        assert bench.book.delay_s(request(), is_stream=not is_stream) is None
        return delays

    *before, after = run_virtual(1, main).result
    assert (set(before), after) == ({None}, 2.0)


@pytest.mark.parametrize("is_stream", [False, True], ids=["complete", "stream"])
def test_the_delay_goes_on_being_learned_from_calls_that_may_be_hedged(is_stream: bool) -> None:
    """When all have become quicker, so does the second request; each kind of call learns for itself."""

    async def main(bench: Bench) -> None:
        # The last five of what was learned first are slower than 19 of 20.
        for _ in range(MAX_SAMPLES - 5):
            await bench.ask()
        assert bench.book.delay_s(request(), is_stream=is_stream) == pytest.approx(0.5)
        assert bench.book.delay_s(request(), is_stream=not is_stream) is None

    played({1: (0.5, None)}, main, is_stream=is_stream)


class TestBook:
    """What is remembered."""

    def test_the_delay_is_the_slowest_but_one_in_twenty(self) -> None:
        """Of a hundred waits the ninety-fifth, of the latest hundred alone, and no less than 50 ms."""
        book = LatencyBook(share=0.1)
        for wait_s in (*range(900, 1000), *range(1, 101)):
            book.note(request(), float(wait_s), is_stream=False)
        assert book.delay_s(request(), is_stream=False) == 95.0
        for _ in range(100):
            book.note(request(model="n"), 0.001, is_stream=False)
        assert book.delay_s(request(model="n"), is_stream=False) == 0.05

    def test_long_quiet_times_pay_for_few_hedges(self) -> None:
        """Of the last ten thousand calls, not of all there ever were."""
        book = LatencyBook(share=0.1)
        for _ in range(HALVED_AT_CALLS * 3):
            book.delay_s(request(), is_stream=False)
        allowed = 0
        while book.may_hedge(request(), is_stream=False):
            allowed += 1
        assert 500 <= allowed <= 1000

    def test_it_has_a_bound(self) -> None:
        """The oldest target gives way."""
        book = LatencyBook(share=0.1)
        for number in range(MAX_TARGETS + 5):
            book.note(request(model=f"m{number}"), 1.0, is_stream=False)
        assert repr(book) == f"<LatencyBook {MAX_TARGETS} targets, at most 10% hedged>"

    def test_a_forked_process_begins_with_an_empty_one(self) -> None:
        """Its calls are its own."""
        book = LatencyBook(share=0.1)
        book.note(request(), 1.0, is_stream=False)
        pid = os.fork()
        if not pid:
            os._exit(0 if "0 targets" in repr(book) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
