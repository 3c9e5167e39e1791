"""Thousands of mixed calls leave nothing behind."""

from attrs import evolve

from benchmarks.load import Tally, simulator_process
from benchmarks.soak import Counts, Figures, Plan, Sample, soak

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


def test_the_soak_fails_for_whatever_is_left() -> None:
    """A task, a descriptor, a failed call, a report of the loop, and memory that grows: each is named as a problem."""
    nothing = Counts(tasks=1, threads=1, descriptors=9, connections=0)
    steady = [Sample(calls=number * 1000, resident_kb=50_000.0, blocks=100_000) for number in range(11)]
    growing = [evolve(sample, resident_kb=50_000 + sample.calls / 1000 * 1.1) for sample in steady]
    good = Figures(before=nothing, after=nothing, tally=Tally(), reports=[], samples=steady, took_s=1.0)
    assert good.problems() == []
    for change, words in (
        ({"after": evolve(nothing, tasks=2)}, "tasks: 1 before, 2 after"),
        ({"after": evolve(nothing, descriptors=10)}, "descriptors: 9 before, 10 after"),
        ({"after": evolve(nothing, connections=1)}, "connections: 0 before, 1 after"),
        ({"tally": Tally(failed=["a timeout"])}, "1 calls failed, such as a timeout"),
        ({"reports": ["never retrieved"]}, "the event loop reported: never retrieved"),
        ({"samples": growing}, "memory grows by 1.10 KB per 1,000 calls, not below 1"),
    ):
        assert evolve(good, **change).problems() == [words]
