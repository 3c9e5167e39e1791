"""Two hundred callers of a provider that says they grow too fast."""

import asyncio
import random
from collections import Counter

from dipeo.domain.service import LLMService
from dipeo.testing import Fault, Reply
from tests.virtual_world.in_process_wire import Asked
from tests.virtual_world.invariants import violations
from tests.virtual_world.plan import Caller, WorldPlan, reply_to
from tests.virtual_world.world import run_world

CLIENTS = 200
WAIT_S = 2.0


def test_all_are_answered_and_come_back_no_faster_than_doubling() -> None:
    """The first burst is refused; from there on no second sees more than twice what the seconds before saw."""

    def slow_down(asked: Asked) -> Reply | Fault:
        if asyncio.get_running_loop().time() < 1.0:
            return Fault(status=429, code="slow_down", headers={"retry-after": str(WAIT_S)})
        return reply_to(asked, random.Random(asked.mark))

    callers = tuple(Caller(number=number, service=LLMService.OPENAI, shared_model="m") for number in range(CLIENTS))
    plan = WorldPlan(seed=17, callers=callers, script=slow_down, max_latency_s=0.0)
    world = run_world(plan).result
    assert violations(world) == []
    assert [call.problem for call in world.calls if call.problem] == []
    later_s = [each.opened_at_s for each in world.stack.providers.exchanges if each.opened_at_s >= WAIT_S]
    assert len(later_s) == CLIENTS
    seconds = Counter(int(at_s - WAIT_S + 0.001) for at_s in later_s)
    assert [seconds[second] for second in range(7)] == [1, 2, 4, 8, 16, 32, 64]
