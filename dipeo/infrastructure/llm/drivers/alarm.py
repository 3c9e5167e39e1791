"""Interrupts what takes too long, at the cost of one timer for all."""

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")


class AlarmWatch:
    """One timer for all alarms of an event loop: it is set for the earliest, and most never ring.

    A timer for each call would cost several times as much as the rest of this station.
    """

    __slots__ = ("__weakref__", "_alarms", "_next_at", "_timer")

    def __init__(self) -> None:
        # In the order in which they were set: those that ring together ring in that order, every time.
        self._alarms: dict[Alarm, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0

    def add(self, alarm: "Alarm") -> None:
        self._alarms[alarm] = None
        if self._timer is None or alarm.at < self._next_at:
            self._set(alarm.at)

    def remove(self, alarm: "Alarm") -> None:
        # The timer is left alone: when it goes off it finds nothing, which is cheaper than setting it anew each call.
        self._alarms.pop(alarm, None)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for alarm in [alarm for alarm in self._alarms if alarm.at <= now]:
            self._alarms.pop(alarm, None)
            alarm.ring()
        if self._alarms:
            self._set(min(alarm.at for alarm in self._alarms))


class Alarm:
    """Interrupts whoever waits when the time is up; the time in which a reader works on an event counts too."""

    __slots__ = ("_deadline_at", "_has_cancelled", "_has_rung", "_waiting", "_watch", "at")

    def __init__(self, watch: AlarmWatch, deadline_at: float, *, has_rung: bool) -> None:
        self.at = self._deadline_at = deadline_at
        self._has_rung = has_rung
        self._has_cancelled = False
        self._waiting: asyncio.Task[object] | None = None
        self._watch = watch
        if not has_rung:
            watch.add(self)

    @property
    def is_final(self) -> bool:
        """Whether it is set for the deadline itself, not for a single wait before it."""
        return self.at >= self._deadline_at

    async def wait_for(
        self, begin: Callable[..., Awaitable[_T]], *arguments: object, within_s: float | None = None
    ) -> _T:
        """What `begin(*arguments)` comes to. Raises the builtin `TimeoutError` when the time is up.

        `within_s` bounds this wait alone, in seconds, within the deadline.
        """
        if self._has_rung:
            raise builtins.TimeoutError
        if within_s is not None:
            self.at = min(self._deadline_at, asyncio.get_running_loop().time() + within_s)
            self._watch.add(self)
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
        if self._waiting is None and not self.is_final:
            # The wait that it was set for is over, and a reader may take their time up to the deadline.
            self.at = self._deadline_at
            self._watch.add(self)
            return
        self._has_rung = True
        if self._waiting is not None:
            self._has_cancelled = self._waiting.cancel()

    def stop(self) -> None:
        """Never rings from now on."""
        self._watch.remove(self)
