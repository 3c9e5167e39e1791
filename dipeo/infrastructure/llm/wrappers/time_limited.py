"""Keeps an attempt within the call's deadline."""

import asyncio
import builtins
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DeadlineExceededError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream, TextDelta

_T = TypeVar("_T")


class TimeLimitedModel(ChatModelPort):
    """Ends what is not done by `request.deadline_at_s` with `DeadlineExceededError`, and closes its connection."""

    def __init__(self, inner: ChatModelPort, clock: ClockPort) -> None:
        self._inner = inner
        self._clock = clock
        self._watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()

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

    def _alarm(self, request: CompletionRequest) -> "_Alarm":
        loop = asyncio.get_running_loop()
        watch = self._watches.get(loop)
        if watch is None:
            watch = self._watches[loop] = _Watch()
        left_s = (request.deadline_at_s or 0.0) - self._clock.monotonic_s()
        return _Alarm(watch, loop.time() + left_s, has_rung=left_s <= 0)


class _Watch:
    """One timer for all alarms of an event loop: it is set for the earliest, and most never ring.

    A timer for each call would cost several times as much as the rest of this station.
    """

    __slots__ = ("__weakref__", "_alarms", "_next_at", "_timer")

    def __init__(self) -> None:
        self._alarms: set[_Alarm] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0

    def add(self, alarm: "_Alarm") -> None:
        self._alarms.add(alarm)
        if self._timer is None or alarm.at < self._next_at:
            self._set(alarm.at)

    def remove(self, alarm: "_Alarm") -> None:
        # The timer is left alone: when it goes off it finds nothing, which is cheaper than setting it anew each call.
        self._alarms.discard(alarm)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for alarm in [alarm for alarm in self._alarms if alarm.at <= now]:
            self._alarms.discard(alarm)
            alarm.ring()
        if self._alarms:
            self._set(min(alarm.at for alarm in self._alarms))


class _Alarm:
    """Interrupts whoever waits when the time is up; the time in which a reader works on an event counts too."""

    __slots__ = ("_has_cancelled", "_has_rung", "_waiting", "_watch", "at")

    def __init__(self, watch: _Watch, at: float, *, has_rung: bool) -> None:
        self.at = at
        self._has_rung = has_rung
        self._has_cancelled = False
        self._waiting: asyncio.Task[object] | None = None
        self._watch = watch
        if not has_rung:
            watch.add(self)

    async def wait_for(self, begin: Callable[..., Awaitable[_T]], *arguments: object) -> _T:
        """What `begin(*arguments)` comes to. Raises the builtin `TimeoutError` when the time is up."""
        if self._has_rung:
            raise builtins.TimeoutError
        task = self._waiting = asyncio.current_task()
        cancelled_before = task.cancelling() if task is not None else 0
        try:
            return await begin(*arguments)
        except asyncio.CancelledError:
            # Ours is told as what it is; one that somebody else asked for as well is not swallowed.
            if self._has_cancelled and task is not None and task.cancelling() - 1 <= cancelled_before:
                raise builtins.TimeoutError from None
            raise
        finally:
            self._waiting = None
            if self._has_cancelled and task is not None:
                # Taken back whatever came of it: an answer in the last moment must not leave its task half cancelled.
                self._has_cancelled = False
                task.uncancel()

    def ring(self) -> None:
        """The time is up."""
        self._has_rung = True
        if self._waiting is not None:
            self._has_cancelled = self._waiting.cancel()

    def stop(self) -> None:
        """Never rings from now on."""
        self._watch.remove(self)


def _too_late(request: CompletionRequest, partial_text: str = "") -> DeadlineExceededError:
    return DeadlineExceededError(provider=request.service.value, model=request.model, partial_text=partial_text or None)
