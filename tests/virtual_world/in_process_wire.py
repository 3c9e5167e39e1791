"""The library's wire without sockets: the simulator's router plans each answer, and it is played in virtual time.

Everything that `HttpWire` would make of a connection is made of a plan here: the same errors for the same faults, the
same framing, bytes cut wherever the seed says.
"""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextvars import ContextVar
from typing import Final
from urllib.parse import parse_qsl

import orjson
from attrs import define, frozen

from dipeo.domain.errors import (
    ConfigurationError,
    ConnectFailedError,
    ConnectionLostError,
    ServiceClosedError,
)
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires.framing import parser_for, readable, reply_from
from dipeo.testing import Fault, Reply
from dipeo.testing.simulator.faults.dealing import FaultDealer, FaultWish
from dipeo.testing.simulator.planning import Plan
from dipeo.testing.simulator.routing import Router
from dipeo.testing.simulator.steps import Bytes, Chunk, Close, Hang, Headers, Reset, Sleep, Status, Step
from tests.virtual_world.interruption import NO_FAILURE, FailOnce
from tests.virtual_world.virtual_loop import VirtualLoop

ORIGIN: Final = "https://providers.invalid"
RESET_DELAY_S: Final = 0.02
"""As long as the simulator lets pass before it resets a connection."""

ASKING: Final[ContextVar[str]] = ContextVar("asking")
"""Who asks, where several ask for the same model; every task that their call begins inherits it."""


@frozen
class Refused:
    """An answer that is none: no connection comes about."""

    delay_s: float = 0.0


@frozen
class Asked:
    """A request as it reaches a provider.

    `mark` is who asks, or the model where nobody has said so; `number` counts the requests with this mark from 1.
    """

    service: str
    model: str
    number: int
    mark: str


Choose = Callable[[Asked], Reply | Fault | Refused | None]
"""Decides what a request gets; None is the simulator's own seeded answer."""


