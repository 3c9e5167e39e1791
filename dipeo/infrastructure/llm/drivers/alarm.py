"""Interrupts what takes too long, at the cost of one timer for all."""

import asyncio
import builtins
import math


class AlarmWatch:
    """One timer for all alarms of an event loop: it is set for the earliest, and most never ring.

    A timer for each call would cost several times as much as the rest of this station.
    """

    __slots__ = ("__weakref__", "_next_at", "_timer", "alarms")

    def __init__(self) -> None:
        # In the order in which they were set: those that ring together ring in that order, every time. An alarm that
        # stops just goes: the timer is left alone and finds nothing, which is cheaper than setting it anew each call.
        self.alarms: dict[Alarm, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = math.inf

    def add(self, alarm: "Alarm") -> None:
        self.alarms[alarm] = None
        if alarm.at < self._next_at:
            self._set(alarm.at)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer, self._next_at = None, math.inf
        now = asyncio.get_running_loop().time()
        for alarm in [alarm for alarm in self.alarms if alarm.at <= now]:
            self.alarms.pop(alarm, None)
            alarm.ring()
        if self.alarms:
            self._set(min(alarm.at for alarm in self.alarms))


class Alarm:
    """Interrupts whoever waits in its `with` block when `left_s` are over, by the builtin `TimeoutError`.

    The block may be entered again and again, by any task; the time in between counts too.
    """

    __slots__ = (
        "_cancelled_before",
        "_deadline_at",
        "_has_cancelled",
        "_has_rung",
        "_loop",
        "_waiting",
        "_watch",
        "at",
    )

    def __init__(self, watch: AlarmWatch, loop: asyncio.AbstractEventLoop, left_s: float) -> None:
        self.at = self._deadline_at = loop.time() + left_s
        self._has_rung = left_s <= 0
        self._has_cancelled = False
        self._cancelled_before = 0
        self._waiting: asyncio.Task[object] | None = None
        self._watch = watch
        # Kept, because to look for the running one asks the operating system every time.
        self._loop = loop
        if left_s > 0:
            watch.add(self)

    @property
    def is_final(self) -> bool:
        """Whether it is set for the deadline itself, not for a single wait before it."""
        return self.at >= self._deadline_at

    def within(self, limit_s: float | None) -> "Alarm":
        """Bounds the next wait alone, in seconds, within the deadline; None leaves the deadline alone."""
        if not self._has_rung:
            at = self._deadline_at if limit_s is None else self._loop.time() + limit_s
            self.at = min(self._deadline_at, at)
            self._watch.add(self)
        return self

    def __enter__(self) -> None:
        if self._has_rung:
            raise builtins.TimeoutError
        task = self._waiting = asyncio.current_task(self._loop)
        self._cancelled_before = task.cancelling() if task is not None else 0

    def __exit__(self, kind: type[BaseException] | None, *_problem: object) -> None:
        task, self._waiting = self._waiting, None
        if not self._has_cancelled or task is None:
            return
        # Taken back whatever came of it: an answer in the last moment must not leave its task half cancelled.
        self._has_cancelled = False
        is_left_to_us = task.uncancel() <= self._cancelled_before
        # Ours is told as what it is; one that somebody else asked for as well is not swallowed.
        if kind is not None and issubclass(kind, asyncio.CancelledError) and is_left_to_us:
            raise builtins.TimeoutError from None

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
        self._watch.alarms.pop(self, None)
