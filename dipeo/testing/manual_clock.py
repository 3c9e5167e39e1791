"""A clock that moves only when it is told to."""

import asyncio
from datetime import UTC, datetime, timedelta

from dipeo.domain.checks import check_number
from dipeo.domain.errors import ValidationError
from dipeo.domain.ports.clock import ClockPort


class ManualClock(ClockPort):
    """Starts at a given moment, 2026-01-01 12:00 UTC unless told otherwise; sleeping moves it at once.

    `sleeps` lists the seconds of every sleep, so that a test can say how long the code would have waited.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:  # immutable
        if start.tzinfo is None:
            raise ValidationError("'start' must be a time with a zone.", field="start")
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, delay_s: float) -> None:
        self.advance(delay_s)
        self.sleeps.append(delay_s)
        # Others get a turn, as they would while a real clock sleeps.
        await asyncio.sleep(0)

    def advance(self, delay_s: float) -> None:
        """Moves the clock on by that many seconds."""
        check_number("delay_s", delay_s, minimum=0)
        self._elapsed_s += delay_s

    def __repr__(self) -> str:
        return f"<ManualClock {self.now().isoformat()}>"
