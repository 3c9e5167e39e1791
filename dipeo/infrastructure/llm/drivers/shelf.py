"""The adapters of one event loop: made once, lent out, closed after their last use."""

import asyncio
import copy
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

from attrs import define, field, frozen

from dipeo.domain.errors import DipeoError, ServiceClosedError
from dipeo.domain.ports.clock import ClockPort
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.factory import Adapter

CreateAdapter = Callable[[Endpoint], Awaitable[Adapter]]


@define(eq=False)
class Place:
    """An adapter on the shelf, and how many calls it is lent to."""

    adapter: Adapter
    last_used_s: float
    leases: int
    is_discarded: bool = False
    is_closed: bool = False

    @property
    def since(self) -> tuple[bool, float]:
        """Puts those that are lent behind those that are not, and the longest unused first."""
        return self.leases > 0, self.last_used_s


@frozen(kw_only=True)
class ShelfLimits:
    """How many adapters a shelf holds, how long (s) one may be idle, and how long (s) closing waits for loans."""

    max_adapters: int
    idle_lifetime_s: float
    close_grace_s: float


@define(eq=False)
class Creation:
    """An adapter in the making, and how many callers wait for it."""

    waiting: int = 0
    task: asyncio.Task[Place] | None = None


@define(eq=False)
class AdapterShelf:
    """The adapters of one event loop; touched by that loop alone, hence without locks."""

    _create: CreateAdapter
    _clock: ClockPort
    _is_current: Callable[[Endpoint], bool]
    _limits: ShelfLimits
    _places: dict[Endpoint, Place] = field(factory=dict)
    _leaving: set[Place] = field(factory=set)
    _creations: dict[Endpoint, Creation] = field(factory=dict)
    _closing: set[asyncio.Task[None]] = field(factory=set)
    _watch: AsyncGenerator[None, None] | None = None
    _all_returned: asyncio.Event = field(factory=asyncio.Event)
    _is_closed: bool = False
    _next_expiry_s: float = math.inf
    replacements_seen: int = 0

    async def lease(self, endpoint: Endpoint) -> Place:
        """Lends the endpoint's adapter, made now if there is none; `give_back()` ends the loan."""
        return self.lend(endpoint) or await self._wait_for(endpoint)

    def lend(self, endpoint: Endpoint) -> Place | None:
        """Lends the endpoint's adapter if it is on the shelf; `give_back()` ends the loan."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_expiry_s:
            self._discard_idle(now_s)
        place = self._places.get(endpoint)
        if place is not None:
            place.leases += 1
        return place

    def give_back(self, place: Place) -> None:
        """Ends one loan."""
        place.leases -= 1
        place.last_used_s = self._clock.monotonic_s()
        if place.is_discarded and place.leases == 0:
            self._leaving.discard(place)
            self._close(place)
            if not self._leaving:
                self._all_returned.set()

    def discard_replaced(self, replacements: int) -> None:
        """Takes adapters off the shelf whose key was replaced: new calls use the new key, old ones may end."""
        self.replacements_seen = replacements
        for endpoint in [endpoint for endpoint in self._places if not self._is_current(endpoint)]:
            self._discard(endpoint)

    async def aclose(self) -> None:
        """Closes all adapters; those in use are given a moment to end, and are then closed all the same."""
        self._is_closed = True
        creations = [creation.task for creation in self._creations.values() if creation.task is not None]
        for task in creations:
            task.cancel()
        await asyncio.gather(*creations, return_exceptions=True)
        for endpoint in list(self._places):
            self._discard(endpoint)
        if self._leaving:
            self._all_returned.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.close_grace_s):
                    await self._all_returned.wait()
        for place in list(self._leaving):
            self._close(place)
        if self._closing:
            # One adapter that cannot be closed properly must not keep the others open.
            await asyncio.gather(*self._closing, return_exceptions=True)
        if self._watch is not None:
            watch, self._watch = self._watch, None
            if not watch.ag_running:  # type: ignore[attr-defined]  # typeshed leaves the attribute out
                await watch.aclose()

    async def _wait_for(self, endpoint: Endpoint) -> Place:
        """The adapter that is made for all who wait now, lent to each of them the moment it is there."""
        creation = self._creations.get(endpoint)
        if creation is None:
            creation = self._creations[endpoint] = Creation()
        creation.waiting += 1
        if creation.task is None:
            # Begun when all is in place: an eager task may end within the call that makes it.
            creation.task = asyncio.ensure_future(self._make(endpoint, creation))
            # Looked at even when all who waited have left, so that a failure nobody heard of is no noise at the end.
            creation.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        making = creation.task
        try:
            # Shielded, so that a caller who gives up takes nobody along.
            return await asyncio.shield(making)
        except DipeoError as error:
            # A copy for each caller: one exception raised in many tasks would collect all their tracebacks.
            raise copy.copy(error) from None
        except asyncio.CancelledError:
            self._give_up(making)
            raise
        finally:
            creation.waiting -= 1
            if creation.waiting == 0 and not making.done():
                making.cancel()
                # A caller who comes now begins anew instead of waiting for what is being given up.
                self._forget(endpoint, creation)

    def _give_up(self, making: asyncio.Task[Place]) -> None:
        """A caller was cancelled while waiting; raises `ServiceClosedError` if it was the making that was."""
        task = asyncio.current_task()
        if making.cancelled():
            if task is not None and not task.cancelling():
                raise ServiceClosedError("The service was closed while its adapter was being made.") from None
        elif making.done() and making.exception() is None:
            # It was there, and lent, when the caller was told to leave.
            self.give_back(making.result())

    async def _make(self, endpoint: Endpoint, creation: Creation) -> Place:
        try:
            if self._watch is None:
                self._watch = self._close_with_loop()
                await anext(self._watch)
            adapter = await self._create(endpoint)
            if self._is_closed or self._creations.get(endpoint) is not creation:
                # Finished although it was given up: nobody waits for it any more.
                await adapter.aclose()
                raise asyncio.CancelledError
            # Lent before any of those who wait gets their turn: until then, nothing else may take it off the shelf.
            place = Place(adapter, self._clock.monotonic_s(), leases=creation.waiting)
            self._places[endpoint] = place
            self._next_expiry_s = min(self._next_expiry_s, place.last_used_s + self._limits.idle_lifetime_s)
            if not self._is_current(endpoint):
                # Its key was replaced while it was made: it serves those who waited for it, and nobody else.
                self._discard(endpoint)
            elif len(self._places) > self._limits.max_adapters:
                # The longest unused gives way; one in use does so only where all are.
                self._discard(min(self._places, key=lambda each: self._places[each].since))
            return place
        finally:
            self._forget(endpoint, creation)

    def _forget(self, endpoint: Endpoint, creation: Creation) -> None:
        if self._creations.get(endpoint) is creation:
            del self._creations[endpoint]

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        """Closes the shelf when its loop shuts down.

        A pool may outlive many loops (each `asyncio.run` in a script makes one), and a loop tells nobody that it ends;
        but it closes the generators that are still open, and so this one waits for just that. Without it, every loop
        would leave its connections to the garbage collector.
        """
        try:
            yield
        finally:
            if not self._is_closed:
                await self.aclose()

    def _discard_idle(self, now_s: float) -> None:
        """Takes all adapters off the shelf that were idle too long, and notes when the next one can be."""
        lifetime_s = self._limits.idle_lifetime_s
        self._next_expiry_s = math.inf
        for endpoint, place in list(self._places.items()):
            # In use is not idle, however long it takes; the hour begins when it is given back, now at the earliest.
            expiry_s = (now_s if place.leases else place.last_used_s) + lifetime_s
            if expiry_s <= now_s and not place.leases:
                self._discard(endpoint)
            else:
                self._next_expiry_s = min(self._next_expiry_s, expiry_s)

    def _discard(self, endpoint: Endpoint) -> None:
        """Takes an adapter off the shelf; it is closed now, or after its last loan."""
        place = self._places.pop(endpoint)
        place.is_discarded = True
        if place.leases == 0:
            self._close(place)
        else:
            self._leaving.add(place)

    def _close(self, place: Place) -> None:
        if not place.is_closed:
            place.is_closed = True
            task = asyncio.ensure_future(place.adapter.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def __len__(self) -> int:
        return len(self._places)
