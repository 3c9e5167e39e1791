"""The manual clock moves when it is told to, and only then."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dipeo.domain.errors import ValidationError
from dipeo.testing import ManualClock


def test_it_stands_still() -> None:
    """Asking for the time does not take any."""
    clock = ManualClock()
    assert clock.now() == clock.now() == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert clock.monotonic_s() == clock.monotonic_s()


def test_it_moves_when_told() -> None:
    """Both scales move by the same amount."""
    start = datetime(2030, 5, 5, tzinfo=UTC)
    clock = ManualClock(start)
    began_s = clock.monotonic_s()
    clock.advance(90)
    clock.advance(0)
    clock.advance(0.5)
    assert clock.now() == start + timedelta(seconds=90.5)
    assert clock.monotonic_s() - began_s == 90.5
    assert repr(clock) == "<ManualClock 2030-05-05T00:01:30.500000+00:00>"


async def test_sleeping_moves_it_at_once() -> None:
    """A sleep of a day takes no time, moves the clock by a day, and is listed."""
    clock = ManualClock()
    async with asyncio.timeout(1):
        await clock.sleep(86_400)
        await clock.sleep(1)
    assert clock.sleeps == [86_400, 1]
    assert clock.now() == datetime(2026, 1, 2, 12, 0, 1, tzinfo=UTC)


async def test_others_get_a_turn_while_it_sleeps() -> None:
    """A task that is ready runs before the sleep is over, as with a real clock."""
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    task = asyncio.ensure_future(other())
    await ManualClock().sleep(1)
    assert ran == ["other"]
    await task


@pytest.mark.parametrize("delay_s", [-1, -0.001, math.nan, math.inf, True, "1", None])
async def test_it_does_not_go_back(delay_s: Any) -> None:
    """What is no amount of time is refused, and the clock stands where it stood."""
    clock = ManualClock()
    with pytest.raises(ValidationError):
        clock.advance(delay_s)
    with pytest.raises(ValidationError):
        await clock.sleep(delay_s)
    assert clock.monotonic_s() == ManualClock().monotonic_s()
    assert clock.sleeps == []


def test_it_starts_at_a_moment_with_a_zone() -> None:
    """A naive start is refused: `now()` promises UTC."""
    with pytest.raises(ValidationError):
        ManualClock(datetime(2026, 1, 1))
