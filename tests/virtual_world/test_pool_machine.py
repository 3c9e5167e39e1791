"""The pool alone, stepped by hand through whatever Hypothesis thinks of."""

import asyncio

import pytest
from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dipeo.domain.errors import LLMServiceError, ServiceClosedError
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.endpoints import EndpointDirectory
from dipeo.infrastructure.llm.drivers.pool import PooledModel
from dipeo.testing import ManualClock
from tests.virtual_world.pool_parts import Order, ReplacedKeys, ToldWorkshop, request_for
from tests.virtual_world.virtual_loop import VirtualLoop

SERVICES = (LLMService.OPENAI, LLMService.ANTHROPIC, LLMService.GOOGLE)
BASE_URLS = {service: f"https://{service.value}.invalid" for service in SERVICES}

a_service = st.sampled_from(SERVICES)
some_turns = st.integers(0, 4)
an_index = st.integers(0, 1_000)


@define(eq=False)
class Use:
    """One call or stream, and its task."""

    call_id: str
    service: LLMService
    key: Secret | None
    task: "asyncio.Task[object]"
    is_cancelled: bool = False


class PoolMachine(RuleBasedStateMachine):
    """Callers come and go, creations succeed, fail and dawdle, keys are replaced, time passes, the pool closes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.violations: list[str] = []
        self.uses: list[Use] = []
        self.keys = ReplacedKeys()
        self.workshop = ToldWorkshop(self.clock, self.violations)
        self.closing: asyncio.Task[None] | None = None

    @initialize(seed=st.integers(0, 1_000_000), max_adapters=st.integers(1, 3))
    def open(self, seed: int, max_adapters: int) -> None:
        """A pool that has room for fewer adapters than there are endpoints, or just enough."""
        self.loop = VirtualLoop(seed)
        directory = EndpointDirectory(BASE_URLS, self.keys)
        self.pool = PooledModel(self.workshop.create, directory, self.clock, max_adapters=max_adapters)

    # --- what callers do ---------------------------------------------------------------------------------------------

    @rule(service=a_service, is_stream=st.booleans(), turns=some_turns)
    def begin(self, service: LLMService, is_stream: bool, turns: int) -> None:
        """Somebody calls or streams."""
        call_id = f"use-{len(self.uses)}"
        using = self.read(service, call_id) if is_stream else self.call(service, call_id)
        key = self.keys.find(service)
        self.uses.append(Use(call_id, service, key, self.loop.create_task(using, name=call_id)))
        self.loop.run_turns(turns)

    @precondition(lambda self: self.held())
    @rule(index=an_index, is_failing=st.booleans(), turns=some_turns)
    def end(self, index: int, is_failing: bool, turns: int) -> None:
        """A call or stream ends, well or badly."""
        held = self.held()
        gate = held[index % len(held)]
        if is_failing:
            gate.set_exception(LLMServiceError("The provider failed."))
        else:
            gate.set_result(None)
        self.loop.run_turns(turns)

    @precondition(lambda self: self.running())
    @rule(index=an_index, turns=some_turns)
    def cancel(self, index: int, turns: int) -> None:
        """Somebody gives up, wherever they are."""
        running = self.running()
        use = running[index % len(running)]
        use.is_cancelled = True
        use.task.cancel()
        self.loop.run_turns(turns)

    # --- what happens to them ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.wanted())
    @rule(index=an_index, turns=some_turns)
    def make(self, index: int, turns: int) -> None:
        """A creation succeeds; who waits for it may not have noticed yet."""
        wanted = self.wanted()
        wanted[index % len(wanted)].gate.set_result(None)
        self.loop.run_turns(turns)

    @precondition(lambda self: self.wanted())
    @rule(index=an_index)
    def fail_to_make(self, index: int) -> None:
        """A creation fails: all who waited for it are told, each by an error of their own."""
        self.settle()
        wanted = self.wanted()
        if not wanted:
            return
        order = wanted[index % len(wanted)]
        waiting = [use for use in self.running() if use.key == order.endpoint.key and not self.is_held(use)]
        order.gate.set_exception(LLMServiceError("The workshop failed."))
        self.settle()
        problems = [use.task.exception() for use in waiting if not use.is_cancelled]
        assert all(isinstance(problem, LLMServiceError) for problem in problems), problems
        assert len({id(problem) for problem in problems}) == len(problems)
        assert not any(each.is_wanted for each in self.workshop.orders if each.endpoint == order.endpoint)

    @precondition(lambda self: self.wanted())
    @rule(index=an_index)
    def make_stubborn(self, index: int) -> None:
        """A creation will come to its end even when it is cancelled."""
        wanted = self.wanted()
        wanted[index % len(wanted)].is_stubborn = True

    @rule(service=a_service)
    def replace_key(self, service: LLMService) -> None:
        """A service gets another key; all who called before it have begun."""
        self.settle()
        self.keys.replace(service)

    @rule(delay_s=st.sampled_from([1.0, 1800.0, 3599.0, 3600.0, 7200.0]))
    def wait(self, delay_s: float) -> None:
        """Time passes, and nobody moves."""
        self.settle()
        self.clock.advance(delay_s)

    @rule(turns=st.integers(1, 8))
    def turn(self, turns: int) -> None:
        """The loop turns."""
        self.loop.run_turns(turns)

    @precondition(lambda self: self.closing is None)
    @rule(turns=some_turns)
    def close(self, turns: int) -> None:
        """The pool is closed under everybody."""
        self.closing = self.loop.create_task(self.pool.aclose(), name="closing")
        self.loop.run_turns(turns)

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_forbidden_happened(self) -> None:
        """Nobody was lent a closed or stale adapter, none was closed twice or in use, none made twice at once."""
        assert not self.violations, self.violations

    @invariant()
    def everybody_who_ended_ended_well(self) -> None:
        """An answer, an error of ours, their own cancellation, or word that the pool is closed."""
        for use in self.uses:
            if not use.task.done():
                continue
            if use.task.cancelled():
                assert use.is_cancelled, f"{use.call_id} was told of a cancellation that nobody asked for"
                continue
            problem = use.task.exception()
            assert problem is None or isinstance(problem, LLMServiceError | ServiceClosedError), problem
            if isinstance(problem, ServiceClosedError):
                assert self.closing is not None, f"{use.call_id} was told that the pool is closed"

    @invariant()
    def everybody_is_served_with_the_key_of_their_time(self) -> None:
        """Who called after a key was replaced has an adapter with the new one; who called before keeps theirs."""
        keys = {use.call_id: use.key for use in self.uses}
        for adapter in self.workshop.made:
            for call_id in adapter.gates:
                assert adapter.endpoint.key == keys[call_id], f"{call_id} was served with another key"

    def teardown(self) -> None:
        """All creations end, all uses end, the pool closes: every adapter is closed once and nothing is left."""
        if not hasattr(self, "loop"):
            return
        try:
            if not self.violations:
                self.finish()
        finally:
            self.loop.abandon()

    def finish(self) -> None:
        """The end of every example."""
        self.settle()
        for order in self.wanted():
            order.gate.set_result(None)
        self.settle()
        while held := self.held():
            for gate in held:
                gate.set_result(None)
            self.settle()
        assert [use.call_id for use in self.running()] == []
        closing = self.closing or self.loop.create_task(self.pool.aclose())
        self.loop.run_until_complete(closing)
        self.settle()
        self.nothing_forbidden_happened()
        self.everybody_who_ended_ended_well()
        assert [adapter.closed for adapter in self.workshop.made] == [1] * len(self.workshop.made)
        assert asyncio.all_tasks(self.loop) == set()
        assert self.loop.unfinished_generators() == []
        self.uses.clear()
        assert not self.loop.reported, self.loop.reported

    # --- how ---------------------------------------------------------------------------------------------------------

    async def call(self, service: LLMService, call_id: str) -> object:
        """A unary use."""
        return await self.pool.complete(request_for(service, call_id))

    async def read(self, service: LLMService, call_id: str) -> object:
        """A stream, read to its end."""
        return await self.pool.stream(request_for(service, call_id)).collect()

    def settle(self) -> None:
        """Turns the loop until nothing is ready."""
        self.loop.run_turns(1_000)

    def wanted(self) -> list[Order]:
        """The creations that wait to be told how they end."""
        return [order for order in self.workshop.orders if order.is_wanted and not order.gate.done()]

    def held(self) -> "list[asyncio.Future[None]]":
        """The gates of the uses that hold an adapter."""
        return [gate for adapter in self.workshop.made for gate in adapter.gates.values() if not gate.done()]

    def is_held(self, use: Use) -> bool:
        """Whether this use holds an adapter."""
        return any(use.call_id in adapter.gates for adapter in self.workshop.made)

    def running(self) -> list[Use]:
        """The uses that have not ended."""
        return [use for use in self.uses if not use.task.done()]


@pytest.mark.timeout(300)  # a failure is made small before it is shown
def test_the_pool_keeps_its_promises_whatever_happens_in_whatever_order() -> None:
    """No caller gets a closed or stale adapter or another's cancellation, and every adapter is closed exactly once."""
    run_state_machine_as_test(
        PoolMachine,
        settings=settings(
            max_examples=150,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
