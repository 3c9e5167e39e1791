"""Embeddings, lists of models and counts of tokens: the same over dipeo's own wire and over the official clients."""

import traceback
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from attrs import evolve

from dipeo import LLMService, Settings, errors
from dipeo.container.root import Container
from dipeo.container.wires import ChosenWires
from dipeo.domain.secret import Secret
from dipeo.domain.tools import ResponseSchema, ToolSpec
from dipeo.facade import wired
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.listing.service import page_request
from dipeo.testing import FakeLedger, ProviderSimulator
from dipeo.testing.simulator.request_log import SimulatedRequest
from tests.end_to_end.conftest import ENVIRON, KEY
from tests.wires.raw_server import answer_with, raw_server

WIRES = ("http", "sdk")
EMBEDDERS = {
    LLMService.OPENAI: "text-embedding-3-small",
    LLMService.GOOGLE: "gemini-embedding-001",
    LLMService.OLLAMA: "nomic-embed-text",
    LLMService.MISTRAL: "mistral-embed",
}
COUNTERS = {
    LLMService.OPENAI: "gpt-5.4-mini",
    LLMService.ANTHROPIC: "claude-sonnet-5-5",
    LLMService.GOOGLE: "gemini-3.5-flash",
}
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the weather in Rome?"}]
WEATHER = ToolSpec(
    name="weather",
    description="What the weather is like in a town.",
    parameters={
        "type": "object",
        "properties": {"town": {"type": "string"}},
        "required": ["town"],
        "additionalProperties": False,
    },
)
SHAPE = ResponseSchema(
    name="forecast",
    schema={
        "type": "object",
        "properties": {"rains": {"type": "boolean"}},
        "required": ["rains"],
        "additionalProperties": False,
    },
)
PATHS: Mapping[str, Mapping[LLMService, str]] = {
    "embeddings": {
        LLMService.OPENAI: "/embeddings",
        LLMService.GOOGLE: "/v1beta/models/m:batchEmbedContents",
        LLMService.OLLAMA: "/api/embed",
    },
    "lists": {
        LLMService.OPENAI: "/models",
        LLMService.ANTHROPIC: "/v1/models?limit=1000",
        LLMService.GOOGLE: "/v1beta/models?pageSize=1000",
        LLMService.OLLAMA: "/api/tags",
    },
    "counts": {
        LLMService.OPENAI: "/responses/input_tokens",
        LLMService.ANTHROPIC: "/v1/messages/count_tokens",
        LLMService.GOOGLE: "/v1beta/models/m:countTokens",
    },
}
EXCHANGES = [
    pytest.param(service, WireRequest(method="GET" if kind == "lists" else "POST", path=path, body={}), id=path)
    for kind, paths in PATHS.items()
    for service, path in paths.items()
]

each_wire = pytest.mark.parametrize("wire", WIRES)


@asynccontextmanager
async def container_for(
    simulator: ProviderSimulator, wire: str, *, key: str = KEY, ledger: FakeLedger | None = None
) -> AsyncIterator[Container]:
    """All parts, over this wire."""
    settings = Settings(
        base_urls=simulator.base_urls, environ=dict.fromkeys(ENVIRON, key) | {"OLLAMA_API_KEY": key}, wires=wire
    )
    container = wired(settings, ledger=ledger or FakeLedger())
    try:
        yield container
    finally:
        await container.pool().aclose()


def as_asked(request: SimulatedRequest) -> tuple[object, ...]:
    """What a request asks, and whether it has the key."""
    return request.method, request.path, request.query, request.body, request.credential_fingerprint


@pytest.mark.parametrize("service", EMBEDDERS, ids=str)
async def test_vectors_are_the_same_over_every_wire(service: LLMService, simulator: ProviderSimulator) -> None:
    """So are the request and the usage; each batch is recorded."""
    found = []
    for wire in WIRES:
        ledger = FakeLedger()
        async with container_for(simulator, wire, ledger=ledger) as container:
            result = await container.embeddings().embed(
                ["Comets are ice and dust.", "Rain begins as vapour."], EMBEDDERS[service], service=service
            )
        assert [attempt.verdict for attempt in ledger.recorded] == [None]
        found.append(evolve(result, latency_ms=0.0, attempts=()))
    assert found[0] == found[1]
    assert len(found[0].vectors) == 2
    ours, theirs = map(as_asked, simulator.requests)
    assert theirs == ours


