"""Many mixed calls, and then: is everything given back, and does memory stay where it is?

Afterwards asyncio tasks, threads, open descriptors and the simulator's open connections must be what they were before,
nothing may be reported as never retrieved, no call may have failed, and memory may not grow over the second half of the
run by more than a line through its samples allows. The exit code is 1 when one of these does not hold.

Free memory is handed back to the system before each look at it, so that what counts is what is held. Even so it takes
some tens of thousands of calls to settle, with bare aiohttp no less: a short run says little about the slope. The
blocks that Python itself holds, printed beside it, tell sooner.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import asdict, define, evolve, frozen

import dipeo
from benchmarks.load import MixedCalls, RemoteSimulator, Tally, settings_for, simulator_process
from dipeo.infrastructure.ledger.in_memory import InMemoryLedger

MAX_SLOPE_KB: Final = 1.0
"""How much memory may grow over 1,000 calls, in KB."""

_WARM_UP_CALLS: Final = 1000
_ATTEMPTS_KEPT: Final = 100
_LOOKS: Final = 250
_LOOK_EVERY_S: Final = 0.02


@frozen
class Counts:
    """What a process holds that it has to give back."""

    tasks: int
    threads: int
    descriptors: int
    connections: int


@frozen(kw_only=True)
class Plan:
    """How much is asked, and for how long at most."""

    calls: int
    rounds: int = 100
    concurrency: int = 32
    seed: int = 11
    limit_s: float = 1800.0
    is_loud: bool = False


@frozen
class Sample:
    """The memory held after so many calls: what is resident, and the blocks that Python's own allocator has given."""

    calls: int
    resident_kb: float
    blocks: int


@define
class Figures:
    """What a run came to."""

    before: Counts
    after: Counts
    tally: Tally
    reports: list[str]
    samples: list[Sample]
    took_s: float

    @property
    def second_half(self) -> list[Sample]:
        """The samples after half of the calls."""
        return [sample for sample in self.samples if sample.calls * 2 >= self.samples[-1].calls]

    @property
    def slope_kb(self) -> float:
        """Resident KB for 1,000 calls, by least squares over the second half."""
        return self._slope([sample.resident_kb for sample in self.second_half])

    @property
    def slope_blocks(self) -> float:
        """Python's blocks for 1,000 calls, likewise."""
        return self._slope([sample.blocks for sample in self.second_half])

    def _slope(self, held: Sequence[float]) -> float:
        calls = [sample.calls for sample in self.second_half]
        return statistics.linear_regression(calls, held).slope * 1000 if len(calls) > 1 else 0.0

    def problems(self, *, max_slope_kb: float = MAX_SLOPE_KB) -> list[str]:
        """What does not hold."""
        found = [
            f"{name}: {count} before, {asdict(self.after)[name]} after"
            for name, count in asdict(self.before).items()
            if count != asdict(self.after)[name]
        ]
        found += [f"{len(self.tally.failed)} calls failed, such as {self.tally.failed[0]}"] if self.tally.failed else []
        found += [f"the event loop reported: {report}" for report in self.reports[:3]]
        if self.slope_kb >= max_slope_kb:
            found.append(f"memory grows by {self.slope_kb:.2f} KB per 1,000 calls, not below {max_slope_kb:g}")
        return found

    def __str__(self) -> str:
        tally, after = self.tally, asdict(self.after)
        first, middle, last = (each.resident_kb for each in (self.samples[0], self.second_half[0], self.samples[-1]))
        ends = f"{tally.answered} answered, {tally.cancelled} cancelled, {tally.left_early} streams left early"
        lines = [
            f"calls        {tally.total}: {ends}, {len(tally.failed)} failed",
            f"time         {self.took_s:.1f} s, {tally.total / self.took_s:.0f} calls/s",
            *(f"{name:12} {held} before, {after[name]} after" for name, held in asdict(self.before).items()),
            f"reports      {len(self.reports)}",
            f"memory       {first:.0f} KB, {middle:.0f} at half, {last:.0f} at the end",
            f"slope        {self.slope_kb:+.2f} KB and {self.slope_blocks:+.1f} blocks per 1,000 calls, second half",
        ]
        return "\n".join(lines)


