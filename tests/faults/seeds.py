"""Callers in virtual time, whose providers fail as a seed says."""

import asyncio
import random
from collections.abc import Iterator, Sequence

from attrs import define, frozen

from dipeo.config import Settings
from dipeo.domain.completion import Completion
from dipeo.domain.errors import DipeoError
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream
from tests.faults.matrix import HELLO
from tests.virtual_world.in_process_wire import InProcessProviders
from tests.virtual_world.plan import SERVICES
from tests.virtual_world.stack import Stack
from tests.virtual_world.virtual_loop import VirtualLoop, VirtualRun, run_virtual

TOLERANCE_S = 1e-9
CLOSING_BOUND_S = 0.25
"""How long the end of a stream that was read to its last word may take beyond its answer."""


@frozen(kw_only=True)
class Caller:
    """Who asks whom; the model is the caller's own, so that its requests are found by it."""

    number: int
    service: LLMService
    starts_at_s: float
    timeout_s: float
    is_stream: bool

    @property
    def model(self) -> str:
        """The model that nobody else asks."""
        return f"model-{self.number}"


@define(eq=False)
class Call:
    """What became of a caller."""

    caller: Caller
    completion: Completion | None = None
    problem: BaseException | None = None
    took_s: float = 0.0


@frozen(kw_only=True)
class FaultyWorld:
    """A world after its end."""

    stack: Stack
    calls: Sequence[Call]


def run_seed(seed: int) -> VirtualRun[FaultyWorld]:
    """Ten or so callers, and the faults that this seed deals out, to the end."""
    return run_virtual(seed, lambda loop: _live(loop, seed))


def violations(world: FaultyWorld) -> list[str]:
    """Everything that does not hold, in words."""
    found = [f"{call.caller.model}: {what}" for call in world.calls for what in _of_call(world.stack, call)]
    return [*found, *world.stack.leftovers()]


def _callers(seed: int) -> list[Caller]:
    chance = random.Random(f"callers/{seed}")
    return [
        Caller(
            number=number,
            service=chance.choice(SERVICES),
            starts_at_s=chance.choice((0.0, chance.random() * 20)),
            timeout_s=chance.choice((0.3, 3.0, 30.0, 300.0)),
            is_stream=chance.random() < 0.5,
        )
        for number in range(chance.randint(3, 10))
    ]


async def _live(loop: VirtualLoop, seed: int) -> FaultyWorld:
    def settings(providers: InProcessProviders) -> Settings:
        return Settings(base_urls=providers.base_urls, retries_unknown_outcome=seed % 2 == 1)

    stack = Stack(loop, settings=settings)
    stack.providers.deal_faults(seed)
    calls = [Call(caller) for caller in _callers(seed)]
    tasks = [asyncio.create_task(_make(stack, call), name=call.caller.model) for call in calls]
    await asyncio.wait(tasks)
    await stack.aclose()
    return FaultyWorld(stack=stack, calls=calls)


async def _make(stack: Stack, call: Call) -> None:
    caller, loop = call.caller, stack.loop
    await asyncio.sleep(caller.starts_at_s)
    began_at_s = loop.time()
    try:
        call.completion = await _asked(stack, caller)
    except BaseException as problem:  # noqa: BLE001  # whatever it is, the checks must see it
        call.problem = problem
    call.took_s = loop.time() - began_at_s
    loop.note(f"{caller.model} ends: {call.problem!r} {call.completion.text if call.completion else ''!r}")


async def _asked(stack: Stack, caller: Caller) -> Completion:
    service, model, timeout_s = caller.service, caller.model, caller.timeout_s
    if not caller.is_stream:
        return await stack.service.complete(HELLO, model, service=service, timeout_s=timeout_s)
    stream: CompletionStream = stack.service.stream(HELLO, model, service=service, timeout_s=timeout_s)
    return await stream.collect()


def _of_call(stack: Stack, call: Call) -> Iterator[str]:
    caller, problem = call.caller, call.problem
    if (call.completion is None) == (problem is None):
        yield "came to no answer and no error, or to both"
    if problem is not None and not isinstance(problem, DipeoError):
        yield f"foreign exception {problem!r}"
    allowed_s = caller.timeout_s + (CLOSING_BOUND_S if caller.is_stream and call.completion else 0.0)
    if call.took_s > allowed_s + TOLERANCE_S:
        yield f"took {call.took_s} s of {caller.timeout_s} s"
    if type(problem).__name__ == "DeadlineExceededError" and abs(call.took_s - caller.timeout_s) > TOLERANCE_S:
        yield f"was told of a deadline of {caller.timeout_s} s after {call.took_s} s"
    requests = stack.providers.exchanges_of(caller.model)
    recorded = stack.attempts_of(caller.model)
    if len(requests) != len(recorded):
        yield f"{len(requests)} requests, {len(recorded)} attempts recorded"
    told = call.completion.attempts if call.completion else getattr(problem, "attempts", ())
    if [each.number for each in told] != [each.number for each in recorded]:
        yield f"was told of {len(told)} attempts, {len(recorded)} are recorded"
    if any(each.is_open for each in requests):
        yield "an exchange is open"
