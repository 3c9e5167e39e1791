"""A thousand clients of a provider that fails completely."""

from collections import Counter

import pytest

from dipeo.domain.errors import DipeoError
from dipeo.domain.service import LLMService
from dipeo.testing import Fault
from tests.virtual_world.invariants import violations
from tests.virtual_world.plan import Caller, WorldPlan
from tests.virtual_world.world import run_world

CLIENTS = 1000
BUCKET_S = 0.1


def test_first_retries_are_spread_over_time() -> None:
    """Of all first retries, no tenth of a second has more than three times the mean; each client tries three times."""
    callers = tuple(Caller(number=number, service=LLMService.OPENAI) for number in range(CLIENTS))
    plan = WorldPlan(
        seed=14,
        callers=callers,
        script=lambda _: Fault(status=500),
        max_latency_s=0.0,
        stations={"retry_share": None, "breaker_failures": 0},
    )
    world = run_world(plan).result
    assert violations(world) == []
    retries = [each.opened_at_s for each in world.stack.providers.exchanges if each.asked.number == 2]
    buckets = Counter(int(at_s / BUCKET_S) for at_s in retries)
    assert len(retries) == CLIENTS
    assert max(buckets.values()) <= 3 * CLIENTS / (max(buckets) + 1)
    assert len(world.stack.providers.exchanges) == 3 * CLIENTS


@pytest.mark.parametrize(("clients", "retries"), [(1, 2), (2, 3), (10, 3), (15, 3), (20, 4), (1000, 200)])
def test_a_total_failure_is_met_with_few_retries(clients: int, retries: int) -> None:
    """Of all calls together a fifth is tried again, or three; whoever may not says so on their last attempt."""
    callers = tuple(Caller(number=number, service=LLMService.OPENAI) for number in range(clients))
    plan = WorldPlan(
        seed=14,
        callers=callers,
        script=lambda _: Fault(status=500),
        max_latency_s=0.0,
        stations={"breaker_failures": 0},
    )
    world = run_world(plan).result
    assert violations(world) == []
    assert len(world.stack.providers.exchanges) == clients + retries
    refused = [call for call in world.calls if "retry budget" in call.problem.attempts[-1].decision]  # type: ignore[union-attr]
    assert bool(refused) is (retries < 2 * clients)


def test_a_breaker_bounds_what_a_provider_asked_to_wait_for() -> None:
    """A wait that a provider asks for costs nothing of the budget: of a thousand calls in its outage, ten reach it."""
    callers = tuple(
        Caller(number=number, service=LLMService.OPENAI, starts_at_s=number * 0.1) for number in range(CLIENTS)
    )
    plan = WorldPlan(
        seed=16,
        callers=callers,
        script=lambda _: Fault(status=503, headers={"retry-after": "1"}),
        max_latency_s=0.0,
        stations={"breaker_cool_down_s": 3600.0},
    )
    world = run_world(plan).result
    assert violations(world) == []
    assert len(world.stack.providers.exchanges) == 10


def test_a_breaker_keeps_the_rest_of_the_calls_from_a_provider_that_fails() -> None:
    """Of a thousand calls one after the other ten reach a provider that is down, and then one for each cool-down."""
    callers = tuple(
        Caller(number=number, service=LLMService.OPENAI, starts_at_s=number * 0.01, max_attempts=1)
        for number in range(CLIENTS)
    )
    plan = WorldPlan(
        seed=15,
        callers=callers,
        script=lambda _: Fault(status=500),
        max_latency_s=0.0,
        stations={"breaker_cool_down_s": 3.0},
    )
    world = run_world(plan).result
    assert violations(world) == []
    times_s = [each.opened_at_s for each in world.stack.providers.exchanges]
    assert len(times_s) == 11 + 1  # ten, a probe after three seconds, and one after six more
    assert all(isinstance(call.problem, DipeoError) for call in world.calls)
