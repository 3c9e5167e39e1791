"""Two equal requests, of which the first to answer wins."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Generic, TypeVar

from attrs import evolve

from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.usage import UNREPORTED_USAGE
from dipeo.domain.verdict import Verdict

T = TypeVar("T")

Ask = Callable[[CompletionRequest], tuple[Callable[[], Coroutine[object, object, T]], Callable[[], Awaitable[None]]]]
"""Gives two functions for a request: one that asks, and one that closes what an answer leaves open."""


class Race(Generic[T]):
    """A request, and after a while a second one like it. Whoever uses it calls `end()` whatever happens."""

    def __init__(self, ask: Ask[T], request: CompletionRequest, clock: ClockPort) -> None:
        self._ask = ask
        self._clock = clock
        self._began_at_s = clock.monotonic_s()
        self._second_after_s: float | None = None
        self.legs = [Leg(ask, request, clock)]

    async def winner(self, delay_s: float, may_begin: Callable[[], bool]) -> "Leg[T]":
        """The leg that answered first. Raises the error when none did, with the attempts of both."""
        first = self.legs[0]
        alarm = asyncio.ensure_future(self._clock.sleep(delay_s))
        alarm.add_done_callback(_look)
        try:
            await asyncio.wait({first.task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
        if not first.task.done() and may_begin():
            self._second_after_s = self._clock.monotonic_s() - self._began_at_s
            request = evolve(first.request, attempt_number=first.request.attempt_number + 1, waited_s=0.0)
            self.legs.append(Leg(self._ask, request, self._clock))
        pending = {leg.task for leg in self.legs}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for leg in self.legs:
                if leg.task in done and leg.failure is None:
                    return leg
        raise self._failure()

    async def end(self, *, but: "Leg[T] | None" = None) -> None:
        """Gives up what is under way, all at once, and waits until its connections are closed."""
        ended = [leg for leg in self.legs if leg is not but]
        for leg in ended:
            leg.task.cancel()
        for leg in ended:
            await leg.ended()

    def told(self, completion: Completion) -> Completion:
        """The answer with the attempts of both legs, where there were two."""
        if self._second_after_s is None or not completion.attempts:
            return completion
        won = completion.attempts[0]
        beside = [each for leg in self.legs for each in leg.attempts_beside(won)]
        first, *others = sorted((*completion.attempts, *beside), key=lambda attempt: attempt.number)
        begun = f"another was begun beside it after {self._second_after_s:.3f} s"
        told = evolve(first, decision="; ".join(each for each in (begun, first.decision) if each))
        latency_ms = (self._clock.monotonic_s() - self._began_at_s) * 1000
        return completion.with_attempts((told, *others), latency_ms=latency_ms)

    def _failure(self) -> DipeoError:
        failures = [leg.failure for leg in self.legs if leg.failure is not None]
        attempts = [attempt for failure in failures for attempt in failure.attempts]
        return failures[-1].with_attempts(tuple(sorted(attempts, key=lambda attempt: attempt.number)))


class Leg(Generic[T]):
    """One of the two requests, in a task of its own."""

    def __init__(self, ask: Ask[T], request: CompletionRequest, clock: ClockPort) -> None:
        self.request = request
        self._clock = clock
        self._started: tuple[datetime, float] | None = None
        self._latency_ms = 0.0
        begin, self._close = ask(request)
        self.task = asyncio.ensure_future(self._run(begin))
        self.task.add_done_callback(_look)

    @property
    def failure(self) -> DipeoError | None:
        """How it failed, if it has."""
        problem = self.task.exception() if self.task.done() and not self.task.cancelled() else None
        return problem if isinstance(problem, DipeoError) else None

    async def ended(self) -> None:
        """Waits until it is over and closed."""
        await asyncio.wait([self.task])
        await self._close()

    def attempts_beside(self, won: Attempt) -> tuple[Attempt, ...]:
        """What is told of it next to the attempt that won; nothing, where it is that one or never began."""
        if self._started is None or self.request.attempt_number == won.number:
            return ()
        if self.failure is not None:
            return self.failure.attempts
        if self.task.done() and not self.task.cancelled() and isinstance(told := self.task.result(), Completion):
            return told.attempts  # it answered in the very moment, and is paid for
        started_at, _ = self._started
        given_up = evolve(
            won,
            number=self.request.attempt_number,
            started_at=started_at,
            latency_ms=self._latency_ms,
            waited_s=self.request.waited_s,
            verdict=Verdict.CANCELLED,
            status=None,
            request_id=None,
            usage=UNREPORTED_USAGE,
            decision=f"given up: attempt {won.number} answered first",
        )
        return (given_up,)

    async def _run(self, begin: Callable[[], Coroutine[object, object, T]]) -> T:
        now_s = self._clock.monotonic_s()
        self._started = self._clock.now(), now_s
        try:
            return await begin()
        finally:
            self._latency_ms = (self._clock.monotonic_s() - now_s) * 1000


def _look(task: "asyncio.Task[T]") -> None:
    """Looks at how a task ended: one that nobody asks any more would be reported otherwise."""
    if not task.cancelled():
        task.exception()