@define(eq=False)
class Exchange:
    """One request on the wire, from sending to closing."""

    asked: Asked
    opened_at_s: float
    closed_at_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed it yet."""
        return self.closed_at_s is None


class InProcessProviders:
    """Every provider at once, and what they saw."""

    def __init__(
        self,
        loop: VirtualLoop,
        choose: Choose = lambda _: None,
        *,
        failing: FailOnce = NO_FAILURE,
        max_latency_s: float = 0.05,
        max_linger_s: float = 0.0,
    ) -> None:
        self.loop = loop
        self.failing = failing
        self.exchanges: list[Exchange] = []
        self._by_mark: defaultdict[str, list[Exchange]] = defaultdict(list)
        self.wires: list[InProcessWire] = []
        self.violations: list[str] = []
        self.is_closing_forced = False
        self.max_linger_s = max_linger_s
        self._max_latency_s = max_latency_s
        self._choose = choose
        self._router = Router(seed=loop.seed, log_capacity=100_000)

    @property
    def base_urls(self) -> Mapping[str, str]:
        """Where each service is found."""
        return self._router.base_urls(ORIGIN)

    def deal_faults(self, faults: FaultWish) -> None:
        """From now on, these faults of the catalogue strike what is not decided otherwise."""
        self._router.dealer = FaultDealer(faults)

    @property
    def unused(self) -> int:
        """How many answers were chosen and then not given, because the request was refused."""
        return len(self._router.script.unused)

    def open_wire(self, endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
        """A wire to one endpoint; what an adapter is given to open."""
        wire = InProcessWire(self, endpoint.base_url, credentials)
        self.wires.append(wire)
        return wire

    def exchanges_of(self, mark: str) -> list[Exchange]:
        """The exchanges of one who asks, or about one model where nobody has said who they are."""
        return self._by_mark[mark]

    def begin(self, wire: "InProcessWire", url: str, headers: Mapping[str, str], request: WireRequest) -> "Playback":
        """Takes a request in, decides its answer, and begins to play it."""
        path, _, query = url.removeprefix(ORIGIN).partition("?")
        service = path.split("/")[1]
        model = _model_of(path, request.body)
        mark = ASKING.get(model)
        asked = Asked(service, model, len(self.exchanges_of(mark)) + 1, mark)
        answer = self._choose(asked)
        chance = random.Random(f"wire/{self.loop.seed}/{mark}/{asked.number}")
        exchange = Exchange(asked, self.loop.time())
        self.exchanges.append(exchange)
        self._by_mark[mark].append(exchange)
        self.loop.note(f"wire {service} {mark} {asked.number}: {_name_of(answer)}")
        latency_s = chance.choice((0.0, chance.random() * self._max_latency_s))
        if isinstance(answer, Refused):
            return Playback(self, exchange, wire, None, chance, latency_s + answer.delay_s)
        if answer is not None:
            self._router.script.add(service, answer)
        body = orjson.dumps(request.body)
        plan = self._router.answer("POST", path, query=dict(parse_qsl(query)), headers=headers, body=body)
        return Playback(self, exchange, wire, plan, chance, latency_s)


class InProcessWire(Wire):
    """Speaks to one base URL."""

    def __init__(self, providers: InProcessProviders, base_url: str, credentials: Mapping[str, str]) -> None:
        self._providers = providers
        self._base_url = base_url
        self._headers = {"content-type": "application/json", **credentials}
        self.closing = asyncio.Event()
        self.closed = 0
        self.open_count = 0

    async def send(self, exchange: WireRequest) -> WireReply:
        playback = self._begin(exchange)
        try:
            await playback.head()
            return await playback.reply()
        finally:
            playback.close()

    async def stream(self, exchange: WireRequest) -> WireStream:
        playback = self._begin(exchange)
        try:
            await playback.head()
        except BaseException:
            playback.close()
            raise
        return InProcessStream(playback, exchange)

    async def aclose(self) -> None:
        if self.open_count and not self._providers.is_closing_forced:
            self._providers.violations.append(f"the wire to {self._base_url} was closed under an exchange")
        self.closed += 1
        self.closing.set()

    def _begin(self, exchange: WireRequest) -> "Playback":
        if self.closed:
            self._providers.violations.append(f"the closed wire to {self._base_url} was used")
            raise ServiceClosedError("The wire is closed.")
        headers = {**self._headers, **exchange.headers}
        return self._providers.begin(self, self._base_url + exchange.path, headers, exchange)


class InProcessStream(WireStream):
    """A streamed answer on an open exchange."""

    def __init__(self, playback: "Playback", request: WireRequest) -> None:
        self._playback = playback
        self._framing = request.framing
        self.status = playback.status
        self.headers: Mapping[str, str] = playback.headers

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        parser = parser_for(self._framing)
        while piece := await self._playback.piece():
            for event in parser.feed(piece):
                yield readable(event)
        for event in parser.finish():
            yield readable(event)

    async def reply(self) -> WireReply:
        return await self._playback.reply()

    async def drain(self) -> None:
        await self._playback.piece()

    async def aclose(self) -> None:
        self._playback.close()


class Playback:
    """Plays the answer to one exchange.

    A step has a time at which it arrives, whoever reads or not: a slow reader finds it waiting. When a connection
    breaks, what had arrived and was not read may be lost or not; the seed decides.
    """

    def __init__(
        self,
        providers: InProcessProviders,
        exchange: Exchange,
        wire: InProcessWire,
        plan: Plan | None,
        chance: random.Random,
        latency_s: float,
    ) -> None:
        self._providers = providers
        self._loop = providers.loop
        self._exchange = exchange
        self._wire = wire
        self._steps: deque[Step] | None = None if plan is None else deque(plan.steps)
        self._chance = chance
        self._at_s = self._loop.time() + latency_s
        self._linger_s = chance.random() * providers.max_linger_s
        self._loses_unread = chance.random() < 0.5
        self._bytes = b""
        self._missing: int | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}
        wire.open_count += 1

    async def head(self) -> None:
        """Waits for status and headers."""
        await self._providers.failing.passes("wire send", ConnectFailedError)
        if self._steps is None:
            await self._until(self._at_s)
            raise ConnectFailedError("The provider could not be reached.", cause="ClientConnectorError")
        while self._steps:
            step = self._steps.popleft()
            if isinstance(step, Status):
                self.status = step.code
            elif isinstance(step, Headers):
                await self._until(self._at_s)
                self.headers = {name.lower(): value for name, value in step.fields.items()}
                declared = self.headers.get("content-length")
                self._missing = None if declared is None else int(declared)
                return
            else:
                await self._play(step)
        raise AssertionError("an answer without headers")

    async def piece(self) -> bytes:
        """The next bytes, or none at the end. Raises `ConnectionLostError`."""
        await self._providers.failing.passes("wire read", ConnectionLostError)
        while not self._bytes:
            if not self._steps:
                await self._until(self._at_s + self._linger_s)
                if self._missing:
                    raise _lost("ClientPayloadError")
                return b""
            step = self._steps.popleft()
            if not isinstance(step, Chunk):
                await self._play(step)
                continue
            await self._until(self._at_s)
            self._bytes = step.data
            while self._steps and isinstance(self._steps[0], Chunk) and self._chance.random() < 0.3:
                self._bytes += self._steps.popleft().data  # type: ignore[union-attr]  # looked at the line before
        self._lose_unread()
        return await self._cut()

    async def reply(self) -> WireReply:
        """The whole body."""
        pieces: list[bytes] = []
        while piece := await self.piece():
            pieces.append(piece)
        body = b"".join(pieces)
        return reply_from(self.status, self.headers, body)

    def close(self) -> None:
        """Gives the connection up. Closing twice does nothing."""
        if self._exchange.is_open:
            self._exchange.closed_at_s = self._loop.time()
            self._wire.open_count -= 1

    async def _cut(self) -> bytes:
        """Some of the bytes that are there, all of them as often as not."""
        size = len(self._bytes) if self._chance.random() < 0.5 else self._chance.randint(1, len(self._bytes))
        piece, self._bytes = self._bytes[:size], self._bytes[size:]
        if self._missing is not None:
            self._missing -= size
        if self._chance.random() < 0.3:
            await self._until(self._loop.time())
        return piece

    def _lose_unread(self) -> None:
        breaks = self._steps and isinstance(self._steps[0], Close | Reset)
        if breaks and self._loses_unread and self._at_s < self._loop.time():
            raise _lost("ClientOSError")

    async def _play(self, step: Step) -> None:
        match step:
            case Sleep(delay_s):
                self._at_s += delay_s
            case Bytes():
                await self._until(self._at_s)
                raise ConfigurationError("What answers at the base URL does not speak HTTP.", sent=True)
            case Hang():
                await self._wire.closing.wait()
                raise _lost("ClientConnectionError")
            case Close():
                await self._until(self._at_s)
                raise _lost("ClientPayloadError" if self.status else "ServerDisconnectedError")
            case Reset():
                await self._until(self._at_s + RESET_DELAY_S)
                raise _lost("ClientOSError")
            case _:
                raise AssertionError(f"{step!r} does not belong here")

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(at_s - self._loop.time(), 0))
        if self._wire.closed:
            raise _lost("ClientConnectionError")


def _lost(cause: str) -> ConnectionLostError:
    return ConnectionLostError(ConnectionLostError.default_message, cause=cause)


def _model_of(path: str, body: Mapping[str, JsonValue]) -> str:
    model = body.get("model")
    return model if isinstance(model, str) else path.rpartition("/")[2].partition(":")[0]


def _name_of(answer: Reply | Fault | Refused | None) -> str:
    if isinstance(answer, Fault):
        return f"{answer.kind} {answer.status} after {answer.after_chunks}"
    return type(answer).__name__
