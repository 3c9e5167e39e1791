"""Disturbed at the n-th await, for every n there is: cancelled, cancelled twice, or let down by a dependency."""

from itertools import count

import pytest
from attrs import evolve

from dipeo.domain.service import LLMService
from dipeo.testing import Fault, Reply
from tests.virtual_world.in_process_wire import Asked
from tests.virtual_world.interruption import FailOnce
from tests.virtual_world.invariants import violations
from tests.virtual_world.plan import Caller, WorldPlan, text_of
from tests.virtual_world.world import run_world


def once_failing(asked: Asked) -> Reply | Fault:
    """A failure that is worth a second try, and then a good answer in pieces."""
    if asked.number == 1:
        return Fault(status=503, headers={"retry-after": "0.2"}, delay_s=0.1)
    return Reply(text_of(asked), delay_s=0.1, chunk_delay_s=0.05)


def cold_pool(seed: int, *, is_stream: bool, ledger_delay_s: float | None = None) -> WorldPlan:
    """Five callers who want the same adapter at once; the first of them has it made."""
    callers = (
        Caller(number=number, service=LLMService.ANTHROPIC, is_stream=is_stream, starts_at_s=0.001 * (number > 0))
        for number in range(5)
    )
    return WorldPlan(
        seed=seed,
        callers=tuple(callers),
        script=once_failing,
        max_creation_s=0.1,
        max_linger_s=0.1,
        ledger_delay_s=ledger_delay_s,
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ledger_delay_s", [None, 0.01], ids=["ledger at once", "ledger takes time"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("is_twice", [False, True], ids=["once", "twice"])
def test_a_caller_cancelled_at_any_await_harms_nobody(
    seed: int, ledger_delay_s: float | None, is_stream: bool, is_twice: bool
) -> None:
    """Wherever the creator of the adapter is cancelled, the others are answered; nothing hangs, leaks or is lost."""
    plan = cold_pool(seed, is_stream=is_stream, ledger_delay_s=ledger_delay_s)
    failures: dict[int, list[str]] = {}
    for at in count(1):
        world = run_world(plan, cancel_first_at=(at, at + 1) if is_twice else (at,)).result
        first, *others = world.calls
        found = violations(world)
        found += [f"{call.caller.name}: {call.outcome}" for call in others if call.outcome != "answered"]
        if found:
            failures[at] = found
        if first.cancelled_at_s is None:
            assert first.outcome == "answered"
            break
    assert at > 5, "the creator was suspended too seldom for this test to mean anything"
    assert failures == {}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
def test_a_waiter_cancelled_at_any_await_harms_nobody(seed: int, is_stream: bool) -> None:
    """Wherever somebody is cancelled who found the adapter in the making, its creator and all others are answered."""
    plan = cold_pool(seed, is_stream=is_stream, ledger_delay_s=0.01)
    creator, waiter, *others = plan.callers
    plan = evolve(plan, callers=(waiter, creator, *others))
    failures: dict[int, list[str]] = {}
    for at in count(1):
        world = run_world(plan, cancel_first_at=(at,)).result
        found = violations(world)
        found += [f"{call.caller.name}: {call.outcome}" for call in world.calls[1:] if call.outcome != "answered"]
        if found:
            failures[at] = found
        if world.calls[0].cancelled_at_s is None:
            break
    assert at > 5, "the waiter was suspended too seldom for this test to mean anything"
    assert failures == {}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
def test_who_is_cancelled_at_any_await_and_was_alone_leaves_nothing(seed: int, is_stream: bool) -> None:
    """Nobody else wants the adapter: it is given up in the making, or closed once when it was made."""
    plan = cold_pool(seed, is_stream=is_stream, ledger_delay_s=0.01)
    plan = evolve(plan, callers=plan.callers[:1])
    failures: dict[int, list[str]] = {}
    made = set()
    for at in count(1):
        world = run_world(plan, cancel_first_at=(at,)).result
        if found := violations(world):
            failures[at] = found
        made.add(len(world.stack.workshop.made))
        if world.calls[0].cancelled_at_s is None:
            break
    assert made == {0, 1}, "the caller was never cancelled before the adapter was made, or never after"
    assert failures == {}


def mixed_world(seed: int) -> WorldPlan:
    """Callers of two services, streams and not, each of whom tries twice."""
    services = (LLMService.OPENAI, LLMService.GOOGLE)
    callers = (Caller(number=number, service=services[number % 2], is_stream=number % 4 > 1) for number in range(4))
    return WorldPlan(seed=seed, callers=tuple(callers), script=once_failing, max_creation_s=0.1, ledger_delay_s=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_a_dependency_that_fails_at_any_await_breaks_no_promise(seed: int) -> None:
    """Creation, wire, ledger and clock are made to fail once, at their n-th use: every call still ends as it should."""
    failures: dict[int, tuple[str, list[str]]] = {}
    places = set()
    for at in count(1):
        failing = FailOnce(at)
        world = run_world(mixed_world(seed), failing=failing).result
        if found := violations(world, failed_at=failing.failed_at):
            failures[at] = (failing.failed_at, found)
        if not failing.failed_at:
            break
        places.add(failing.failed_at)
    assert places == {"adapter creation", "wire send", "wire read", "ledger record", "clock sleep"}
    assert failures == {}
