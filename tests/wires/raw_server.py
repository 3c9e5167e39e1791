"""A server that sends given bytes, whatever they are, and every wire to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from attrs import define, field

from dipeo.container.wires import ChosenWires
from dipeo.domain.json_value import JsonObject
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Framing, Wire, WireRequest

KEY = "sk-canary-4711-do-not-show"
WIRES = tuple(os.environ.get("DIPEO_TEST_WIRES", "http openai anthropic google ollama").split())
"""Our own wire, and that of each official client. Google's former one, `google_legacy`, is where those are not."""

SERVICES: Mapping[str, LLMService] = {
    "http": LLMService.OPENAI,
    "openai": LLMService.OPENAI,
    "anthropic": LLMService.ANTHROPIC,
    "google": LLMService.GOOGLE,
    "google_legacy": LLMService.GOOGLE,
    "ollama": LLMService.OLLAMA,
}
WORDS = {"http": "http", "google_legacy": "legacy_sdk"}
"""What chooses the wires that `sdk` does not."""

BODY = b'{"model":"m","message":{"role":"assistant","content":"hi"},"candidates":[],"done":true}'
"""An answer that every client can read."""

_GOOGLE: tuple[str, str, JsonObject] = (
    "/v1beta/models/m:generateContent",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
    {"contents": []},
)
_ASKED: Mapping[str, tuple[str, str, JsonObject]] = {
    "http": ("/answer", "/answer", {"model": "m"}),
    "openai": ("/chat/completions", "/chat/completions", {"model": "m", "messages": []}),
    "anthropic": ("/v1/messages", "/v1/messages", {"model": "m", "messages": []}),
    "google": _GOOGLE,
    "google_legacy": _GOOGLE,
    "ollama": ("/api/chat", "/api/chat", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
}


def exchange_for(wire: str, *, is_stream: bool = False) -> WireRequest:
    """A request that this wire can send."""
    whole, streamed, body = _ASKED[wire]
    framing = Framing.NDJSON if wire == "ollama" else Framing.SSE
    return WireRequest(path=streamed if is_stream else whole, body=body, framing=framing)


def open_wire(name: str, base_url: str, *, key: str | None = KEY) -> Wire:
    """One of the wires to an address."""
    service = SERVICES[name]
    endpoint = Endpoint(service=service, base_url=base_url, key=Secret(key) if key else None)
    return ChosenWires({service: WORDS.get(name, "sdk")})(endpoint, endpoint.bearer())


def answer_with(body: bytes, *, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """A plain answer of HTTP/1.1."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + headers + b"\r\n" + body


@define
class RawServer:
    """Sends its answer to every request, then closes the connection unless it is told to keep it."""

    answer: bytes
    is_kept: bool = False
    url: str = ""
    seen: list[bytes] = field(factory=list)
    sent: int = 0
    closed: asyncio.Event = field(factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                (int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:")), 0
            )
            self.seen.append(head + await reader.readexactly(size))
            for start in range(0, len(self.answer), 65536):
                writer.write(self.answer[start : start + 65536])
                await writer.drain()
                self.sent = min(start + 65536, len(self.answer))
            if self.is_kept:
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.closed.set()

    async def hang_up(self) -> None:
        """Returns once the connection is closed on both sides: another request is then made on a new one."""
        await self.closed.wait()
        self.closed.clear()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def raw_server(answer: bytes = b"", *, is_kept: bool = False) -> AsyncIterator[RawServer]:
    """A listening server."""
    serving = RawServer(answer, is_kept=is_kept)
    server = await asyncio.start_server(serving.serve, "127.0.0.1", 0)
    serving.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield serving
    finally:
        server.close()


@asynccontextmanager
async def wire_to(name: str, answer: bytes, *, is_kept: bool = False) -> AsyncIterator[tuple[Wire, RawServer]]:
    """A wire to a server that sends these bytes."""
    async with raw_server(answer, is_kept=is_kept) as server:
        wire = open_wire(name, server.url)
        try:
            yield wire, server
        finally:
            await wire.aclose()
            if is_kept:
                # A connection that was closed in a thread shows to the server a moment later.
                await asyncio.sleep(0.01)
