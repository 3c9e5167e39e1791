"""The clocks of this machine."""

import asyncio
import time
from datetime import UTC, datetime

from dipeo.domain.ports.clock import ClockPort


class SystemClock(ClockPort):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    # The function itself: every station of a call asks for the time, and a method around it would cost twice as much.
    monotonic_s = staticmethod(time.monotonic)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
