"""The one owner of retries."""

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Final

import backoff
from attrs import evolve

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.drivers.retry_budget import RetryBudget
from dipeo.infrastructure.llm.drivers.retry_history import RetryHistory

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 8.0
LONGEST_WAIT_BEFORE_FALLBACK_S: Final = 2.0


def full_jitter_waits() -> Iterator[float]:
    """Waits in seconds: each drawn evenly from zero to a bound that doubles from 0.5 s up to 8 s.

    "Full jitter" as M. Brooker describes it in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015);
    computed by the `backoff` package.
    """
    bounds = backoff.expo(base=2, factor=FIRST_WAIT_S, max_value=LONGEST_WAIT_S)
    next(bounds)  # the generator's first value primes it and is no wait
    while True:
        yield backoff.full_jitter(next(bounds))


class RetryingModel(ChatModelPort):
    """Tries again where that can help, within the request's deadline and attempt allowance.

    A provider's own wait (`retry_after_s`) is kept to when it is longer than ours; a wait that does not fit the
    deadline is not begun. Where the outcome is unknown, and the work perhaps billed, another attempt is made only with
    `retries_unknown_outcome`, and never where the answer would come again, such as a web page. A stream is never begun
    again after its first event. While candidates are left, long waits and repeated overloads are left to whoever asks
    those. A `budget` bounds the retries of all calls together; waiting as the provider asked costs nothing of it.
    """

    def __init__(
        self,
        inner: ChatModelPort,
        clock: ClockPort,
        *,
        waits: Callable[[], Iterator[float]] = full_jitter_waits,
        retries_unknown_outcome: bool = False,
        budget: RetryBudget | None = None,
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._waits = waits
        self._retries_unknown_outcome = retries_unknown_outcome
        self._budget = budget

    async def complete(self, request: CompletionRequest) -> Completion:
        history: RetryHistory | None = None
        if self._budget is not None:
            self._budget.note_call(request)
        while True:
            try:
                completion = await self._inner.complete(request)
                return completion if history is None else self._told(request, completion, history)
            except DipeoError as error:
                history = history or RetryHistory(self._clock.monotonic_s(), self._waits())
                request = await self._next(request, error, history)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        history: RetryHistory | None = None
        has_begun = False
        if self._budget is not None:
            self._budget.note_call(request)
        while True:
            try:
                async with self._inner.stream(request) as stream:
                    async for event in stream.events:
                        has_begun = True
                        if history is not None and isinstance(event, CompletionEnd):
                            yield CompletionEnd(self._told(request, event.completion, history))
                        else:
                            yield event
                return
            except DipeoError as error:
                history = history or RetryHistory(self._clock.monotonic_s(), self._waits())
                request = await self._next(request, error, history, is_final=has_begun)

    async def _next(
        self, request: CompletionRequest, error: DipeoError, history: RetryHistory, *, is_final: bool = False
    ) -> CompletionRequest:
        """The request for the next attempt, after the wait before it. Raises the error where there is none."""
        wait_s = max(next(history.waits), error.retry_after_s or 0.0)
        is_sent = error.context.get("sent") is not False
        used = error.attempts[-1].number if error.attempts else request.attempt_number
        objection = "text was delivered" if is_final else self._objection(request, error, history, used, wait_s)
        decision = f"given up: {objection}" if objection else f"tried again after {wait_s:.3f} s"
        history.add(error, decision)
        if objection:
            raise error.with_attempts(history.attempts)
        await self._clock.sleep(wait_s)
        if not is_sent:
            return evolve(request, waited_s=request.waited_s + wait_s)
        return evolve(request, attempt_number=used + 1, waited_s=wait_s)

    def _objection(
        self, request: CompletionRequest, error: DipeoError, history: RetryHistory, used: int, wait_s: float
    ) -> str | None:
        """Why not to try again, or None."""
        if not error.is_retryable:
            if not (error.is_outcome_unknown and self._retries_unknown_outcome):
                return "a retry would not help, or might be billed twice"
            if error.context.get("is_lasting"):
                return "the same request would be answered in the same way"
        elif (limit := history.has_exhausted(request, error)) is not None:
            empty = error.verdict is Verdict.EMPTY_RESPONSE
            return "the answer was empty before" if empty else f"{limit} retries did not help"
        is_sent = error.context.get("sent") is not False
        if (used if is_sent else len(history.verdicts)) >= request.max_attempts:
            return f"all {request.max_attempts} attempts are used"
        if request.deadline_at_s is not None and self._clock.monotonic_s() + wait_s >= request.deadline_at_s:
            return f"a wait of {wait_s:.3f} s does not fit the deadline"
        if request.fallbacks and wait_s > LONGEST_WAIT_BEFORE_FALLBACK_S:
            return f"others can be asked sooner than in {wait_s:.3f} s"
        return self._price(request, error, history, is_sent=is_sent)

    def _price(
        self, request: CompletionRequest, error: DipeoError, history: RetryHistory, *, is_sent: bool
    ) -> str | None:
        """Takes the retry from the budget, or says that it is used up."""
        if self._budget is None or error.retry_after_s or not is_sent:
            return None
        if not self._budget.take(request):
            return f"the retry budget is used up ({self._budget.share:.0%} of the calls)"
        history.paid += 1
        return None

    def _told(self, request: CompletionRequest, completion: Completion, history: RetryHistory) -> Completion:
        """The completion with the story of all attempts; the first failed attempt's time is in its record."""
        if self._budget is not None:
            self._budget.give_back(request, history.paid)
        attempts = (*history.attempts, *completion.attempts)
        waited_ms = (self._clock.monotonic_s() - history.began_at_s) * 1000
        first_ms = attempts[0].latency_ms if attempts else 0.0
        return completion.with_attempts(attempts, latency_ms=first_ms + waited_ms)
