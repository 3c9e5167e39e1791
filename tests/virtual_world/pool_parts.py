"""Adapters that answer when they are told to, and the workshop that makes them when it is told to."""

import asyncio
from collections.abc import AsyncGenerator

from attrs import define, field

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.parts import TextPart
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.pool import IDLE_LIFETIME_S


class ToldAdapter(ChatModelPort):
    """Every use waits for its own gate; whatever the pool should not do with an adapter is noted."""

    def __init__(self, endpoint: Endpoint, clock: ClockPort, violations: list[str]) -> None:
        self.service = endpoint.service
        self.endpoint = endpoint
        self.closed = 0
        self.gates: dict[str, asyncio.Future[None]] = {}
        self.may_close_under_holder = False
        self._clock = clock
        self._last_used_s = clock.monotonic_s()
        self._violations = violations

    async def complete(self, request: CompletionRequest) -> Completion:
        gate = self._begin(request)
        try:
            await gate
        finally:
            self._end(request)
        return completion(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def aclose(self) -> None:
        self.closed += 1
        if self.closed > 1:
            self._violations.append(f"{self!r} was closed again")
        if self.gates and not self.may_close_under_holder:
            self._violations.append(f"{self!r} was closed under {sorted(self.gates)}")
        await asyncio.sleep(0)

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        gate = self._begin(request)
        try:
            yield TextDelta("Hello.")
            await gate
            yield CompletionEnd(completion(request))
        finally:
            self._end(request)

    def _begin(self, request: CompletionRequest) -> asyncio.Future[None]:
        idle_s = self._clock.monotonic_s() - self._last_used_s
        if self.closed:
            self._violations.append(f"{self!r} was lent to {request.call_id} after it was closed")
        if not self.gates and idle_s >= IDLE_LIFETIME_S:
            self._violations.append(f"{self!r} was lent to {request.call_id} after {idle_s} s of idleness")
        gate = self.gates[request.call_id] = asyncio.get_running_loop().create_future()
        return gate

    def _end(self, request: CompletionRequest) -> None:
        del self.gates[request.call_id]
        self._last_used_s = self._clock.monotonic_s()

    def __repr__(self) -> str:
        return f"<adapter for {self.service.value}>"


@define(eq=False)
class Order:
    """An adapter that was asked for. A stubborn one is finished although it was cancelled."""

    endpoint: Endpoint
    gate: "asyncio.Future[None]"
    task: "asyncio.Task[object] | None"
    is_done: bool = False
    is_stubborn: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether it is in the making and was not given up."""
        return not self.is_done and self.task is not None and not self.task.cancelling()


@define(eq=False)
class ToldWorkshop:
    """Makes an adapter when its gate is opened, or fails as the gate says."""

    clock: ClockPort
    violations: list[str]
    orders: list[Order] = field(factory=list)
    made: list[ToldAdapter] = field(factory=list)

    async def create(self, endpoint: Endpoint) -> ToldAdapter:
        """What the pool calls."""
        order = Order(endpoint, asyncio.get_running_loop().create_future(), asyncio.current_task())
        self.orders.append(order)
        if sum(each.is_wanted and each.endpoint == endpoint for each in self.orders) > 1:
            self.violations.append(f"two adapters for {endpoint.service.value} were in the making at once")
        try:
            await order.gate
        except asyncio.CancelledError:
            if not order.is_stubborn:
                raise
        finally:
            order.is_done = True
        adapter = ToldAdapter(endpoint, self.clock, self.violations)
        self.made.append(adapter)
        return adapter


class ReplacedKeys(APIKeyPort):
    """A key for each service, and a new one whenever it is told to."""

    def __init__(self) -> None:
        self._current: dict[LLMService, Secret] = {}
        self._made = 0

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        return self._current.get(service) or self.replace(service)

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        return "the keys that are replaced"

    def replace(self, service: LLMService) -> Secret:
        """The service's new key."""
        self._made += 1
        self._current[service] = Secret(f"sk-{service.value}-{self._made}")
        return self._current[service]


def request_for(service: LLMService, call_id: str) -> CompletionRequest:
    """A request that goes to this service's endpoint."""
    return CompletionRequest(
        service=service, model="a-model", messages=(ChatMessage.from_text(Role.USER, "Hi"),), call_id=call_id
    )


def completion(request: CompletionRequest) -> Completion:
    """The answer of every told adapter."""
    return Completion(
        service=request.service, model=request.model, parts=(TextPart("Hello."),), finish_reason=FinishReason.STOP
    )
