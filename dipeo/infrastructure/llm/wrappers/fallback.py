"""Asks the next candidate when one cannot answer."""

from collections.abc import AsyncGenerator, Coroutine

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream
from dipeo.infrastructure.llm.drivers.candidates import Candidates, WindowOf, unknown_window


class FallbackModel(ChatModelPort):
    """Goes through `request.fallbacks` in their order, after failures that make it worth while.

    `FALLBACK_RULES` says which those are. `window_of` tells the size of a model's window: a conversation that is too
    long for one model goes only to those that are known to have a bigger one. Deadline and allowance are the whole
    call's, and a stream is never begun anew after its first event.
    """

    def __init__(self, inner: ChatModelPort, clock: ClockPort, *, window_of: WindowOf = unknown_window) -> None:
        self._inner = inner
        self._clock = clock
        self._window_of = window_of

    def complete(self, request: CompletionRequest) -> Coroutine[object, object, Completion]:
        # Not async itself: a call without fallbacks, the usual one, pays for this line and no more.
        return self._complete(request) if request.fallbacks else self._inner.complete(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request)) if request.fallbacks else self._inner.stream(request)

    async def _complete(self, request: CompletionRequest) -> Completion:
        candidates, began_at_s = Candidates(request, self._window_of), self._clock.monotonic_s()
        asked = candidates.current
        while True:
            try:
                return candidates.told(await self._inner.complete(asked), self._since_ms(began_at_s))
            except DipeoError as error:
                asked = candidates.after(error, self._clock.monotonic_s())

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        candidates, began_at_s = Candidates(request, self._window_of), self._clock.monotonic_s()
        asked, has_begun = candidates.current, False
        while True:
            try:
                async with self._inner.stream(asked) as stream:
                    async for event in stream.events:
                        has_begun = True
                        if isinstance(event, CompletionEnd):
                            yield CompletionEnd(candidates.told(event.completion, self._since_ms(began_at_s)))
                        else:
                            yield event
                return
            except DipeoError as error:
                if has_begun:
                    raise candidates.final(error) from None
                asked = candidates.after(error, self._clock.monotonic_s())

    def _since_ms(self, began_at_s: float) -> float:
        return (self._clock.monotonic_s() - began_at_s) * 1000