async def test_options_of_an_embedding_reach_the_provider_over_every_wire(simulator: ProviderSimulator) -> None:
    """Shorter vectors and what one provider alone knows are sent as they are, whether a client has a field or not."""
    options: Mapping[LLMService, Mapping[str, object]] = {
        LLMService.GOOGLE: {"taskType": "RETRIEVAL_QUERY"},
        LLMService.OLLAMA: {"truncate": True, "options": {"num_ctx": 512, "no_such_field": 1}},
    }
    for service, extra in options.items():
        for wire in WIRES:
            async with container_for(simulator, wire) as container:
                result = await container.embeddings().embed(
                    ["one"],
                    EMBEDDERS[service],
                    service=service,
                    dimensions=16,
                    provider_options=extra,
                )
            assert result.dimensions == 16
    first, second, third, fourth = map(as_asked, simulator.requests)
    assert (second, fourth) == (first, third)
    assert "RETRIEVAL_QUERY" in str(first)
    assert "no_such_field" in str(third)


@pytest.mark.parametrize("service", LLMService, ids=str)
async def test_models_are_listed_alike_over_every_wire(service: LLMService, simulator: ProviderSimulator) -> None:
    """Names and what the service says of them."""
    lists = []
    for wire in WIRES:
        async with container_for(simulator, wire) as container:
            lists.append(await container.model_lists().list_models(service))
    assert lists[0]
    assert lists[0] == lists[1]
    ours, theirs = map(as_asked, simulator.requests)
    assert theirs == ours


@each_wire
@pytest.mark.parametrize("service", [LLMService.ANTHROPIC, LLMService.GOOGLE], ids=str)
async def test_further_pages_are_asked_for_over_every_wire(
    service: LLMService, wire: str, simulator: ProviderSimulator
) -> None:
    """The word that stands for a page arrives as the service gave it, whatever signs are in it."""
    endpoint = Endpoint(service=service, base_url=simulator.base_urls[service.value], key=Secret(KEY))
    header = "x-api-key" if service is LLMService.ANTHROPIC else "x-goog-api-key"
    opened = ChosenWires({service: wire})(endpoint, {header: KEY})
    try:
        reply = await opened.send(page_request(service, "a b/c=&d+é"))
    finally:
        await opened.aclose()
    assert reply.status == 200
    (asked,) = simulator.requests
    assert set(asked.query.values()) == {"1000", "a b/c=&d+é"}


@pytest.mark.parametrize("service", COUNTERS, ids=str)
async def test_tokens_are_counted_alike_over_every_wire(service: LLMService, simulator: ProviderSimulator) -> None:
    """Tools and the shape of the answer count; nothing is recorded, and the request does not depend on the wire."""
    counts: list[Sequence[int]] = []
    for wire in WIRES:
        ledger = FakeLedger()
        async with container_for(simulator, wire, ledger=ledger) as container:
            sizes = container.prompt_sizes()
            plain = await sizes.count_prompt(QUESTION, COUNTERS[service], max_tokens=9)
            tools = await sizes.count_prompt(QUESTION, COUNTERS[service], tools=[WEATHER], reasoning_effort="low")
            shape = await sizes.count_prompt(QUESTION, COUNTERS[service], response_schema=SHAPE)
        counts.append((plain, tools, shape))
        assert ledger.recorded == []
    assert counts[0] == counts[1]
    plain, tools, shape = counts[0]
    assert 0 < plain < min(tools, shape)
    ours, theirs = simulator.requests[:3], simulator.requests[3:]
    assert [as_asked(request) for request in theirs] == [as_asked(request) for request in ours]
    assert {request.status for request in simulator.requests} == {200}


@each_wire
@pytest.mark.parametrize("service", [*EMBEDDERS, LLMService.ANTHROPIC], ids=str)
async def test_a_refused_key_is_told_alike_over_every_wire(
    service: LLMService, wire: str, simulator: ProviderSimulator
) -> None:
    """For every errand, the error is ours and holds no key."""
    key = "sk-wrong-canary"
    async with container_for(simulator, wire, key=key) as container:
        asked: list[Coroutine[None, None, object]] = [container.model_lists().list_models(service)]
        if service in EMBEDDERS:
            asked.append(container.embeddings().embed(["x"], EMBEDDERS[service], service=service))
        if service in COUNTERS:
            asked.append(container.prompt_sizes().count_prompt(QUESTION, COUNTERS[service]))
        for errand in asked:
            with pytest.raises(errors.APIKeyRefusedError) as caught:
                await errand
            assert key not in "".join(traceback.format_exception(caught.value))
    assert len(simulator.requests) == len(asked)


