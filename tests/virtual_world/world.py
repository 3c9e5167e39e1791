"""Lets many callers use the real stack at once, and writes down what became of each."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from attrs import define, field

from dipeo.config import Settings
from dipeo.domain.completion import Completion
from dipeo.domain.message import Message
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.stream import CompletionStream, TextDelta
from tests.virtual_world.in_process_wire import ASKING, InProcessProviders
from tests.virtual_world.interruption import NO_FAILURE, FailOnce, Suspensions
from tests.virtual_world.plan import Behaviour, Caller, WorldPlan
from tests.virtual_world.stack import Stack
from tests.virtual_world.virtual_loop import VirtualLoop, VirtualRun, run_virtual


@define(eq=False)
class Call:
    """What became of one call. `late_s` is the longest time by which a wait of its outlasted the deadline."""

    caller: Caller
    began_at_s: float = 0.0
    ended_at_s: float | None = None
    cancelled_at_s: float | None = None
    late_s: float = 0.0
    completion: Completion | None = None
    problem: BaseException | None = None
    has_left: bool = False
    heard: list[str] = field(factory=list)
    events: int = 0
    sent_before_first_event: int = 0
    open_at_first_event: int = 0
    open_at_end: int = 0
    cancelling_at_end: int = 0
    suspensions: int = 0

    @property
    def deadline_s(self) -> float:
        """When the call must be over."""
        return self.began_at_s + self.caller.timeout_s

    @property
    def outcome(self) -> str:
        """In one word."""
        if self.problem is not None:
            return type(self.problem).__name__
        return "left" if self.has_left else "answered" if self.completion else "nothing"


@define(eq=False)
class World:
    """A world after its end."""

    plan: WorldPlan
    stack: Stack
    calls: list[Call]
    closed_at_s: float = 0.0


def run_world(
    plan: WorldPlan, *, failing: FailOnce = NO_FAILURE, cancel_first_at: Sequence[int] = ()
) -> VirtualRun[World]:
    """Runs the world of this plan to its end, with all calls over and the pool closed.

    `cancel_first_at` are the suspensions at which the first caller is cancelled.
    """
    return run_virtual(plan.seed, lambda loop: _live(loop, plan, failing, cancel_first_at))


async def _live(loop: VirtualLoop, plan: WorldPlan, failing: FailOnce, cancel_first_at: Sequence[int]) -> World:
    def settings(providers: InProcessProviders) -> Settings:
        return Settings(
            base_urls=providers.base_urls, retries_unknown_outcome=plan.retries_unknown_outcome, **plan.stations
        )

    stack = Stack(
        loop,
        plan.answer,
        settings=settings,
        failing=failing,
        max_creation_s=plan.max_creation_s,
        max_latency_s=plan.max_latency_s,
        max_linger_s=plan.max_linger_s,
        ledger_delay_s=plan.ledger_delay_s,
    )
    world = World(plan, stack, [Call(caller) for caller in plan.callers])
    first, *others = world.calls
    tasks = [_begin(stack, first, cancel_first_at), *(_begin(stack, call) for call in others)]
    if plan.closes_at_s is not None:
        await asyncio.sleep(plan.closes_at_s)
        await stack.aclose()
    await asyncio.wait(tasks)
    await stack.aclose()
    world.closed_at_s = loop.time()
    return world


def _begin(stack: Stack, call: Call, cancel_at: Sequence[int] = ()) -> "asyncio.Task[None]":
    """Starts a caller, and sees to it that it is cancelled where it is to be."""
    caller = call.caller
    suspensions = Suspensions(*cancel_at, interrupt=lambda: _cancel(stack, call, task))
    task = asyncio.create_task(_live_call(stack, call, suspensions), name=caller.name)
    task.add_done_callback(lambda _: _end(stack, call))
    if caller.behaviour is Behaviour.CANCELLED:
        stack.loop.call_at(caller.starts_at_s + caller.cancel_after_s, _cancel, stack, call, task)
    return task


def _end(stack: Stack, call: Call) -> None:
    """Notes the end of a caller who was cancelled before they began."""
    if call.ended_at_s is None and call.cancelled_at_s is not None:
        call.ended_at_s = stack.loop.time()
        call.problem = asyncio.CancelledError()


def _cancel(stack: Stack, call: Call, task: "asyncio.Task[None]") -> None:
    """Cancels a caller, and notes when."""
    if task.cancel() and call.cancelled_at_s is None:
        call.cancelled_at_s = stack.loop.time()
        stack.loop.note(f"{call.caller.name} is cancelled")


async def _live_call(stack: Stack, call: Call, suspensions: Suspensions) -> None:
    """One caller's life; what goes wrong in it is kept and not raised."""
    loop, caller = stack.loop, call.caller
    ASKING.set(caller.mark)
    try:
        if caller.starts_at_s > loop.time():
            await asyncio.sleep(caller.starts_at_s - loop.time())
        call.began_at_s = loop.time()
        loop.note(f"{caller.name} begins")
        await suspensions.watch(_use(stack, call))
    except BaseException as problem:  # noqa: BLE001  # whatever it is, the checks must see it
        call.problem = problem
    call.suspensions = suspensions.count
    task = asyncio.current_task()
    call.cancelling_at_end = task.cancelling() if task else 0
    call.ended_at_s = loop.time()
    call.open_at_end = sum(each.is_open for each in stack.providers.exchanges_of(caller.mark))
    loop.note(f"{caller.name} ends: {call.outcome}, heard {''.join(call.heard)!r}")


