"""Keeps an attempt within the call's deadline."""

import asyncio
import builtins
from collections.abc import AsyncGenerator
from weakref import WeakKeyDictionary

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DeadlineExceededError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream, TextDelta
from dipeo.infrastructure.llm.drivers.alarm import Alarm, AlarmWatch


class TimeLimitedModel(ChatModelPort):
    """Ends what is not done by `request.deadline_at_s` with `DeadlineExceededError`, and closes its connection."""

    def __init__(self, inner: ChatModelPort, clock: ClockPort) -> None:
        self._inner = inner
        self._clock = clock
        self._watches: WeakKeyDictionary[asyncio.AbstractEventLoop, AlarmWatch] = WeakKeyDictionary()

    async def complete(self, request: CompletionRequest) -> Completion:
        if request.deadline_at_s is None:
            return await self._inner.complete(request)
        alarm = self._alarm(request)
        try:
            return await alarm.wait_for(self._inner.complete, request)
        except builtins.TimeoutError:
            raise _too_late(request) from None
        finally:
            alarm.stop()

    def stream(self, request: CompletionRequest) -> CompletionStream:
        if request.deadline_at_s is None:
            return self._inner.stream(request)
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        text: list[str] = []
        alarm = self._alarm(request)
        try:
            async with self._inner.stream(request) as stream:
                while True:
                    event = await alarm.wait_for(anext, stream.events, None)
                    if event is None:
                        return
                    if isinstance(event, TextDelta):
                        text.append(event.text)
                    yield event
        except builtins.TimeoutError:
            raise _too_late(request, "".join(text)) from None
        finally:
            alarm.stop()

    def _alarm(self, request: CompletionRequest) -> Alarm:
        loop = asyncio.get_running_loop()
        watch = self._watches.get(loop)
        if watch is None:
            watch = self._watches[loop] = AlarmWatch()
        left_s = (request.deadline_at_s or 0.0) - self._clock.monotonic_s()
        return Alarm(watch, loop.time() + left_s, has_rung=left_s <= 0)


def _too_late(request: CompletionRequest, partial_text: str = "") -> DeadlineExceededError:
    return DeadlineExceededError(provider=request.service.value, model=request.model, partial_text=partial_text or None)
