"""Interrupts what takes too long, at the cost of one timer for all."""

import asyncio
import builtins
import math

from dipeo.infrastructure.llm.drivers.per_loop import PerLoop


class AlarmWatch:
    """One timer for all alarms of an event loop: it is set for the earliest, and most never ring.

    A timer for each call would cost several times as much as the rest of this station.
    """

    __slots__ = ("__weakref__", "_timer", "alarms", "next_at")

    def __init__(self) -> None:
        # In the order in which they were set: those that ring together ring in that order, every time. An alarm that is
        # over just goes: the timer is left alone and finds nothing, which is cheaper than setting it anew each call.
        self.alarms: dict[Alarm, None] = {}
        self.next_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Rings next at this moment of the loop's time."""
        if self._timer is not None:
            self._timer.cancel()
        self.next_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer, self.next_at = None, math.inf
        now = asyncio.get_running_loop().time()
        for alarm in [alarm for alarm in self.alarms if alarm.at <= now]:
            del self.alarms[alarm]
            alarm.ring()
        if self.alarms:
            self.set(min(alarm.at for alarm in self.alarms))


class Alarm:
    """Interrupts whoever waits in its `with` block when `left_s` are over, by the builtin `TimeoutError`.

    The block may be entered again and again, by any task; the time in between counts too. Making one, and `within()`,
    raise that error themselves where no time is left.
    """

    __slots__ = (
        "_cancelled_before",
        "_deadline_at",
        "_has_cancelled",
        "_loop",
        "_waiting",
        "_watch",
        "at",
    )

    _waiting: "asyncio.Task[object] | None"
    _cancelled_before: int

    def __init__(self, watches: PerLoop[AlarmWatch], left_s: float) -> None:
        if left_s <= 0:
            raise builtins.TimeoutError
        # Kept, because to look for the running one asks the operating system every time.
        loop = self._loop = asyncio.get_running_loop()
        self._watch = watches.get(loop)
        self.at = self._deadline_at = loop.time() + left_s
        self._has_cancelled = False

    @property
    def is_final(self) -> bool:
        """Whether it is set for the deadline itself, not for a single wait before it."""
        return self.at >= self._deadline_at

    def within(self, limit_s: float | None) -> "Alarm":
        """Bounds the next wait alone, in seconds, within the deadline; None leaves the deadline alone."""
        now = self._loop.time()
        self.at = self._deadline_at if limit_s is None else min(self._deadline_at, now + limit_s)
        if now >= self._deadline_at:
            raise builtins.TimeoutError
        return self

    def __enter__(self) -> None:
        task = self._waiting = asyncio.current_task(self._loop)
        self._cancelled_before = task.cancelling() if task is not None else 0
        watch = self._watch
        watch.alarms[self] = None
        if self.at < watch.next_at:
            watch.set(self.at)

    def __exit__(self, kind: type[BaseException] | None, _problem: object, _traceback: object) -> None:
        self._watch.alarms.pop(self, None)
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
        """The time is up for whoever waits."""
        self._has_cancelled = self._waiting is not None and self._waiting.cancel()
