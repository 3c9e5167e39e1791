"""A thousand clients of a provider that fails completely."""

from collections import Counter

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
    plan = WorldPlan(seed=14, callers=callers, script=lambda _: Fault(status=500), max_latency_s=0.0)
    world = run_world(plan).result
    assert violations(world) == []
    retries = [each.opened_at_s for each in world.stack.providers.exchanges if each.asked.number == 2]
    buckets = Counter(int(at_s / BUCKET_S) for at_s in retries)
    assert len(retries) == CLIENTS
    assert max(buckets.values()) <= 3 * CLIENTS / (max(buckets) + 1)
    assert len(world.stack.providers.exchanges) == 3 * CLIENTS