def look(calls: int) -> Sample:
    """The memory that is held now, after so many calls."""
    gc.collect()
    blocks = sys.getallocatedblocks()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Sample(calls, pages * resource.getpagesize() / 1024, blocks)


def open_descriptors() -> int:
    """The open file descriptors of this process."""
    # One is the listing's own.
    return len(os.listdir("/proc/self/fd")) - 1


def count(simulator: RemoteSimulator) -> Counts:
    """What is held now, by this process and its event loop."""
    return Counts(
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        descriptors=open_descriptors(),
        connections=simulator.open_connections,
    )


async def settled(simulator: RemoteSimulator, expected: Counts) -> Counts:
    """What is held as soon as it is what is expected, or after some seconds all the same."""
    for _ in range(_LOOKS):
        if count(simulator) == expected:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    return count(simulator)


@contextmanager
def loop_reports() -> Iterator[list[str]]:
    """What the running loop reports meanwhile: exceptions never retrieved, sessions not closed, and the like."""
    reports: list[str] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: reports.append(f"{context['message']}: {context}"[:500]))
    try:
        yield reports
    finally:
        loop.set_exception_handler(before)


async def soak(simulator: RemoteSimulator, plan: Plan) -> Figures:
    """Makes the calls of the plan, in rounds; memory is looked at between them, when no call is under way."""
    settings = settings_for(simulator.base_urls)
    ledger = InMemoryLedger(max_attempts_kept=_ATTEMPTS_KEPT)
    with loop_reports() as reports:
        # Once through everything, so that what is made once and kept is there before anything is counted.
        async with dipeo.connect(settings, ledger=ledger) as llm:
            await MixedCalls(llm, seed=plan.seed + 1).run(_WARM_UP_CALLS, concurrency=plan.concurrency)
        gc.collect()
        before = await settled(simulator, evolve(count(simulator), tasks=1, connections=0))
        began_s = time.monotonic()
        async with dipeo.connect(settings, ledger=ledger) as llm:
            mixed = MixedCalls(llm, seed=plan.seed)
            samples = await _rounds(mixed, plan)
        took_s = time.monotonic() - began_s
        gc.collect()
        after = await settled(simulator, before)
    return Figures(before=before, after=after, tally=mixed.tally, reports=reports, samples=samples, took_s=took_s)


async def _rounds(mixed: MixedCalls, plan: Plan) -> list[Sample]:
    end_s = time.monotonic() + plan.limit_s
    samples: list[Sample] = []
    calls_each = max(plan.calls // plan.rounds, 1)
    while (done := mixed.tally.total) < plan.calls and time.monotonic() < end_s:
        await mixed.run(min(calls_each, plan.calls - done), concurrency=plan.concurrency)
        samples.append(look(mixed.tally.total))
        if plan.is_loud:
            print(f"\r{samples[-1].calls} of {plan.calls} calls, {samples[-1].resident_kb:.0f} KB ", end="", flush=True)
    if plan.is_loud:
        print("\r\033[K", end="")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # At 100,000 calls the memory of the process is still settling.
    parser.add_argument("--calls", type=int, default=250_000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--minutes", type=float, default=30.0, help="no round begins after so long")
    options = parser.parse_args()
    plan = Plan(
        calls=options.calls,
        concurrency=options.concurrency,
        seed=options.seed,
        limit_s=options.minutes * 60,
        is_loud=True,
    )
    with simulator_process(seed=options.seed) as simulator:
        figures = asyncio.run(soak(simulator, plan))
    print(figures)
    problems = figures.problems()
    for problem in problems:
        print(f"does not hold: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
