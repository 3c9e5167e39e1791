"""What must hold in every world, whatever its seed."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Final

from dipeo.domain.errors import DipeoError, IncompleteStreamError, InsufficientResourcesError, ServiceClosedError
from dipeo.domain.verdict import Verdict
from tests.virtual_world.plan import text_of
from tests.virtual_world.world import Call, World

TOLERANCE_S: Final = 1e-9
CLOSING_BOUND_S: Final = 0.05
"""By how much the closing of a stream that was read to its end may outlast the deadline."""

CANCELLATION_BOUND_S: Final = 0.1
_UNSENT_VERDICTS: Final = frozenset({Verdict.CANCELLED, Verdict.DEADLINE_EXCEEDED})


def violations(world: World, *, failed_at: str = "") -> list[str]:
    """Everything that does not hold, in words; `failed_at` names the dependency that was made to fail."""
    found = [f"{call.caller.name}: {what}" for call in world.calls for what in _of_call(world, call, failed_at)]
    return [*found, *_of_adapters(world), *world.stack.leftovers()]


def _of_call(world: World, call: Call, failed_at: str) -> Iterator[str]:
    yield from _of_outcome(world, call)
    yield from _of_time(world, call)
    yield from _of_text(world, call)
    yield from _of_record(world, call, failed_at)
    if call.open_at_end:
        yield f"{call.open_at_end} exchanges were open after it ended"


def _of_outcome(world: World, call: Call) -> Iterator[str]:
    """An answer, one of our errors, or its own cancellation; nothing else, and nobody else's."""
    problem = call.problem
    if call.ended_at_s is None:
        yield "never ended"
    elif problem is None:
        if call.completion is None and not call.has_left:
            yield "ended with nothing"
    elif isinstance(problem, asyncio.CancelledError):
        if call.cancelled_at_s is None:
            yield "was told of a cancellation that nobody asked for"
    elif isinstance(problem, ServiceClosedError):
        if world.plan.closes_at_s is None or call.ended_at_s < world.plan.closes_at_s:
            yield "was told that the service is closed, which it was not"
    elif not isinstance(problem, DipeoError):
        yield f"got a foreign exception: {problem!r}"
    if call.cancelled_at_s is not None and not isinstance(problem, asyncio.CancelledError):
        yield f"was cancelled, and it was swallowed: {call.outcome}"
    if call.cancelled_at_s is None and call.cancelling_at_end:
        yield "was left half cancelled"


def _of_time(world: World, call: Call) -> Iterator[str]:
    is_whole_stream = call.caller.is_stream and call.problem is None
    if call.late_s > (CLOSING_BOUND_S if is_whole_stream else 0.0) + TOLERANCE_S:
        yield f"outlasted its deadline by {call.late_s:.6f} s"
    if call.cancelled_at_s is not None and (call.ended_at_s or 0.0) - call.cancelled_at_s > CANCELLATION_BOUND_S:
        yield "went on after it was cancelled"
    for at_s, delay_s in world.stack.clock.sleeps_of.get(call.caller.name, ()):
        if at_s + delay_s > call.deadline_s + TOLERANCE_S:
            yield f"began a sleep of {delay_s} s at {at_s} s that crosses its deadline at {call.deadline_s} s"


def _of_text(world: World, call: Call) -> Iterator[str]:
    """One attempt's text reaches the caller, once, and a stream never begins again after its first event."""
    caller, exchanges = call.caller, world.stack.providers.exchanges_of(call.caller.mark)
    heard = "".join(call.heard)
    # Without a race between two of them it is the last attempt that answers.
    may_have_won = exchanges if world.plan.stations.get("hedge_share") else exchanges[-1:]
    texts = [text_of(each.asked) for each in may_have_won]
    if call.completion is not None and call.completion.text not in texts:
        yield f"was answered with {call.completion.text!r} instead of {texts!r}"
    if call.completion is not None and caller.is_stream and heard != call.completion.text:
        yield f"heard {heard!r} of {call.completion.text!r}"
    if heard and not any(text.startswith(heard) for text in texts):
        yield f"heard {heard!r}, which is not the beginning of {texts!r}"
    if call.events and len(exchanges) != call.sent_before_first_event:
        yield "its stream was begun again after the first event"
    if call.open_at_first_event > 1:
        yield f"heard the first event while {call.open_at_first_event} exchanges were open"
    if isinstance(call.problem, IncompleteStreamError) and call.problem.partial_text != heard:
        yield f"was told of {call.problem.partial_text!r} but had heard {heard!r}"


def _of_record(world: World, call: Call, failed_at: str) -> Iterator[str]:
    """The ledger, the wire, and what the caller was told agree on the attempts."""
    caller = call.caller
    # A clock that breaks between two attempts takes along what was known of the first; whoever is next counts anew.
    is_count_lost = failed_at == "clock sleep" and bool(caller.fallbacks)
    is_ledger_whole = failed_at != "ledger record" and not is_count_lost
    sent = len(world.stack.providers.exchanges_of(caller.mark))
    recorded = sorted(world.stack.attempts_of(caller.mark), key=lambda attempt: attempt.number)
    # A call that ends while it waits for an adapter is recorded too, although nothing was sent.
    last = recorded[-2:] if world.plan.stations.get("hedge_share") else recorded[-1:]
    unsent = sum(each.verdict in _UNSENT_VERDICTS for each in last)
    if is_ledger_whole and not 0 <= len(recorded) - sent <= unsent:
        yield f"{sent} requests on the wire, {len(recorded)} attempts in the ledger"
    if sent > caller.max_attempts or len(recorded) > caller.max_attempts:
        yield f"{sent} requests and {len(recorded)} attempts where {caller.max_attempts} are allowed"
    if is_ledger_whole and [each.number for each in recorded] != list(range(1, len(recorded) + 1)):
        yield f"its attempts are numbered {[each.number for each in recorded]}"
    told = call.completion.attempts if call.completion else getattr(call.problem, "attempts", None)
    is_clock_broken = failed_at == "clock sleep" and isinstance(call.problem, InsufficientResourcesError)
    if not is_ledger_whole or is_clock_broken or told is None:
        return
    if [each.number for each in told] != [each.number for each in recorded]:
        yield f"was told of {len(told)} attempts, {len(recorded)} are in the ledger"


def _of_adapters(world: World) -> Iterator[str]:
    """One adapter for each endpoint, never two in the making."""
    for name, count in Counter(adapter.name for adapter in world.stack.workshop.made).items():
        if count > 1:
            yield f"{count} adapters were made for {name}"
    if left := +world.stack.workshop.in_making:
        yield f"adapters are still in the making: {dict(left)}"
