"""Lends adapters: one per endpoint and event loop, made once, kept while in use and for an hour of idleness."""

import asyncio
import copy
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final
from weakref import WeakKeyDictionary

from attrs import define, field

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError, ServiceClosedError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.endpoints import EndpointDirectory
from dipeo.infrastructure.llm.drivers.factory import Adapter

IDLE_LIFETIME_S: Final = 3600.0

CreateAdapter = Callable[[Endpoint], Awaitable[Adapter]]


class PooledModel(ChatModelPort):
    """Finds the adapter for a request and lends it for the length of one call or stream.

    However many callers wait for a new adapter, one is made; a failed creation is not kept, and every caller who waited
    for it sees the failure. An adapter that was idle for `idle_lifetime_s` is closed; one in use never is.
    """

    def __init__(
        self,
        create: CreateAdapter,
        endpoints: EndpointDirectory,
        clock: ClockPort,
        *,
        idle_lifetime_s: float = IDLE_LIFETIME_S,
    ) -> None:
        self._create = create
        self._endpoints = endpoints
        self._clock = clock
        self._idle_lifetime_s = idle_lifetime_s
        self._shelves: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shelf] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._is_closed = False

    async def complete(self, request: CompletionRequest) -> Completion:
        shelf = self._shelf()
        place = await shelf.lease(self._endpoints.find(request))
        try:
            return await place.adapter.complete(request)
        finally:
            shelf.give_back(place)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def aclose(self) -> None:
        """Closes the adapters of the running event loop at once, and refuses new calls. Closing twice does nothing."""
        self._is_closed = True
        shelf = self._shelves.pop(asyncio.get_running_loop(), None)
        if shelf is not None:
            await shelf.aclose()

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        shelf = self._shelf()
        place = await shelf.lease(self._endpoints.find(request))
        try:
            async with place.adapter.stream(request) as stream:
                async for event in stream.events:
                    yield event
        finally:
            shelf.give_back(place)

    def _shelf(self) -> "_Shelf":
        """The shelf of the running loop: async clients belong to the loop that made them."""
        if self._is_closed:
            raise ServiceClosedError("The service is closed: use it inside its 'with' block.")
        loop = asyncio.get_running_loop()
        shelf = self._shelves.get(loop)
        if shelf is None:
            with self._lock:
                for other in [known for known in self._shelves if known.is_closed()]:
                    del self._shelves[other]
                shelf = self._shelves[loop] = _Shelf(self._create, self._clock, self._idle_lifetime_s)
        return shelf

    def __repr__(self) -> str:
        shelves = list(self._shelves.values())
        return f"<PooledModel {sum(len(shelf) for shelf in shelves)} adapters on {len(shelves)} event loops>"


@define(eq=False)
class _Place:
    """An adapter on the shelf, and how many calls it is lent to."""

    endpoint: Endpoint
    adapter: Adapter
    last_used_s: float
    leases: int = 0
    is_discarded: bool = False


@define(eq=False)
class _Creation:
    """An adapter in the making, and how many callers wait for it."""

    task: asyncio.Task[_Place]
    waiting: int = 0


@define(eq=False)
class _Shelf:
    """The adapters of one event loop; touched by that loop alone, hence without locks."""

    _create: CreateAdapter
    _clock: ClockPort
    _idle_lifetime_s: float
    _places: OrderedDict[Endpoint, _Place] = field(factory=OrderedDict)
    _creations: dict[Endpoint, _Creation] = field(factory=dict)
    _closing: set[asyncio.Task[None]] = field(factory=set)
    _watch: AsyncGenerator[None, None] | None = None

    async def lease(self, endpoint: Endpoint) -> _Place:
        self._discard_idle()
        place = self._places.get(endpoint)
        if place is None:
            place = await self._wait_for(endpoint)
        else:
            self._places.move_to_end(endpoint)
        place.leases += 1
        return place

    def give_back(self, place: _Place) -> None:
        place.leases -= 1
        place.last_used_s = self._clock.monotonic_s()
        if place.is_discarded and place.leases == 0:
            self._close(place)

    async def aclose(self) -> None:
        for creation in self._creations.values():
            creation.task.cancel()
        while self._places:
            _, place = self._places.popitem()
            self._close(place)
        if self._closing:
            await asyncio.gather(*self._closing)
        if self._watch is not None:
            watch, self._watch = self._watch, None
            if not watch.ag_running:  # type: ignore[attr-defined]  # typeshed leaves the attribute out
                await watch.aclose()

    async def _wait_for(self, endpoint: Endpoint) -> _Place:
        creation = self._creations.get(endpoint)
        if creation is None:
            creation = _Creation(asyncio.ensure_future(self._make(endpoint)))
            self._creations[endpoint] = creation
        creation.waiting += 1
        try:
            # Shielded, so that a caller who gives up takes nobody along.
            return await asyncio.shield(creation.task)
        except DipeoError as error:
            # A copy for each caller: one exception raised in many tasks would collect all their tracebacks.
            raise copy.copy(error) from None
        finally:
            creation.waiting -= 1
            if creation.waiting == 0 and not creation.task.done():
                creation.task.cancel()

    async def _make(self, endpoint: Endpoint) -> _Place:
        try:
            if self._watch is None:
                self._watch = self._close_with_loop()
                await anext(self._watch)
            adapter = await self._create(endpoint)
            place = _Place(endpoint, adapter, self._clock.monotonic_s())
            self._places[endpoint] = place
            return place
        finally:
            del self._creations[endpoint]

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        """Waits for the loop to shut down: `asyncio.run` closes open generators before it closes the loop."""
        try:
            yield
        finally:
            await self.aclose()

    def _discard_idle(self) -> None:
        """Takes adapters off the shelf that were idle too long; the longest unused stand in front."""
        if not self._places:
            return
        now_s = self._clock.monotonic_s()
        while self._places:
            endpoint, place = next(iter(self._places.items()))
            if place.leases:
                place.last_used_s = now_s
            if place.last_used_s + self._idle_lifetime_s > now_s:
                return
            del self._places[endpoint]
            self._close(place)

    def _close(self, place: _Place) -> None:
        place.is_discarded = True
        if place.leases == 0:
            task = asyncio.ensure_future(place.adapter.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def __len__(self) -> int:
        return len(self._places)
