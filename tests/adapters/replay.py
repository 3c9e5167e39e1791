"""A wire that plays a recorded reply, cut into pieces of any size."""

from collections.abc import AsyncGenerator, Mapping

from dipeo.container.adapters import adapter_builders
from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.json_value import JsonValue
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Framing, Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires.framing import parser_for, reply_from

KEY = "sk-replayed-key-0123456789"


class ReplayWire(Wire):
    """Answers every exchange with one reply; `asked` holds what was sent."""

    def __init__(self, *, status: int, headers: Mapping[str, str], body: bytes, piece_bytes: int = 0) -> None:
        self.asked: list[WireRequest] = []
        self.is_closed = False
        self._status = status
        self._headers = headers
        self._body = body
        self._piece_bytes = piece_bytes or max(len(body), 1)

    async def send(self, exchange: WireRequest) -> WireReply:
        self.asked.append(exchange)
        return reply_from(self._status, self._headers, self._body)

    async def stream(self, exchange: WireRequest) -> WireStream:
        self.asked.append(exchange)
        pieces = [self._body[at : at + self._piece_bytes] for at in range(0, len(self._body), self._piece_bytes)]
        return _ReplayStream(self._status, self._headers, pieces, exchange.framing)

    async def aclose(self) -> None:
        self.is_closed = True


class _ReplayStream(WireStream):
    def __init__(self, status: int, headers: Mapping[str, str], pieces: list[bytes], framing: Framing) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces
        self._framing = framing

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        parser = parser_for(self._framing)
        for piece in self._pieces:
            for event in parser.feed(piece):
                yield event
        for event in parser.finish():
            yield event

    async def reply(self) -> WireReply:
        return reply_from(self.status, self.headers, b"".join(self._pieces))

    async def drain(self) -> None:
        """All pieces are here already."""

    async def aclose(self) -> None:
        """Nothing is open."""


def adapter_over(wire: Wire, service: LLMService) -> BaseLLMAdapter:
    """The real adapter of a service, over this wire."""
    endpoint = Endpoint(service=service, base_url="https://replayed.invalid", key=Secret(KEY))
    adapter = adapter_builders(lambda _endpoint, _credentials: wire)[service](endpoint)
    assert isinstance(adapter, BaseLLMAdapter)
    return adapter


def request_for(service: LLMService, model: str = "some-model", text: str = "Hello") -> CompletionRequest:
    """The plainest request there is."""
    return CompletionRequest(service=service, model=model, messages=(ChatMessage.from_text(Role.USER, text),))
