"""Lends adapters: one per endpoint and event loop, made once, kept while in use and for an hour of idleness."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import ServiceClosedError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream
from dipeo.infrastructure.llm.drivers.endpoints import EndpointDirectory
from dipeo.infrastructure.llm.drivers.factory import Adapter
from dipeo.infrastructure.llm.drivers.per_loop import PerLoop
from dipeo.infrastructure.llm.drivers.shelf import AdapterShelf, CreateAdapter, ShelfLimits

IDLE_LIFETIME_S: Final = 3600.0
MAX_ADAPTERS: Final = 256
CLOSE_GRACE_S: Final = 1.0


class PooledModel(ChatModelPort):
    """Finds the adapter for a request and lends it for the length of one call or stream.

    However many callers wait for a new adapter, one is made; a failed creation is not kept, and every caller who waited
    for it sees the failure. An adapter that was idle for `idle_lifetime_s` is closed; one in use never is. Each event
    loop has at most `max_adapters` on the shelf: the longest unused gives way. When a key is replaced, new calls use
    the new one, and the old adapter is closed after its last call. A forked process begins with nothing: connections
    belong to the process that made them.
    """

    def __init__(
        self,
        create: CreateAdapter,
        endpoints: EndpointDirectory,
        clock: ClockPort,
        *,
        idle_lifetime_s: float = IDLE_LIFETIME_S,
        max_adapters: int = MAX_ADAPTERS,
        close_grace_s: float = CLOSE_GRACE_S,
    ) -> None:
        self._create = create
        self._endpoints = endpoints
        self._clock = clock
        self._limits = ShelfLimits(
            max_adapters=max_adapters, idle_lifetime_s=idle_lifetime_s, close_grace_s=close_grace_s
        )
        self._shelves = PerLoop(self._new_shelf)
        self._is_closed = False

    async def complete(self, request: CompletionRequest) -> Completion:
        endpoint = self._endpoints.find(request)
        shelf = self._shelf()
        place = shelf.lend(endpoint) or await shelf.lease(endpoint)
        try:
            return await place.adapter.complete(request)
        finally:
            shelf.give_back(place)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    @asynccontextmanager
    async def lent(self, request: CompletionRequest) -> AsyncGenerator[Adapter, None]:
        """The adapter of a request's endpoint for the length of a block, for what is no completion."""
        endpoint = self._endpoints.find(request)
        shelf = self._shelf()
        place = await shelf.lease(endpoint)
        try:
            yield place.adapter
        finally:
            shelf.give_back(place)

    async def aclose(self) -> None:
        """Closes the adapters of the running event loop at once, and refuses new calls. Closing twice does nothing."""
        self._is_closed = True
        shelf = self._shelves.pop(asyncio.get_running_loop())
        if shelf is not None:
            await shelf.aclose()

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        endpoint = self._endpoints.find(request)
        shelf = self._shelf()
        place = await shelf.lease(endpoint)
        try:
            async with place.adapter.stream(request) as stream:
                async for event in stream.events:
                    yield event
        finally:
            shelf.give_back(place)

    def _shelf(self) -> AdapterShelf:
        """The shelf of the running loop: async clients belong to the loop that made them."""
        if self._is_closed:
            raise ServiceClosedError("The service is closed: use it inside its 'with' block.")
        shelf = self._shelves.get(asyncio.get_running_loop())
        if shelf.replacements_seen != self._endpoints.replacements:
            shelf.discard_replaced(self._endpoints.replacements)
        return shelf

    def _new_shelf(self) -> AdapterShelf:
        return AdapterShelf(self._create, self._clock, self._endpoints.is_current, self._limits)

    def __repr__(self) -> str:
        shelves = self._shelves.values()
        return f"<PooledModel {sum(len(shelf) for shelf in shelves)} adapters on {len(shelves)} event loops>"
