"""Many calls at once, many loops, and loops in threads."""

import time
from collections.abc import Iterator

import pytest

from benchmarks.load import loops_in_threads, one_loop_after_another, settings_for, slow_calls_at_once
from benchmarks.soak import open_descriptors
from dipeo.facade import wired
from dipeo.testing import ProviderSimulator


@pytest.fixture
def simulator() -> Iterator[ProviderSimulator]:
    with ProviderSimulator(seed=11) as running:
        yield running


def descriptors_without_clients(simulator: ProviderSimulator) -> int:
    """The open descriptors once the simulator has seen every client leave; fails after five seconds."""
    end_s = time.monotonic() + 5
    while simulator.open_connections:
        assert time.monotonic() < end_s, f"{simulator.open_connections} connections stay open"
        time.sleep(0.01)
    # The server closes its socket in the turn of its loop after the one that counts.
    time.sleep(0.05)
    return open_descriptors()


def test_one_container_serves_a_thousand_loops(simulator: ProviderSimulator) -> None:
    """A thousand `asyncio.run` with one container all get their answer, and their connections end with their loops."""
    container = wired(settings_for(simulator.base_urls))
    one_loop_after_another(container, 4)
    before = descriptors_without_clients(simulator)
    tally = one_loop_after_another(container, 1000)
    assert tally.failed == []
    assert tally.answered == 1000
    assert descriptors_without_clients(simulator) == before


def test_one_container_serves_loops_in_eight_threads(simulator: ProviderSimulator) -> None:
    """Eight threads with loops of their own share one container, and nothing of them stays open."""
    container = wired(settings_for(simulator.base_urls))
    one_loop_after_another(container, 4)
    before = descriptors_without_clients(simulator)
    tally = loops_in_threads(container, threads=8, calls_each=60)
    assert tally.failed == []
    assert tally.total == 8 * 60
    assert descriptors_without_clients(simulator) == before


async def test_a_thousand_slow_calls_wait_beside_each_other(simulator: ProviderSimulator) -> None:
    """A thousand calls of half a second are all answered in far less time than they take one after another."""
    tally, took_s = await slow_calls_at_once(simulator, calls=1000, delay_s=0.5)
    assert tally.failed == []
    assert tally.answered == 1000
    assert simulator.peak_connections == 1000
    assert 0.5 <= took_s < 3
