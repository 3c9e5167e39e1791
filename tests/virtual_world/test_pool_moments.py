"""Moments in the life of a pool that chance seldom meets, each brought about on purpose."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from dipeo.domain.completion import Completion
from dipeo.domain.errors import DipeoError, ServiceClosedError
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.endpoints import EndpointDirectory
from dipeo.infrastructure.llm.drivers.pool import PooledModel
from dipeo.testing import FakeKeys, ManualClock
from tests.virtual_world.pool_parts import ToldWorkshop, request_for
from tests.virtual_world.virtual_loop import VirtualLoop, run_virtual

OPENAI, ANTHROPIC = LLMService.OPENAI, LLMService.ANTHROPIC
BASE_URLS = {service: f"https://{service.value}.invalid" for service in (OPENAI, ANTHROPIC)}
SEEDS = range(20)


class Scene:
    """A pool, its workshop, and the hand that steps the loop."""

    def __init__(self, *, max_adapters: int = 256) -> None:
        self.clock = ManualClock()
        self.violations: list[str] = []
        self.workshop = ToldWorkshop(self.clock, self.violations)
        directory = EndpointDirectory(BASE_URLS, FakeKeys())
        self.pool = PooledModel(self.workshop.create, directory, self.clock, max_adapters=max_adapters)
        self._calls = 0

    def call(self, service: LLMService) -> "asyncio.Task[Completion]":
        """A caller who begins at the next turn."""
        self._calls += 1
        return asyncio.create_task(self.pool.complete(request_for(service, f"call-{self._calls}")))

    async def turn(self, turns: int = 20) -> None:
        """Lets the others go on for that many turns of the loop."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def make(self) -> None:
        """Lets every creation that is under way succeed, and everybody notice."""
        await self.turn()
        self.let_make()
        await self.turn()

    def let_make(self) -> None:
        """Opens the gate of every creation; nobody has noticed yet."""
        for order in self.workshop.orders:
            if order.is_wanted and not order.gate.done():
                order.gate.set_result(None)

    async def answer(self) -> None:
        """Lets every adapter answer what it was asked."""
        await self.turn()
        for adapter in self.workshop.made:
            for gate in adapter.gates.values():
                gate.set_result(None)
        await self.turn()

    def check(self) -> None:
        """Nothing forbidden happened, and every adapter was closed once."""
        assert self.violations == []
        assert [adapter.closed for adapter in self.workshop.made] == [1] * len(self.workshop.made)


def play(seed: int, scene: Coroutine[Any, Any, None]) -> None:
    """Runs a scene on a virtual loop."""

    async def main(_: VirtualLoop) -> None:
        await scene

    run_virtual(seed, main)


@pytest.mark.parametrize("turns", range(6))
def test_a_pool_that_closes_when_an_adapter_is_just_made_lends_no_closed_one(turns: int) -> None:
    """Closing falls between the end of a creation and its waiters' next step: they are told that the pool is closed."""

    async def scene() -> None:
        it = Scene()
        callers = [it.call(OPENAI) for _ in range(3)]
        await it.turn()
        it.let_make()
        await it.turn(turns)
        closing = asyncio.create_task(it.pool.aclose())
        await it.answer()
        await closing
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(outcome, Completion | ServiceClosedError) for outcome in outcomes), outcomes
        it.check()

    for seed in SEEDS:
        play(seed, scene())


def test_an_adapter_that_gives_way_when_it_is_just_made_is_not_lent_closed() -> None:
    """Two adapters are made at once where there is room for one: the callers of both are answered."""

    async def scene() -> None:
        it = Scene(max_adapters=1)
        callers = [it.call(OPENAI), it.call(ANTHROPIC)]
        await it.make()
        for _ in range(5):
            # A caller whose adapter gave way may have begun anew.
            await it.make()
            await it.answer()
        assert all(isinstance(answer, Completion) for answer in await asyncio.gather(*callers))
        await it.pool.aclose()
        it.check()

    for seed in SEEDS:
        play(seed, scene())


def test_a_caller_who_comes_while_a_creation_is_given_up_begins_anew() -> None:
    """The last waiter has left and the creation is being cancelled: whoever comes now is not cancelled with it."""

    async def scene() -> None:
        it = Scene()
        first = it.call(OPENAI)
        await it.turn()
        first.cancel()
        second = it.call(OPENAI)
        await it.make()
        await it.answer()
        assert isinstance(await second, Completion)
        assert first.cancelled()
        await it.pool.aclose()
        it.check()

    for seed in SEEDS:
        play(seed, scene())


