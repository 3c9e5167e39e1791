"""The clocks of this machine."""

import asyncio
import time
from datetime import UTC, datetime

from dipeo.domain.ports.clock import ClockPort


class SystemClock(ClockPort):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
