"""Recorded exchanges over real sockets: what the official clients make of them is what our own wire does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from attrs import evolve

from dipeo.container.adapters import adapter_builders
from dipeo.container.wires import ChosenWires
from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Framing, WireRequest
from dipeo.infrastructure.llm.listing.service import page_request
from dipeo.infrastructure.llm.wires.framing import parse_json
from tests.adapters.replay import KEY, request_for
from tests.recordings import Recording, insist_or_skip, recordings

CHATS = recordings("chat.completions", "messages", "generateContent", "streamGenerateContent", "ollama.chat")
RESPONSES = recordings("responses")
ERRANDS = recordings("embeddings", "batchEmbedContents", "ollama.embed", "count_tokens", "countTokens", "models")
WIRES = ("http", "sdk")
MODELS = {
    LLMService.OPENAI: "gpt-4o",
    LLMService.ANTHROPIC: "claude-sonnet-5-5",
    LLMService.GOOGLE: "gemini-3.5-flash",
    LLMService.OLLAMA: "llama3.2:3b",
}
PATHS = {
    "chat.completions": "/chat/completions",
    "responses": "/responses",
    "messages": "/v1/messages",
    "ollama.chat": "/api/chat",
}


def service_of(recording: Recording) -> LLMService:
    if recording.endpoint == "chat.completions" and recording.provider == "ollama":
        return LLMService.OPENAI_COMPATIBLE
    return LLMService.from_name({"gemini": "google"}.get(recording.provider, recording.provider))


class Recorded:
    """A server that gives one recorded answer, and keeps what it was asked."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.asked: list[object] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json() if request.can_read_body else None)
        headers = {name: value for name, value in self._recording.headers.items() if name.lower() in _KEPT}
        return web.Response(status=self._recording.status, body=self._recording.body, headers=headers)


_KEPT = frozenset({"content-type", "retry-after", "x-request-id", "request-id", "x-should-retry"})


@asynccontextmanager
async def adapter_over(recording: Recording, wire: str) -> AsyncIterator[tuple[BaseLLMAdapter, Recorded]]:
    """The real adapter over the real wire to a server that answers as recorded."""
    server = Recorded(recording)
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{rest:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service = service_of(recording)
    endpoint = Endpoint(service=service, base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", key=Secret(KEY))
    apis = {service: "responses" if recording.endpoint == "responses" else "chat"}
    adapter = adapter_builders(ChosenWires({service: wire}), apis=apis)[service](endpoint)
    assert isinstance(adapter, BaseLLMAdapter)
    try:
        yield adapter, server
    finally:
        await adapter.aclose()
        await runner.cleanup()


async def outcome_of(recording: Recording, wire: str) -> Completion | tuple[type[DipeoError], object, object]:
    """The completion, without what differs from call to call; or what the error says."""
    service = service_of(recording)
    request: CompletionRequest = request_for(service, MODELS.get(service, "some-model"))
    async with adapter_over(recording, wire) as (adapter, server):
        try:
            completion = await (adapter.stream(request).collect() if recording.is_stream else adapter.complete(request))
        except DipeoError as error:
            return type(error), error.status, error.provider_code
    assert len(server.asked) == 1, "the client asked again"
    return evolve(completion, latency_ms=0.0)


def test_the_recordings_are_there() -> None:
    """Every exchange of these endpoints takes part."""
    insist_or_skip()
    assert len(CHATS) == 88
    assert len(RESPONSES) == 20
    assert len(ERRANDS) == 7


@pytest.mark.parametrize("recording", [*CHATS, *RESPONSES], ids=str)
async def test_a_recorded_reply_says_the_same_over_both_wires(recording: Recording) -> None:
    """Text, reasoning, calls, usage and finish reason, or the error with its code, do not depend on the wire."""
    ours, theirs = [await outcome_of(recording, wire) for wire in WIRES]
    assert theirs == ours


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("recording", [*CHATS, *RESPONSES], ids=str)
async def test_a_recorded_request_arrives_as_it_is(recording: Recording, wire: str) -> None:
    """What was asked for then can be asked for over either wire, and no client adds to it or leaves anything out."""
    asked = recording.request["json"]
    if asked is None:
        pytest.skip("this request has no JSON body")
    path = PATHS.get(recording.endpoint) or "/v1beta/models/gemini-3.5-flash:" + recording.endpoint
    framing = Framing.NDJSON if recording.provider == "ollama" and recording.endpoint == "ollama.chat" else Framing.SSE
    exchange = WireRequest(path=path, body=asked, framing=framing)
    async with adapter_over(recording, wire) as (adapter, server):
        if recording.is_stream:
            upstream = await adapter.wire.stream(exchange)
            await upstream.aclose()
        else:
            await adapter.wire.send(exchange)
    assert server.asked == [asked]


@pytest.mark.parametrize("recording", ERRANDS, ids=str)
async def test_a_recorded_errand_is_the_same_over_both_wires(recording: Recording) -> None:
    """Embeddings, a list of models and counts are asked for as recorded, and come back to the last field."""
    method = recording.request["method"]
    # The base URL of OpenAI ends where the version does; a list is asked for in large pages.
    path = recording.request["path"].removeprefix("/v1" if recording.provider == "openai" else "")
    exchange = WireRequest(
        method=method,
        path=page_request(service_of(recording)).path if method == "GET" else path,
        body=recording.request["json"] or {},
    )
    for wire in WIRES:
        async with adapter_over(recording, wire) as (adapter, server):
            reply = await adapter.wire.send(exchange)
        assert (reply.status, reply.json) == (recording.status, parse_json(recording.body))
        assert server.asked == [recording.request["json"]]
