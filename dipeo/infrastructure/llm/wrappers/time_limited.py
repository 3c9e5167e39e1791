"""Keeps an attempt within the call's deadline."""

import asyncio
import builtins
from collections.abc import AsyncGenerator

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DeadlineExceededError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream, TextDelta


class TimeLimitedModel(ChatModelPort):
    """Ends what is not done by `request.deadline_at_s` with `DeadlineExceededError`, and closes its connection."""

    def __init__(self, inner: ChatModelPort, clock: ClockPort) -> None:
        self._inner = inner
        self._clock = clock

    async def complete(self, request: CompletionRequest) -> Completion:
        if request.deadline_at_s is None:
            return await self._inner.complete(request)
        try:
            async with asyncio.timeout(self._left_s(request.deadline_at_s)):
                return await self._inner.complete(request)
        except builtins.TimeoutError:
            raise _too_late(request) from None

    def stream(self, request: CompletionRequest) -> CompletionStream:
        if request.deadline_at_s is None:
            return self._inner.stream(request)
        return CompletionStream(self._events(request, request.deadline_at_s))

    async def _events(self, request: CompletionRequest, deadline_at_s: float) -> AsyncGenerator[CompletionEvent, None]:
        text: list[str] = []
        async with self._inner.stream(request) as stream:
            while True:
                try:
                    # The time in which the reader works on an event counts too: the deadline is the call's.
                    async with asyncio.timeout(self._left_s(deadline_at_s)):
                        event = await anext(stream, None)
                except builtins.TimeoutError:
                    raise _too_late(request, "".join(text)) from None
                if event is None:
                    return
                if isinstance(event, TextDelta):
                    text.append(event.text)
                yield event

    def _left_s(self, deadline_at_s: float) -> float:
        return deadline_at_s - self._clock.monotonic_s()


def _too_late(request: CompletionRequest, partial_text: str = "") -> DeadlineExceededError:
    return DeadlineExceededError(provider=request.service.value, model=request.model, partial_text=partial_text or None)
