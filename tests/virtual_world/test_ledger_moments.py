"""A caller who leaves at the moment at which their attempt is being written down."""

import asyncio

import pytest

from dipeo.domain.attempt import Attempt
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.testing import FakeKeys, FakeLedger, ScriptedModel
from tests.virtual_world.pool_parts import request_for
from tests.virtual_world.virtual_loop import VirtualClock, VirtualLoop, run_virtual


class BreakingLedger(FakeLedger):
    """Takes a second for every record, and then fails."""

    async def record(self, attempt: Attempt) -> None:
        await asyncio.sleep(1)
        raise OSError("The disk is full.")


@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
def test_who_is_cancelled_while_the_ledger_breaks_is_told_of_the_cancellation(is_stream: bool) -> None:
    """What the ledger raises is logged; it neither reaches the caller nor takes the place of the cancellation."""

    async def main(loop: VirtualLoop) -> bool:
        model = MeteredModel(ScriptedModel("Hi."), ledger=BreakingLedger(), keys=FakeKeys(), clock=VirtualClock(loop))
        request = request_for(LLMService.OPENAI, "call-1")
        asking = model.stream(request).collect() if is_stream else model.complete(request)
        caller = asyncio.ensure_future(asking)
        await asyncio.sleep(0.5)
        caller.cancel()
        await asyncio.wait([caller])
        await asyncio.sleep(5)
        return caller.cancelled()

    assert run_virtual(1, main).result
