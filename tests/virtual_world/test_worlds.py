"""Three hundred worlds, each from its seed; a seed that fails is replayed alone."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.virtual_world.invariants import violations
from tests.virtual_world.plan import WorldPlan
from tests.virtual_world.world import run_world

SEEDS = 300
CHUNK = 50
REPLAY = "DIPEO_SEED={} .venv/bin/python -m pytest tests/virtual_world -k replay"


def broken(seed: int) -> list[str]:
    """What does not hold in the world of this seed."""
    try:
        return violations(run_world(WorldPlan.from_seed(seed)).result)
    except AssertionError as problem:
        return [f"{type(problem).__name__}: {problem}"]


def told(failures: Mapping[int, Sequence[str]]) -> str:
    """Each seed that failed as the command that replays it, and what did not hold."""
    return "\n".join(f"{REPLAY.format(seed)}\n    {found}" for seed, found in failures.items())


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_what_must_hold_holds_in_every_world(first: int) -> None:
    """Whatever the faults, the order and the moment, every call ends well, in time, told truly, and leaves nothing."""
    failures = {seed: found for seed in range(first, first + CHUNK) if (found := broken(seed))}
    assert not failures, told(failures)


def test_replay() -> None:
    """One world alone, seed 0 unless DIPEO_SEED says otherwise; its trace is printed."""
    seed = int(os.environ.get("DIPEO_SEED", "0"))
    plan = WorldPlan.from_seed(seed)
    print(plan)  # noqa: T201  # shown by pytest where the test fails
    run = run_world(plan)
    for at_s, what in run.trace:
        print(f"{at_s:12.6f} {what}")  # noqa: T201
    assert violations(run.result) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_gives_the_same_course_of_events(seed: int) -> None:
    """Times, order, waits and records of a world are the same when it is run again."""
    first, second = (run_world(WorldPlan.from_seed(seed)) for _ in range(2))
    assert first.trace == second.trace
    assert first.digest == second.digest


def test_another_seed_gives_another_course_of_events() -> None:
    """The seed matters: twenty seeds give twenty different traces."""
    assert len({run_world(WorldPlan.from_seed(seed)).digest for seed in range(20)}) == 20


def test_what_a_failure_prints_is_a_command_that_plays_the_seed_again() -> None:
    """What a failure prints is a command; run as it stands, it plays the world of that seed and shows its trace."""
    (command, what) = told({7: ["it rained"]}).splitlines()
    assert "it rained" in what
    words = command.replace(".venv/bin/python", sys.executable) + " -s"
    done = subprocess.run(
        ["bash", "-c", words], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(WorldPlan.from_seed(7)) in done.stdout
    assert run_world(WorldPlan.from_seed(7)).trace[-1][1] in done.stdout
    assert "1 passed" in done.stdout


def test_the_course_of_events_does_not_depend_on_how_texts_are_hashed() -> None:
    """Another process, with hashes of its own, plays the same seeds alike."""
    program = (
        "from tests.virtual_world.test_worlds import WorldPlan, run_world\n"
        "print(*(run_world(WorldPlan.from_seed(seed)).digest for seed in range(10)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.split() == [run_world(WorldPlan.from_seed(seed)).digest for seed in range(10)]
