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
        await _done_or_late(first.task, delay_s)
        if not first.task.done() and may_begin():
            self._second_after_s = self._clock.monotonic_s() - self._began_at_s
            request = evolve(first.request, attempt_number=first.request.attempt_number + 1, waited_s=0.0)
            self.legs.append(Leg(self._ask, request, self._clock))
        while True:
            for leg in self.legs:
                if leg.task.done() and leg.failure is None:
                    return leg
            pending = [leg.task for leg in self.legs if not leg.task.done()]
            if not pending:
                raise self._failure()
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)

    async def end(self, *, but: "Leg[T] | None" = None) -> None:
        """Gives up what is under way, all at once, and waits until its connections are closed.

        Also where the caller is cancelled once more meanwhile, which is told when all is closed.
        """
        ended = [leg for leg in self.legs if leg is not but]
        for leg in ended:
            leg.task.cancel()
        interruption: asyncio.CancelledError | None = None
        for leg in ended:
            try:
                await leg.ended()
            except asyncio.CancelledError as once_more:
                interruption = once_more
        if interruption is not None:
            raise interruption

    def told(self, completion: Completion) -> Completion:
        """The answer with the attempts of both legs, where there were two."""
        if self._second_after_s is None or not completion.attempts:
            return completion
        latency_ms = (self._clock.monotonic_s() - self._began_at_s) * 1000
        return completion.with_attempts(self._attempts_of_both(completion.attempts), latency_ms=latency_ms)

    def told_of(self, error: DipeoError) -> DipeoError:
        """The failure of the leg that had won, with the attempts of both legs, where there were two."""
        if self._second_after_s is None or not error.attempts:
            return error
        return error.with_attempts(self._attempts_of_both(error.attempts))

    def _attempts_of_both(self, of_winner: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
        beside = [each for leg in self.legs for each in leg.attempts_beside(of_winner[0])]
        first, *others = sorted((*of_winner, *beside), key=lambda attempt: attempt.number)
        begun = f"another was begun beside it after {self._second_after_s:.3f} s"
        return evolve(first, decision="; ".join(each for each in (begun, first.decision) if each)), *others

    def _failure(self) -> DipeoError:
        failures = [leg.failure for leg in self.legs if leg.failure is not None]
        attempts = [attempt for failure in failures for attempt in failure.attempts]
        # A leg that was refused before anything was sent says nothing about what became of the other.
        asked = [failure for failure in failures if failure.attempts] or failures
        return asked[-1].with_attempts(tuple(sorted(attempts, key=lambda attempt: attempt.number)))


class Leg(Generic[T]):
    """One of the two requests, in a task of its own."""

    def __init__(self, ask: Ask[T], request: CompletionRequest, clock: ClockPort) -> None:
        self.request = request
        self._clock = clock
        self._started: tuple[datetime, float] | None = None
        self._latency_ms = 0.0
        begin, self._close = ask(request)
        self.task = asyncio.get_running_loop().create_task(self._run(begin))

    @property
    def failure(self) -> DipeoError | None:
        """How it failed, if it has."""
        problem = self.task.exception() if self.task.done() and not self.task.cancelled() else None
        return problem if isinstance(problem, DipeoError) else None

    async def ended(self) -> None:
        """Waits until it is over and closed. A cancellation in between is handed on to it, and raised afterwards."""
        interruption: asyncio.CancelledError | None = None
        while not self.task.done():
            try:
                await asyncio.wait([self.task])
            except asyncio.CancelledError as once_more:
                self.task.cancel()
                interruption = once_more
        if not self.task.cancelled():
            self.task.exception()  # looked at, because one that nobody asks for would be reported
        await self._close()
        if interruption is not None:
            raise interruption

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
            provider_code=None,
            request_id=None,
            usage=UNREPORTED_USAGE,
            retry_after_s=None,
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


async def _done_or_late(task: "asyncio.Task[T]", delay_s: float) -> None:
    """Waits until the task has ended, or for so long.

    As `asyncio.wait()` does, at half its cost: every call that may be asked twice pays it, and few are.
    """
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(*_ended: "asyncio.Task[T]") -> None:
        if not woken.done():
            woken.set_result(None)

    timer = loop.call_later(delay_s, wake)
    task.add_done_callback(wake)
    try:
        await woken
    finally:
        timer.cancel()
        task.remove_done_callback(wake)
