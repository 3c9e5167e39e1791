"""Asks a second time when the first answer is slow to begin."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream
from dipeo.infrastructure.llm.drivers.latencies import LatencyBook
from dipeo.infrastructure.llm.drivers.race import Race


class HedgedModel(ChatModelPort):
    """Sends the same request once more when nothing came for longer than 19 of 20 calls take; the first event wins.

    The loser is cancelled, and stands among the attempts as perhaps billed. The `book` learns the delay from the calls
    that went before, and keeps the share of calls that are asked twice. Both requests count as attempts: where one
    alone is left, or where the delay does not fit the deadline, the call is not hedged.
    """

    def __init__(self, inner: ChatModelPort, clock: ClockPort, book: LatencyBook) -> None:
        self._inner = inner
        self._clock = clock
        self._book = book

    async def complete(self, request: CompletionRequest) -> Completion:
        delay_s, began_at_s = self._delay_s(request, is_stream=False), self._clock.monotonic_s()
        if delay_s is None:
            completion = await self._inner.complete(request)
            self._book.note(request, self._clock.monotonic_s() - began_at_s, is_stream=False)
            return completion
        race = Race(self._ask_whole, request, self._clock)
        try:
            leg = await race.winner(delay_s, lambda: self._book.may_hedge(request, is_stream=False))
            completion = leg.task.result()
            self._book.note(request, self._clock.monotonic_s() - began_at_s, is_stream=False)
        finally:
            await race.end()
        return race.told(completion)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        delay_s, began_at_s = self._delay_s(request, is_stream=True), self._clock.monotonic_s()
        if delay_s is None:
            has_begun = False
            async with self._inner.stream(request) as stream:
                async for event in stream.events:
                    if not has_begun:
                        has_begun = True
                        self._book.note(request, self._clock.monotonic_s() - began_at_s, is_stream=True)
                    yield event
            return
        race = Race(self._ask_first_event, request, self._clock)
        try:
            leg = await race.winner(delay_s, lambda: self._book.may_hedge(request, is_stream=True))
            first, events = leg.task.result()
            self._book.note(request, self._clock.monotonic_s() - began_at_s, is_stream=True)
            await race.end(but=leg)
            while first is not None:
                yield CompletionEnd(race.told(first.completion)) if isinstance(first, CompletionEnd) else first
                try:
                    first = await anext(events, None)
                except DipeoError as error:
                    raise race.told_of(error) from None
        finally:
            await race.end()

    def _delay_s(self, request: CompletionRequest, *, is_stream: bool) -> float | None:
        """After how long a second request is sent; None where none may be."""
        delay_s = self._book.delay_s(request, is_stream=is_stream)
        if delay_s is None or request.attempt_number >= request.max_attempts:
            return None
        is_late = request.deadline_at_s is not None and self._clock.monotonic_s() + delay_s >= request.deadline_at_s
        return None if is_late else delay_s

    def _ask_whole(
        self, request: CompletionRequest
    ) -> "tuple[Callable[[], Coroutine[object, object, Completion]], _Close]":
        return lambda: self._inner.complete(request), _close_nothing

    def _ask_first_event(
        self, request: CompletionRequest
    ) -> "tuple[Callable[[], Coroutine[object, object, _FirstEvent]], _Close]":
        stream = self._inner.stream(request)

        async def begin() -> _FirstEvent:
            return await anext(stream.events, None), stream.events

        return begin, stream.aclose


async def _close_nothing() -> None:
    """A whole answer leaves nothing open."""


_FirstEvent = tuple[CompletionEvent | None, AsyncGenerator[CompletionEvent, None]]
_Close = Callable[[], Awaitable[None]]
