"""The clocks of this machine."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial

from dipeo.domain.ports.clock import ClockPort


class SystemClock(ClockPort):
    """The machine's own time. Patching `datetime` or `time` does not reach it: tests use `ManualClock`."""

    # The functions themselves: every station of a call asks for the time, and a method around one would cost as much.
    now = staticmethod(partial(datetime.now, UTC))
    monotonic_s = staticmethod(time.monotonic)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
