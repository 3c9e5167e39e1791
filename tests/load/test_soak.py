"""Thousands of mixed calls leave nothing behind."""

from benchmarks.load import simulator_process
from benchmarks.soak import Plan, soak

CALLS = 3000


async def test_mixed_calls_leave_nothing_behind() -> None:
    """Answered, cancelled and left early, all calls give back their tasks, threads, descriptors and connections."""
    with simulator_process(seed=5) as simulator:
        figures = await soak(simulator, Plan(calls=CALLS, rounds=10, seed=5))
    tally = figures.tally
    assert tally.failed == []
    assert tally.total == CALLS
    assert min(tally.answered, tally.left_early, tally.cancelled) > CALLS // 50
    assert figures.reports == []
    assert figures.after == figures.before
    assert figures.after.connections == 0
    # A run this short bounds memory only loosely; still, one object kept for each call would be more blocks than this.
    assert figures.samples[-1].resident_kb - figures.samples[0].resident_kb < 4000
    assert figures.samples[-1].blocks - figures.samples[0].blocks < CALLS // 2
