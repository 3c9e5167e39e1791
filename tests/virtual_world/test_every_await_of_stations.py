"""Disturbed at the n-th await where others are asked instead, or twice: for every n there is."""

from collections.abc import Callable
from itertools import count

import pytest
from attrs import evolve

from dipeo.domain.model import ModelTarget
from dipeo.domain.service import LLMService
from dipeo.testing import Fault, Reply
from tests.virtual_world.in_process_wire import Asked
from tests.virtual_world.interruption import FailOnce
from tests.virtual_world.plan import Behaviour, Caller, WorldPlan, text_of
from tests.virtual_world.station_invariants import hedges_in, made_in, station_violations
from tests.virtual_world.station_plan import NO_SUCH_KEY
from tests.virtual_world.world import World, run_world

FALLBACKS = (
    ModelTarget(service=LLMService.GOOGLE, model="m", api_key_id=NO_SUCH_KEY),
    ModelTarget(service=LLMService.OPENAI, model="m"),
)
KNOWN_FROM = 20
LATE_AT_S = 30.0

each_way = pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
each_ledger = pytest.mark.parametrize("ledger_delay_s", [None, 0.01], ids=["ledger at once", "ledger takes time"])


def down_at_anthropic(asked: Asked) -> Reply | Fault:
    """One service never answers, the others do."""
    if asked.service == LLMService.ANTHROPIC.value:
        return Fault(status=503, delay_s=0.1)
    return Reply(text_of(asked), delay_s=0.1, chunk_delay_s=0.05)


def with_fallbacks(seed: int, *, is_stream: bool, ledger_delay_s: float | None, callers: int = 4) -> WorldPlan:
    """Callers whose first service is down, whose second has no key, and whose third answers."""
    return WorldPlan(
        seed=seed,
        callers=tuple(
            Caller(
                number=number,
                service=LLMService.ANTHROPIC,
                is_stream=is_stream,
                is_person=number % 2 == 1,
                starts_at_s=0.001 * (number > 0),
                max_attempts=4,
                fallbacks=FALLBACKS,
            )
            for number in range(callers)
        ),
        script=down_at_anthropic,
        max_creation_s=0.1,
        max_linger_s=0.1,
        ledger_delay_s=ledger_delay_s,
    )


def late_at_first(asked: Asked) -> Reply:
    """The first caller's first request is answered very late, everything else soon."""
    delay_s = 5.0 if (asked.mark, asked.number) == ("model-0", 1) else 0.1
    return Reply(text_of(asked), delay_s=delay_s, chunk_delay_s=0.05)


def with_a_hedge(seed: int, *, is_stream: bool, ledger_delay_s: float | None) -> WorldPlan:
    """So many calls that it is known how long an answer takes, one that takes longer, and one when all that is over."""
    starts_s = (LATE_AT_S, *(float(number) for number in range(KNOWN_FROM)), LATE_AT_S + 10)
    return WorldPlan(
        seed=seed,
        callers=tuple(
            Caller(
                number=number,
                service=LLMService.OPENAI,
                shared_model="m",
                is_stream=is_stream,
                starts_at_s=starts_at_s,
            )
            for number, starts_at_s in enumerate(starts_s)
        ),
        script=late_at_first,
        stations={"hedge_share": 0.5},
        max_linger_s=0.1,
        ledger_delay_s=ledger_delay_s,
    )


Make = Callable[..., WorldPlan]
each_plan = pytest.mark.parametrize("make", [with_fallbacks, with_a_hedge])


@each_plan
@each_way
def test_undisturbed_these_worlds_show_what_they_are_for(make: Make, is_stream: bool) -> None:
    """The third candidate answers everybody; the late request is asked a second time, which wins."""
    world = run_world(make(1, is_stream=is_stream, ledger_delay_s=None)).result
    assert station_violations(world) == []
    completion = world.calls[0].completion
    assert completion is not None
    if make is with_fallbacks:
        assert {call.completion.service for call in world.calls if call.completion} == {LLMService.OPENAI}
        assert {attempt.service for attempt in completion.attempts} == {LLMService.ANTHROPIC, LLMService.OPENAI}
    else:
        assert completion.text.startswith("model-0.2:")
        assert [each.attempt.number for each in hedges_in(made_in(world)["model-0"])] == [2]


def disturbed(make: Callable[[int], World], is_over: Callable[[World], bool]) -> tuple[int, dict[int, list[str]]]:
    """Disturbs at 1, 2, 3 and so on until there is nothing left to disturb; what did not hold, and how often it was."""
    failures: dict[int, list[str]] = {}
    for at in count(1):
        world = make(at)
        found = station_violations(world)
        found += [f"{call.caller.name}: {call.outcome}" for call in world.calls[1:] if call.outcome != "answered"]
        if found:
            failures[at] = found
        if is_over(world):
            break
    return at, failures


@each_plan
@each_way
@each_ledger
@pytest.mark.parametrize("is_twice", [False, True], ids=["once", "twice"])
def test_a_caller_with_candidates_cancelled_at_any_await_harms_nobody(
    make: Make, is_stream: bool, ledger_delay_s: float | None, is_twice: bool
) -> None:
    """All that they had asked for is given up and recorded, and the others are answered."""
    plan = make(2, is_stream=is_stream, ledger_delay_s=ledger_delay_s)
    often, failures = disturbed(
        lambda at: run_world(plan, cancel_first_at=(at, at + 1) if is_twice else (at,)).result,
        lambda world: world.calls[0].cancelled_at_s is None,
    )
    assert failures == {}
    assert often > 3, "the caller was suspended too seldom for this test to mean anything"


@each_way
@pytest.mark.parametrize("cancelled_after_s", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_a_hedged_caller_cancelled_at_any_time_leaves_nothing(
    seed: int, cancelled_after_s: float, is_stream: bool
) -> None:
    """Before the second request, while both are under way, while the loser is being given up, and afterwards."""
    plan = with_a_hedge(seed, is_stream=is_stream, ledger_delay_s=0.01)
    first, *others = plan.callers
    first = evolve(first, behaviour=Behaviour.CANCELLED, cancel_after_s=cancelled_after_s)
    assert station_violations(run_world(evolve(plan, callers=(first, *others))).result) == []


@each_plan
@each_way
def test_a_dependency_that_fails_at_any_await_breaks_no_promise_of_a_station(make: Make, is_stream: bool) -> None:
    """Creation, wire, ledger and clock are made to fail once, at their n-th use: every call still ends as it should."""
    plan = make(3, is_stream=is_stream, ledger_delay_s=None)
    never = FailOnce(10**9)
    run_world(plan, failing=never)
    failures: dict[int, tuple[str, list[str]]] = {}
    places = set()
    # The calls from which the delay is learned are like any others.
    for at in range(1 if make is with_fallbacks else never.uses - 40, never.uses + 10):
        failing = FailOnce(at)
        world = run_world(plan, failing=failing).result
        if found := station_violations(world, failed_at=failing.failed_at):
            failures[at] = (failing.failed_at, found)
        places.add(failing.failed_at)
    # A second request is begun by the loop's timer: the clock is asked to wait before retries alone.
    waits = {"clock sleep"} if make is with_fallbacks else set()
    assert places - {"adapter creation"} == {"wire send", "wire read", "ledger record", "", *waits}
    assert failures == {}
