"""What every clock keeps."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from dipeo.domain.ports import ClockPort
from dipeo.infrastructure.clock import SystemClock
from dipeo.testing import ManualClock

TINY_S = 0.005


@pytest.fixture(params=[SystemClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> ClockPort:
    """A clock of each kind."""
    make: Callable[[], ClockPort] = request.param
    return make()


def test_it_is_a_clock(clock: ClockPort) -> None:
    """It implements the port."""
    assert isinstance(clock, ClockPort)


def test_the_time_of_day_is_utc(clock: ClockPort) -> None:
    """`now()` carries the zone, and the zone is UTC."""
    assert clock.now().utcoffset() == timedelta(0)


def test_neither_scale_goes_back(clock: ClockPort) -> None:
    """Later readings are never smaller."""
    readings = [clock.monotonic_s() for _ in range(100)]
    assert readings == sorted(readings)
    assert all(isinstance(reading, float) for reading in readings)
    moments = [clock.now() for _ in range(10)]
    assert moments == sorted(moments)


async def test_a_sleep_takes_at_least_its_time(clock: ClockPort) -> None:
    """Afterwards the clock is on by what was asked for."""
    began_s = clock.monotonic_s()
    for _ in range(3):
        await clock.sleep(TINY_S)
    # A real clock may wake a sleeper early by as much as its own resolution.
    assert clock.monotonic_s() - began_s >= TINY_S * 3 * 0.9


async def test_a_sleep_of_nothing_lets_others_run(clock: ClockPort) -> None:
    """Even no time at all is a chance for other tasks."""
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    task = asyncio.ensure_future(other())
    await clock.sleep(0)
    await clock.sleep(0)
    assert ran == ["other"]
    await task


async def test_a_sleeper_can_be_cancelled(clock: ClockPort) -> None:
    """Cancellation passes through."""
    task = asyncio.ensure_future(clock.sleep(TINY_S))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