def test_a_creation_that_ends_although_it_was_given_up_is_closed_in_silence() -> None:
    """Nobody waits for the adapter any more: it is closed, and nothing is reported as never retrieved."""

    async def scene() -> None:
        it = Scene()
        caller = it.call(OPENAI)
        await it.turn()
        it.workshop.orders[0].is_stubborn = True
        caller.cancel()
        await it.turn()
        assert caller.cancelled()
        await it.pool.aclose()
        it.check()

    play(1, scene())


def test_a_call_that_waits_when_the_pool_closes_is_not_told_of_a_cancellation() -> None:
    """Callers whose adapter is in the making learn that the service is closed; nobody cancelled them."""

    async def scene() -> None:
        it = Scene()
        callers = [it.call(OPENAI), it.call(ANTHROPIC)]
        await it.turn()
        await it.pool.aclose()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServiceClosedError] * 2
        it.check()

    for seed in SEEDS:
        play(seed, scene())


def test_an_idle_adapter_that_stands_behind_a_busier_one_is_not_lent_stale() -> None:
    """An hour of idleness counts, although an adapter made earlier was returned later."""

    async def scene() -> None:
        it = Scene()
        long = it.call(OPENAI)
        await it.make()
        short = it.call(ANTHROPIC)
        await it.make()
        it.workshop.made[1].gates["call-2"].set_result(None)
        await short
        it.clock.advance(3_000)
        await it.answer()
        await long
        it.clock.advance(1_000)
        late = it.call(ANTHROPIC)
        await it.make()
        await it.answer()
        assert isinstance(await late, Completion)
        await it.pool.aclose()
        it.check()

    play(1, scene())


def test_a_workshop_that_breaks_in_a_foreign_way_harms_only_those_who_waited() -> None:
    """Whatever the workshop raises, all who waited are told, nothing is kept, and the next call begins anew."""

    async def scene() -> None:
        it = Scene()
        callers = [it.call(OPENAI) for _ in range(3)]
        await it.turn()
        it.workshop.orders[0].gate.set_exception(ImportError("No such package."))
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(outcome, ImportError | DipeoError) for outcome in outcomes)
        late = it.call(OPENAI)
        await it.make()
        await it.answer()
        assert isinstance(await late, Completion)
        await it.pool.aclose()
        it.check()

    play(1, scene())


def test_ten_thousand_wait_and_the_one_who_began_leaves() -> None:
    """Of ten thousand callers on a cold pool the creator is cancelled: one adapter is made, and all others get it."""

    async def scene() -> None:
        it = Scene()
        creator = it.call(OPENAI)
        await it.turn()
        others = [it.call(OPENAI) for _ in range(9_999)]
        await it.turn(3)
        creator.cancel()
        await it.turn(3)
        assert creator.cancelled()
        it.let_make()
        await it.turn(5)
        assert len(it.workshop.made[0].gates) == 9_999
        await it.answer()
        assert all(isinstance(answer, Completion) for answer in await asyncio.gather(*others))
        assert (len(it.workshop.orders), len(it.workshop.made)) == (1, 1)
        await it.pool.aclose()
        it.check()

    play(1, scene())


def test_an_adapter_that_gives_way_while_streams_are_open_is_closed_after_the_last() -> None:
    """Another endpoint takes the one place there is: the first one's streams go on, and then it closes."""

    async def scene() -> None:
        it = Scene(max_adapters=1)
        streams = [it.pool.stream(request_for(OPENAI, f"stream-{number}")) for number in range(2)]
        readers = [asyncio.create_task(stream.collect()) for stream in streams]
        await it.make()
        other = it.call(ANTHROPIC)
        await it.make()
        first, second = it.workshop.made
        gates = dict(first.gates)
        gates["stream-0"].set_result(None)
        await it.turn()
        assert (readers[0].done(), readers[1].done(), first.closed) == (True, False, 0)
        gates["stream-1"].set_result(None)
        await it.turn()
        assert (readers[1].done(), first.closed, second.closed) == (True, 1, 0)
        await it.answer()
        assert isinstance(await other, Completion)
        await it.pool.aclose()
        it.check()

    for seed in SEEDS:
        play(seed, scene())
