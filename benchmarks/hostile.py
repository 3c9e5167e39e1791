"""Very many mutated answers, read one after the other: does any end in something that is not ours?

What `make test` does with 10,000 seeds is done here with as many as are asked for, on several processes. Each answer
must end in a completion or in an error of ours, in reasonable time, and the memory of each process must stay below its
bound. The exit code is 1 when one of these does not hold; a seed that is printed can be looked at by itself.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import sys
import time
from collections import Counter
from typing import Final

from attrs import define, field

from tests.hostile.attack import Attack, attack
from tests.hostile.reading import Reader

MAX_RESIDENT_KB: Final = 512 * 1024
"""What a process may hold at most, its modules included."""

_BLOCK: Final = 2_000
_SHOWN: Final = 20


@define
class Figures:
    """What a number of attacks came to."""

    endings: Counter[str] = field(factory=Counter)
    failed: list[Attack] = field(factory=list)
    resident_kb: int = 0

    def add(self, other: "Figures") -> None:
        """Takes the figures of another process in."""
        self.endings += other.endings
        self.failed += other.failed
        self.resident_kb = max(self.resident_kb, other.resident_kb)

    def problems(self) -> list[str]:
        """What does not hold."""
        found = [str(each) for each in self.failed[:_SHOWN]]
        if len(self.failed) > _SHOWN:
            found.append(f"and {len(self.failed) - _SHOWN} more")
        if self.resident_kb > MAX_RESIDENT_KB:
            found.append(f"{self.resident_kb} KB were held at most, not {MAX_RESIDENT_KB}")
        return found


async def read_all(seeds: range) -> Figures:
    """Makes the attacks of these seeds."""
    figures, reader = Figures(), Reader()
    for seed in seeds:
        made = await attack(reader, seed)
        figures.endings[made.ending] += 1
        if made.faults:
            figures.failed.append(made)
    figures.resident_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return figures


def read_block(seeds: range) -> Figures:
    """Makes the attacks of these seeds, in a process of its own."""
    return asyncio.run(read_all(seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    end = options.first_seed + options.count
    blocks = [range(at, min(at + _BLOCK, end)) for at in range(options.first_seed, end, _BLOCK)]
    figures, began_s = Figures(), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for done, part in enumerate(pool.imap_unordered(read_block, blocks), start=1):
            figures.add(part)
            if sys.stdout.isatty():
                print(f"\r{min(done * _BLOCK, options.count)} of {options.count} answers ", end="", flush=True)
    took_s = time.monotonic() - began_s
    print(f"\nanswers      {figures.endings.total()} in {took_s:.0f} s, {figures.endings.total() / took_s:.0f}/s")
    print(f"memory       {figures.resident_kb} KB at most in one process")
    for ending, count in figures.endings.most_common():
        print(f"{ending:24} {count}")
    problems = figures.problems()
    for problem in problems:
        print(f"does not hold: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
