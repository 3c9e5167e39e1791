"""The real stack, wired by the container, with virtual time, watched adapters and in-process providers."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable

from dependency_injector import providers as di

from dipeo.config import Settings
from dipeo.container.adapters import adapter_builders
from dipeo.container.root import Container
from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import ConfigurationError, InsufficientResourcesError
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.stream import CompletionEvent, CompletionStream
from dipeo.facade import wired
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.factory import Adapter, AdapterFactory
from dipeo.infrastructure.llm.drivers.pool import CLOSE_GRACE_S, PooledModel
from dipeo.testing import FakeKeys, FakeLedger
from tests.virtual_world.in_process_wire import ASKING, Choose, InProcessProviders
from tests.virtual_world.interruption import NO_FAILURE, FailOnce
from tests.virtual_world.virtual_loop import VirtualClock, VirtualLoop


class Stack:
    """All that a world is made of, and what a test wants to look at afterwards."""

    def __init__(
        self,
        loop: VirtualLoop,
        choose: Choose = lambda _: None,
        *,
        settings: Callable[[InProcessProviders], Settings] | None = None,
        failing: FailOnce = NO_FAILURE,
        max_creation_s: float = 0.0,
        max_latency_s: float = 0.05,
        max_linger_s: float = 0.0,
        ledger_delay_s: float | None = None,
    ) -> None:
        self.loop = loop
        self.providers = InProcessProviders(
            loop, choose, failing=failing, max_latency_s=max_latency_s, max_linger_s=max_linger_s
        )
        self.clock = FailingClock(loop, failing)
        self.ledger = WaitingLedger(failing, delay_s=ledger_delay_s)
        make_settings = settings or (lambda known: Settings(base_urls=known.base_urls))
        self.container: Container = wired(
            make_settings(self.providers),
            clock=self.clock,
            keys=FakeKeys({"other": "sk-fake-other"}),
            ledger=self.ledger,
            open_wire=self.providers.open_wire,
        )
        self.workshop = Workshop(AdapterFactory(adapter_builders(self.providers.open_wire)), loop, failing)
        self.workshop.max_creation_s = max_creation_s
        self.container.factory.override(di.Object(self.workshop))
        self.service: LLMServicePort = self.container.service()
        self.pool: PooledModel = self.container.pool()

    async def aclose(self) -> None:
        """Closes the pool; what is in use a moment later may be closed under its holder."""
        self.loop.note("closes")
        self.loop.call_later(CLOSE_GRACE_S, self._end_grace)
        await self.pool.aclose()

    def _end_grace(self) -> None:
        self.providers.is_closing_forced = self.workshop.is_closing_forced = True

    def attempts_of(self, mark: str) -> list[Attempt]:
        """What the ledger holds of one who asks, or about one model where nobody has said who they are."""
        return self.ledger.by_mark[mark]

    def leftovers(self) -> list[str]:
        """What is wrong with adapters, wires and exchanges once the pool is closed and all is quiet."""
        found = [*self.providers.violations, *self.workshop.violations]
        found += [f"{each!r} was closed {each.closed} times" for each in self.workshop.made if each.closed != 1]
        found += [f"a wire was closed {each.closed} times" for each in self.providers.wires if each.closed != 1]
        found += [f"{each.asked} is still open" for each in self.providers.exchanges if each.is_open]
        if self.providers.unused:
            found.append(f"{self.providers.unused} answers were not given: a provider refused the request")
        return found


class FailingClock(VirtualClock):
    """A virtual clock whose sleep can be made to fail."""

    def __init__(self, loop: VirtualLoop, failing: FailOnce) -> None:
        super().__init__(loop)
        self._failing = failing

    async def sleep(self, delay_s: float) -> None:
        await self._failing.passes("clock sleep", InsufficientResourcesError)
        await super().sleep(delay_s)


class WaitingLedger(FakeLedger):
    """A ledger that takes its time before it has written and after, as one on a disk does, and can be made to fail.

    `history` is what was written, in its order: when, whose, and what.
    """

    def __init__(self, failing: FailOnce, *, delay_s: float | None) -> None:
        super().__init__()
        self._waiting_fails = failing
        self._delay_s = delay_s
        self.by_mark: defaultdict[str, list[Attempt]] = defaultdict(list)
        self.history: list[tuple[float, str, Attempt]] = []

    async def record(self, attempt: Attempt) -> None:
        await self._waiting_fails.passes("ledger record", lambda: OSError("The disk is full."))
        if self._delay_s is not None:
            await asyncio.sleep(self._delay_s)
        await super().record(attempt)
        # Written again, an attempt takes the place of the first, as the port has it.
        same = (attempt.call_id, attempt.number)
        mark = ASKING.get(attempt.model)
        known = [each for each in self.by_mark[mark] if (each.call_id, each.number) != same]
        self.by_mark[mark] = [*known, attempt]
        self.history.append((asyncio.get_running_loop().time(), mark, attempt))
        if self._delay_s is not None:
            await asyncio.sleep(self._delay_s)


class Workshop:
    """Makes watched adapters, some of them slowly; can be made to fail."""

    def __init__(self, factory: AdapterFactory, loop: VirtualLoop, failing: FailOnce) -> None:
        self._factory = factory
        self._loop = loop
        self._failing = failing
        self._chance = random.Random(f"workshop/{loop.seed}")
        self.max_creation_s = 0.0
        self.made: list[WatchedAdapter] = []
        self.begun: Counter[str] = Counter()
        self.in_making: Counter[str] = Counter()
        self.violations: list[str] = []
        self.is_closing_forced = False

    async def create(self, endpoint: Endpoint) -> Adapter:
        """What the pool calls."""
        name = f"{endpoint.service.value} {endpoint.key.fingerprint if endpoint.key else ''}"
        self.begun[name] += 1
        self.in_making[name] += 1
        self._loop.note(f"makes an adapter for {name}")
        try:
            await asyncio.sleep(self._chance.random() * self.max_creation_s)
            await self._failing.passes("adapter creation", ConfigurationError)
            adapter = WatchedAdapter(await self._factory.create(endpoint), name, self)
        finally:
            self.in_making[name] -= 1
        self.made.append(adapter)
        return adapter


class WatchedAdapter(ChatModelPort):
    """The real adapter, and a note of every use that should not be."""

    def __init__(self, inner: Adapter, name: str, workshop: Workshop) -> None:
        self.name = name
        self.closed = 0
        self._in_use = 0
        self._inner = inner
        self._workshop = workshop

    async def complete(self, request: CompletionRequest) -> Completion:
        self._begin()
        try:
            return await self._inner.complete(request)
        finally:
            self._in_use -= 1

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def aclose(self) -> None:
        if self._in_use and not self._workshop.is_closing_forced:
            self._workshop.violations.append(f"{self!r} was closed under a holder")
        self.closed += 1
        await self._inner.aclose()

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        self._begin()
        try:
            async with self._inner.stream(request) as stream:
                async for event in stream.events:
                    yield event
        finally:
            self._in_use -= 1

    def _begin(self) -> None:
        if self.closed:
            self._workshop.violations.append(f"{self!r} was lent after it was closed")
        self._in_use += 1

    def __repr__(self) -> str:
        return f"<adapter for {self.name}>"
