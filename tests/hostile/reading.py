"""Reads an answer through the real adapter and the real framing, from bytes in memory: no socket, no waiting."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from dipeo.config import CHAT, RESPONSES
from dipeo.container.adapters import adapter_builders
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.errors import ConnectionLostError, DipeoError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, TextDelta
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.factory import Adapter
from dipeo.infrastructure.llm.drivers.wire import Framing, Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires.framing import parser_for, reply_from
from tests.hostile.specimens import Specimen

KEY: Final = "sk-canary+/=hostile-0123456789"
"""What the endpoint's key is; it must turn up nowhere."""


@define
class Received:
    """What the wire gives next: bytes in pieces, and at their end either a clean close or a lost connection."""

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    is_broken: bool = False


@frozen
class Outcome:
    """How the reading of one answer ended, and the text that was handed out until then."""

    completion: Completion | None = None
    error: DipeoError | None = None
    text: str = ""


class MemoryWire(Wire):
    """Answers with what `received` holds at the time."""

    def __init__(self) -> None:
        self.received = Received()

    async def send(self, exchange: WireRequest) -> WireReply:
        return _reply(self.received)

    async def stream(self, exchange: WireRequest) -> WireStream:
        return _MemoryStream(self.received, exchange.framing)

    async def aclose(self) -> None:
        """Nothing is open."""


class _MemoryStream(WireStream):
    def __init__(self, received: Received, framing: Framing) -> None:
        self._received = received
        self._framing = framing
        self.status = received.status
        self.headers = received.headers

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        parser = parser_for(self._framing)
        for piece in self._received.pieces:
            for event in parser.feed(piece):
                yield event
        if self._received.is_broken:
            raise ConnectionLostError()
        for event in parser.finish():
            yield event

    async def reply(self) -> WireReply:
        return _reply(self._received)

    async def drain(self) -> None:
        """All that came is here."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _reply(received: Received) -> WireReply:
    if received.is_broken:
        raise ConnectionLostError()
    body = b"".join(received.pieces)
    return reply_from(received.status, received.headers, body)


class Reader:
    """Adapters over one wire in memory, made once and used for answer after answer."""

    def __init__(self) -> None:
        self._wire = MemoryWire()
        self._adapters: dict[tuple[LLMService, bool], Adapter] = {}

    async def stream(self, specimen: Specimen, received: Received) -> Outcome:
        """Reads a stream to whatever end it has."""
        self._wire.received = received
        text: list[str] = []
        completion = None
        try:
            async with self._adapter(specimen).stream(request_for(specimen)) as stream:
                async for event in stream.events:
                    # Nothing may come after the end; the last event is what counts.
                    completion = event.completion if isinstance(event, CompletionEnd) else None
                    if isinstance(event, TextDelta):
                        text.append(event.text)
        except DipeoError as error:
            return Outcome(error=error, text="".join(text))
        return Outcome(completion=completion, text="".join(text))

    async def complete(self, specimen: Specimen, received: Received) -> Outcome:
        """Reads a unary answer."""
        self._wire.received = received
        try:
            completion = await self._adapter(specimen).complete(request_for(specimen))
        except DipeoError as error:
            return Outcome(error=error)
        return Outcome(completion=completion)

    def _adapter(self, specimen: Specimen) -> Adapter:
        named = (specimen.service, specimen.is_by_responses)
        if named not in self._adapters:
            endpoint = Endpoint(service=specimen.service, base_url="https://memory.invalid", key=Secret(KEY))
            apis = {LLMService.OPENAI: RESPONSES if specimen.is_by_responses else CHAT}
            builders = adapter_builders(lambda _endpoint, _credentials: self._wire, apis=apis)
            self._adapters[named] = builders[specimen.service](endpoint)
        return self._adapters[named]


def request_for(specimen: Specimen) -> CompletionRequest:
    """The plainest request there is."""
    messages = (ChatMessage.from_text(Role.USER, "Hello"),)
    return CompletionRequest(service=specimen.service, model="gpt-5.4-mini", messages=messages)


def headers_of(specimen: Specimen) -> Mapping[str, str]:
    """The headers that go with such an answer."""
    return {"content-type": specimen.media_type, "x-request-id": "req_1", "request-id": "req_1"}
