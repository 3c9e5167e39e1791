"""Time."""

from datetime import datetime
from typing import Protocol, runtime_checkable


@runtime_checkable
class ClockPort(Protocol):
    """The one source of time; nothing else in dipeo reads a clock or sleeps."""

    def now(self) -> datetime:
        """The time of day in UTC, with its zone."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a scale that never goes back; deadlines are points on it."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Waits that many seconds."""
        ...
