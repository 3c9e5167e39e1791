"""Deadlines hold to the instant, whatever stands still, and no wait begins that would outlast them."""

import pytest

from dipeo.domain.completion import Completion
from dipeo.domain.errors import DeadlineExceededError, DipeoError, RateLimitError
from dipeo.domain.service import LLMService
from dipeo.testing import Fault, Reply
from tests.virtual_world.in_process_wire import Asked, Choose, Refused
from tests.virtual_world.invariants import violations
from tests.virtual_world.plan import SERVICES, Behaviour, Caller, WorldPlan, text_of
from tests.virtual_world.world import Call, World, run_world

TIMEOUT_S = 2.5


def world_of(script: Choose, *callers: Caller, max_creation_s: float = 0.0, max_linger_s: float = 0.0) -> World:
    """The end of a world without latency in which these callers met this."""
    plan = WorldPlan(
        seed=1,
        callers=callers,
        script=script,
        max_creation_s=max_creation_s,
        max_latency_s=0.0,
        max_linger_s=max_linger_s,
    )
    world = run_world(plan).result
    assert violations(world) == []
    return world


def call_of(script: Choose, *, service: LLMService = LLMService.OPENAI, is_stream: bool = False) -> Call:
    """What became of one caller with a deadline of 2.5 s."""
    return world_of(script, Caller(number=0, service=service, timeout_s=TIMEOUT_S, is_stream=is_stream)).calls[0]


@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_provider_that_never_answers_costs_exactly_the_deadline(service: LLMService, is_stream: bool) -> None:
    """A request that is accepted and not answered ends with `DeadlineExceededError` at the deadline."""
    call = call_of(lambda _: Fault.hang(), service=service, is_stream=is_stream)
    assert isinstance(call.problem, DeadlineExceededError)
    assert call.ended_at_s == pytest.approx(TIMEOUT_S, abs=1e-9)


@pytest.mark.parametrize("pieces", range(4))
def test_a_stream_that_stalls_ends_at_the_deadline_with_what_was_heard(pieces: int) -> None:
    """Silence after some text ends at the deadline; the error holds the text, and nothing is tried again."""

    def stall(asked: Asked) -> Fault:
        return Fault.hang(after_chunks=pieces, reply=Reply(text_of(asked), chunks=6, chunk_delay_s=0.3))

    call = call_of(stall, is_stream=True)
    assert isinstance(call.problem, DeadlineExceededError)
    assert call.ended_at_s == pytest.approx(TIMEOUT_S, abs=1e-9)
    assert call.problem.context.get("partial_text", "") == "".join(call.heard)
    assert len(call.heard) == pieces


def test_a_stream_that_drips_for_ever_ends_at_the_deadline() -> None:
    """Pieces that keep coming do not prolong a call."""
    call = call_of(lambda asked: Reply(text_of(asked), chunks=9, chunk_delay_s=0.4), is_stream=True)
    assert isinstance(call.problem, DeadlineExceededError)
    assert call.ended_at_s == pytest.approx(TIMEOUT_S, abs=1e-9)
    assert call.heard


def test_an_adapter_that_is_long_in_the_making_costs_no_more_than_the_deadline() -> None:
    """Waiting for an adapter counts, and nothing is sent afterwards."""
    world = world_of(
        lambda _: None, Caller(number=0, service=LLMService.OPENAI, timeout_s=0.001), max_creation_s=1000.0
    )
    assert isinstance(world.calls[0].problem, DeadlineExceededError)
    assert world.calls[0].ended_at_s == pytest.approx(0.001, abs=1e-9)
    assert world.stack.providers.exchanges == []