@each_wire
async def test_an_unknown_model_is_told_alike_over_every_wire(wire: str, simulator: ProviderSimulator) -> None:
    """Embeddings and counts name it."""
    async with container_for(simulator, wire) as container:
        for service in EMBEDDERS:
            with pytest.raises(errors.ModelNotFoundError) as caught:
                await container.embeddings().embed(["x"], "missing-model", service=service)
            assert caught.value.model == "missing-model"
        for service in COUNTERS:
            with pytest.raises(errors.ModelNotFoundError) as caught:
                await container.prompt_sizes().count_prompt(QUESTION, "missing-model", service=service)
            assert caught.value.model == "missing-model"


@each_wire
@pytest.mark.parametrize(("service", "exchange"), EXCHANGES)
async def test_broken_answers_to_errands_are_told_alike_over_every_wire(
    service: LLMService, exchange: WireRequest, wire: str
) -> None:
    """A refusal keeps its status, headers and body, a web page is no JSON, a lost connection is one."""
    async with raw_server() as server:
        endpoint = Endpoint(service=service, base_url=server.url, key=Secret(KEY))
        opened = ChosenWires({service: wire})(endpoint, {"Authorization": f"Bearer {KEY}"})
        try:
            server.answer = answer_with(b'{"error":"busy"}', status="503 Busy", headers=b"Retry-After: 7\r\n")
            reply = await opened.send(exchange)
            assert (reply.status, reply.headers["retry-after"], reply.json) == (503, "7", {"error": "busy"})
            await server.hang_up()
            server.answer = answer_with(b"<html>no</html>")
            reply = await opened.send(exchange)
            assert (reply.status, reply.json, reply.sample) == (200, None, "<html>no</html>")
            await server.hang_up()
            server.answer = b""
            with pytest.raises(errors.ConnectionLostError):
                await opened.send(exchange)
        finally:
            await opened.aclose()
        # aiohttp itself asks once more for what only reads, where it lost the connection.
        assert len(server.seen) == (4 if (wire, exchange.method) == ("http", "GET") else 3)
        assert all(request.startswith(f"{exchange.method} {exchange.path} ".encode()) for request in server.seen)


@pytest.mark.parametrize(
    ("service", "path"),
    [(LLMService.GOOGLE, "/v1beta/models/m:embedContent"), (LLMService.OLLAMA, "/api/generate")],
    ids=str,
)
async def test_what_a_client_has_no_method_for_is_a_setting_to_mend(
    service: LLMService, path: str, simulator: ProviderSimulator
) -> None:
    """The error names the path and the wire that can, and nothing is sent."""
    endpoint = Endpoint(service=service, base_url=simulator.base_urls[service.value], key=Secret(KEY))
    opened = ChosenWires({service: "sdk"})(endpoint, {})
    for method in ("POST", "GET"):
        with pytest.raises(errors.ConfigurationError, match=path) as caught:
            await opened.send(WireRequest(method=method, path=path, body={}))
        assert "'http'" in (caught.value.suggestion or "")
    await opened.aclose()
    assert not simulator.requests


@each_wire
async def test_ollama_counts_over_no_wire(wire: str, simulator: ProviderSimulator) -> None:
    """The error says who counts and what there is instead; nothing is sent."""
    async with container_for(simulator, wire) as container:
        for model in ("qwen3:8b", "grok-4.3"):
            with pytest.raises(errors.UnsupportedParameterError, match="offers no counting") as caught:
                await container.prompt_sizes().count_prompt(QUESTION, model)
            assert "anthropic, google, openai count" in (caught.value.suggestion or "")
    assert not simulator.requests


@each_wire
async def test_what_is_not_input_does_not_hinder_counting(wire: str, simulator: ProviderSimulator) -> None:
    """Stop words, which chat completions take and responses do not, are no input: strictness has nothing to refuse."""
    async with container_for(simulator, wire) as container:
        count = await container.prompt_sizes().count_prompt(
            QUESTION, "gpt-4.1-mini", stop=["END"], seed=7, temperature=0.5, prompt_cache="long", strict=True
        )
    assert count > 0
    (asked,) = simulator.requests
    assert asked.path == "/v1/responses/input_tokens"
    assert isinstance(asked.body, dict)
    assert set(asked.body) == {"model", "input"}


async def test_a_model_of_chat_completions_alone_is_not_counted(simulator: ProviderSimulator) -> None:
    """OpenAI counts requests over responses: a model that has none is refused by name before anything is sent."""
    async with container_for(simulator, "http") as container:
        with pytest.raises(errors.UnsupportedParameterError, match="chat completions alone") as caught:
            await container.prompt_sizes().count_prompt(QUESTION, "gpt-4o-search-preview")
    assert (caught.value.field, caught.value.model, caught.value.provider) == (
        "model",
        "gpt-4o-search-preview",
        "openai",
    )
    assert not simulator.requests
