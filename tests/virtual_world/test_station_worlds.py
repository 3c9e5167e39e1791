"""Three hundred worlds more, with fallbacks, breaker, hedging and retry budget; a seed that fails is replayed alone."""

import os
from collections.abc import Mapping, Sequence

import pytest

from dipeo.domain.errors import DipeoError
from tests.virtual_world.plan import WorldPlan
from tests.virtual_world.station_invariants import hedges_in, made_in, station_violations
from tests.virtual_world.station_plan import plan_with_stations
from tests.virtual_world.world import World, run_world

SEEDS = 300
CHUNK = 50
REPLAY = "DIPEO_SEED={} .venv/bin/python -m pytest tests/virtual_world -k playback_of_stations"


def broken(seed: int) -> list[str]:
    """What does not hold in the world of this seed."""
    try:
        return station_violations(run_world(plan_with_stations(seed)).result)
    except AssertionError as problem:
        return [f"{type(problem).__name__}: {problem}"]


def told(failures: Mapping[int, Sequence[str]]) -> str:
    """Each seed that failed as the command that replays it, and what did not hold."""
    return "\n".join(f"{REPLAY.format(seed)}\n    {found}" for seed, found in failures.items())


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_what_must_hold_holds_with_every_station(first: int) -> None:
    """Whoever is asked instead, twice or not at all: one text, every attempt told, in time, within what is allowed."""
    failures = {seed: found for seed in range(first, first + CHUNK) if (found := broken(seed))}
    assert not failures, told(failures)


def test_playback_of_stations() -> None:
    """One world alone, seed 0 unless DIPEO_SEED says otherwise; its trace is printed."""
    seed = int(os.environ.get("DIPEO_SEED", "0"))
    plan = plan_with_stations(seed)
    print(plan)  # noqa: T201  # shown by pytest where the test fails
    run = run_world(plan)
    for at_s, what in run.trace:
        print(f"{at_s:12.6f} {what}")  # noqa: T201
    assert station_violations(run.result) == []


@pytest.mark.parametrize("seed", range(10))
def test_the_same_seed_gives_the_same_course_of_events_with_every_station(seed: int) -> None:
    """Also where two requests race, where a pause is spread, and where somebody probes."""
    first, second = (run_world(plan_with_stations(seed)) for _ in range(2))
    assert first.trace == second.trace
    assert first.digest == second.digest


def fell_back(world: World) -> int:
    """How many callers were answered by somebody whom they did not ask first."""
    return sum(
        call.completion is not None and call.completion.service is not call.caller.service for call in world.calls
    )


def was_asked_twice(world: World) -> int:
    """How many attempts were begun beside another."""
    return sum(len(hedges_in(attempts)) for attempts in made_in(world).values())


def was_refused(world: World) -> int:
    """How many callers ended with the word that nothing was sent."""
    return sum(
        isinstance(each.problem, DipeoError) and each.problem.context.get("sent") is False for each in world.calls
    )


def lacked_a_retry(world: World) -> int:
    """How many callers ended because the retry budget was used up."""
    return sum(
        "retry budget" in attempt.decision
        for call in world.calls
        for attempt in getattr(call.completion or call.problem, "attempts", ())
    )


def test_the_worlds_are_worth_playing() -> None:
    """What these worlds are for happens in them again and again."""
    worlds = [run_world(plan_with_stations(seed)).result for seed in range(60)]
    for counted in (fell_back, was_asked_twice, was_refused, lacked_a_retry):
        found = [counted(world) for world in worlds]
        assert sum(found) >= 20, counted
        assert sum(map(bool, found)) >= 5, counted


def test_what_a_failure_of_a_station_prints_is_a_command_that_plays_its_seed() -> None:
    """The command names the test that plays one world of this kind, and the variable that it reads."""
    (command, what) = told({7: ["it rained"]}).splitlines()
    assert "it rained" in what
    assert command.startswith("DIPEO_SEED=7 ")
    assert command.rpartition(" ")[2] in test_playback_of_stations.__name__


def test_both_kinds_of_worlds_differ() -> None:
    """A seed stands for one world of each kind."""
    assert plan_with_stations(7) != WorldPlan.from_seed(7)
