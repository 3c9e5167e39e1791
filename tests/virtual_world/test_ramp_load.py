"""Two hundred callers of a provider that says they grow too fast."""

import asyncio
import random
from collections import Counter

import pytest

from dipeo.domain.service import LLMService
from dipeo.testing import Fault, Reply
from tests.virtual_world.in_process_wire import Asked
from tests.virtual_world.invariants import violations
from tests.virtual_world.plan import Caller, WorldPlan, reply_to
from tests.virtual_world.world import run_world

CLIENTS = 200


@pytest.mark.parametrize("max_latency_s", [0.0, 0.05])
@pytest.mark.parametrize(("headers", "wait_s"), [({"retry-after": "2"}, 2.0), ({}, 1.0)])
def test_all_are_answered_and_come_back_no_faster_than_doubling(
    headers: dict[str, str], wait_s: float, max_latency_s: float
) -> None:
    """The first burst is one refusal, however it trickles in; each second after it sees twice the one before."""

    def slow_down(asked: Asked) -> Reply | Fault:
        if asyncio.get_running_loop().time() < 0.5:
            return Fault(status=429, code="slow_down", headers=headers)
        return reply_to(asked, random.Random(asked.mark))

    callers = tuple(Caller(number=number, service=LLMService.OPENAI, shared_model="m") for number in range(CLIENTS))
    # A retry for which the provider names no time is charged to the budget, which is not what this is about.
    stations = {"retry_share": None}
    plan = WorldPlan(seed=17, callers=callers, script=slow_down, max_latency_s=max_latency_s, stations=stations)
    world = run_world(plan).result
    assert violations(world) == []
    assert [call.problem for call in world.calls if call.problem] == []
    later_s = [each.opened_at_s for each in world.stack.providers.exchanges[CLIENTS:]]
    assert len(later_s) == CLIENTS
    assert min(later_s) >= wait_s
    seconds = Counter(int(at_s - min(later_s) + 0.001) for at_s in later_s)
    assert [seconds[second] for second in range(7)] == [1, 2, 4, 8, 16, 32, 64]
