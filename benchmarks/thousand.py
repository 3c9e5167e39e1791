"""A thousand calls of half a second at once: how long they take together and how much memory, against bare aiohttp.

Each contender runs in a fresh process against one server in another; the time is the best of the rounds, because what
else the machine does can only add to it, and the memory their median.
"""

import argparse
import statistics
import subprocess
import sys

from benchmarks.canned_server import canned_server
from benchmarks.thousand_calls import CONTENDERS


def run(name: str, base_url: str, calls: int) -> tuple[float, float]:
    """Seconds that all calls took together, and the most memory (MB) that the process held."""
    command = [sys.executable, "-m", "benchmarks.thousand_calls", name, base_url, str(calls)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    took_s, held_mb = map(float, printed.split())
    return took_s, held_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    with canned_server(delay_s=0.5) as base_url:
        for _ in range(options.rounds):
            for name in CONTENDERS:
                measured[name].append(run(name, base_url, options.calls))
    print(f"{options.calls} calls of 0.5 s at once, best of {options.rounds}; goals for dipeo: 1.0 s, 60 MB")
    print("  as in a base install: pydantic is hidden")
    for name, rounds in measured.items():
        seconds = min(took_s for took_s, _ in rounds)
        print(f"  {name:14} {seconds:5.2f} s {statistics.median(size for _, size in rounds):6.1f} MB")


if __name__ == "__main__":
    main()