@pytest.mark.parametrize("advice", ["2.5", "2.6", "1000", "4294967296", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_a_wait_that_does_not_fit_is_not_begun(advice: str) -> None:
    """A `Retry-After` that reaches the deadline or beyond fails at once, with what the provider said."""
    world = world_of(
        lambda _: Fault(status=429, headers={"retry-after": advice}, delay_s=0.25),
        Caller(number=0, service=LLMService.OPENAI, timeout_s=TIMEOUT_S),
    )
    (call,) = world.calls
    assert isinstance(call.problem, RateLimitError)
    assert call.ended_at_s == 0.25
    assert not world.stack.clock.sleeps_of


def test_a_wait_that_fits_is_kept_to_and_the_next_attempt_has_the_rest() -> None:
    """After the provider's own wait a second attempt is made; its silence ends at the same deadline."""

    def limited_then_silent(asked: Asked) -> Fault:
        return Fault(status=429, headers={"retry-after": "2"}) if asked.number == 1 else Fault.hang()

    world = world_of(limited_then_silent, Caller(number=0, service=LLMService.OPENAI, timeout_s=TIMEOUT_S))
    (call,) = world.calls
    assert isinstance(call.problem, DeadlineExceededError)
    assert call.ended_at_s == pytest.approx(TIMEOUT_S, abs=1e-9)
    assert world.stack.clock.sleeps_of == {"caller-0": [(0.0, 2.0)]}
    assert len(call.problem.attempts) == 2


@pytest.mark.parametrize("outcome", ["answer", "failure"])
def test_an_answer_in_the_last_moment_leaves_its_task_whole(outcome: str) -> None:
    """What arrives at the very instant of the deadline ends one way or the other, and the task can go on."""

    def in_the_last_moment(asked: Asked) -> Reply | Fault:
        if outcome == "answer":
            return Reply(text_of(asked), delay_s=1.0)
        return Fault(status=400, delay_s=1.0)

    callers = (
        Caller(number=number, service=LLMService.OPENAI, timeout_s=1.0, is_stream=number % 2 == 1)
        for number in range(20)
    )
    world = world_of(in_the_last_moment, *callers)
    assert {call.ended_at_s for call in world.calls} == {1.0}
    assert all(isinstance(call.problem, DipeoError | None) for call in world.calls)


@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
def test_a_cancellation_at_the_very_deadline_is_not_swallowed(is_stream: bool) -> None:
    """Who is cancelled at the instant at which time runs out is cancelled, in whichever order the two come."""
    callers = (
        Caller(
            number=number,
            service=LLMService.OPENAI,
            timeout_s=1.0,
            is_stream=is_stream,
            behaviour=Behaviour.CANCELLED,
            cancel_after_s=1.0,
        )
        for number in range(20)
    )
    world = world_of(lambda _: Fault.hang(), *callers)
    cancelled = [call for call in world.calls if call.cancelled_at_s is not None]
    assert cancelled
    assert {call.outcome for call in cancelled} == {"CancelledError"}


def test_a_finished_stream_is_not_held_beyond_the_deadline_by_a_connection_that_will_not_end() -> None:
    """The end marker came in time; a provider that keeps the connection open does not keep the reader."""

    def just_in_time(asked: Asked) -> Reply:
        return Reply(text_of(asked), delay_s=TIMEOUT_S - 0.01)

    callers = (
        Caller(number=number, service=LLMService.OPENAI, timeout_s=TIMEOUT_S, is_stream=True) for number in range(10)
    )
    world = world_of(just_in_time, *callers, max_linger_s=10.0)
    assert all(isinstance(call.completion, Completion) for call in world.calls)


def test_calls_whose_deadlines_fall_together_end_in_the_same_order_each_time() -> None:
    """The order in which timeouts are told depends on the seed and not on where objects lie in memory."""
    callers = tuple(Caller(number=number, service=LLMService.OPENAI, timeout_s=1.0) for number in range(40))
    plan = WorldPlan(seed=7, callers=callers, script=lambda _: Refused(delay_s=100.0))
    kept: list[object] = []
    digests = set()
    for size in range(6):
        kept.append([bytearray(size * 37 + index % 191) for index in range(size * 501)])
        digests.add(run_world(plan).digest)
    assert len(digests) == 1