async def _use(stack: Stack, call: Call) -> None:
    if call.caller.is_stream:
        await _read(stack, call)
    else:
        call.completion = await _waited(stack, call, _asked(stack, call.caller))


async def _read(stack: Stack, call: Call) -> None:
    caller = call.caller
    stream = _streamed(stack, caller)
    leaves_after = caller.leaves_after if caller.behaviour is Behaviour.LEAVES_EARLY else None
    try:
        while call.events != leaves_after:
            try:
                event = await _waited(stack, call, stream.__anext__())
            except StopAsyncIteration:
                call.completion = stream.completion
                return
            if not call.events:
                exchanges = stack.providers.exchanges_of(caller.mark)
                call.sent_before_first_event = len(exchanges)
                call.open_at_first_event = sum(each.is_open for each in exchanges)
            call.events += 1
            if isinstance(event, TextDelta):
                call.heard.append(event.text)
            if caller.behaviour is Behaviour.SLOW_READER:
                await asyncio.sleep(caller.pause_s)
        call.has_left = True
    finally:
        await _waited(stack, call, stream.aclose())


async def _waited(stack: Stack, call: Call, waiting: Coroutine[Any, Any, Any]) -> Any:
    """What `waiting` comes to; notes by how much it outlasts the deadline, or its own beginning where that is later."""
    bound_s = max(call.deadline_s, stack.loop.time())
    try:
        return await waiting
    finally:
        call.late_s = max(call.late_s, stack.loop.time() - bound_s)


_MESSAGES: list[Mapping[str, object]] = [{"role": "user", "content": "Hello?"}]
_SAID = (Message(from_person_id="somebody", content="Hello?", id="m1"),)


def _config(caller: Caller) -> PersonLLMConfig:
    return PersonLLMConfig(
        service=caller.service,
        model=caller.model,
        api_key_id=_key_id(caller),
        fallbacks=caller.fallbacks or None,
    )


def _key_id(caller: Caller) -> str | None:
    return "other" if caller.has_other_key else None


def _asked(stack: Stack, caller: Caller) -> Coroutine[Any, Any, Completion]:
    if caller.is_person:
        return stack.service.complete_with_person(
            _SAID, "person", _config(caller), timeout_s=caller.timeout_s, max_attempts=caller.max_attempts
        )
    return stack.service.complete(
        _MESSAGES,
        caller.model,
        service=caller.service,
        api_key_id=_key_id(caller),
        timeout_s=caller.timeout_s,
        max_attempts=caller.max_attempts,
        fallbacks=caller.fallbacks,
    )


def _streamed(stack: Stack, caller: Caller) -> CompletionStream:
    if caller.is_person:
        return stack.service.stream_with_person(
            _SAID, "person", _config(caller), timeout_s=caller.timeout_s, max_attempts=caller.max_attempts
        )
    return stack.service.stream(
        _MESSAGES,
        caller.model,
        service=caller.service,
        api_key_id=_key_id(caller),
        timeout_s=caller.timeout_s,
        max_attempts=caller.max_attempts,
        fallbacks=caller.fallbacks,
    )
