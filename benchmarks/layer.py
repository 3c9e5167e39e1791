"""What dipeo's layer itself takes for a call: no network, no other client, one call after the other.

The figure is the wall time that the fastest tenth of single calls stays within. Each process lays its memory out anew,
which changes a call by some percent; hence several processes, of nine rounds each. The best round counts, because what
else the machine does can only add to it; the middle of all stands beside it. So does the time that the standard
library's `json` takes to write and read the same exchange: a microsecond is worth what the machine makes of it.
"""

import argparse
import statistics
import subprocess
import sys


def rounds_of_one_process() -> list[tuple[float, float]]:
    """For each round, the microseconds of the layer and of `json`."""
    command = [sys.executable, "-m", "benchmarks.layer_calls"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    return [(float(layer), float(its_json)) for layer, its_json in map(str.split, printed.splitlines())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, choices=range(1, 100), default=5, metavar="N", help="1 to 99")
    options = parser.parse_args()
    rounds = [each for _ in range(options.processes) for each in rounds_of_one_process()]
    print("the layer alone, over a wire that answers at once, the best tenth of single calls; goal for dipeo: 15 us")
    print(f"  {'':14} {'best round':>10} {'middle':>8}")
    for name, measured in zip(("dipeo", "its JSON, json"), zip(*rounds, strict=True), strict=True):
        print(f"  {name:14} {min(measured):10.1f} {statistics.median(measured):8.1f}")


if __name__ == "__main__":
    main()
