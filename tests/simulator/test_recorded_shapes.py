"""The simulator's replies have the shape of recorded ones."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dipeo.testing.simulator import ProviderSimulator, Reply

from .conftest import RawClient

pytestmark = pytest.mark.recordings

RECORDINGS = Path(
    os.environ.get("DIPEO_SHARED_DATA", str(Path(__file__).resolve().parents[2].parent / "shared")), "recordings"
)
FILES = {"google": "gemini"}
ENDPOINTS = {
    "anthropic": ("messages",),
    "google": ("generateContent", "streamGenerateContent"),
    "ollama": ("ollama.chat",),
}
# What the vendors send for things the simulator does not do.
UNRELATED = {"tool_call", "thinking_out", "citations", "server_tool", "image_in", "file_in", "error", "truncated"}
UNARY = ("openai", "anthropic", "google", "ollama", "groq", "mistral", "deepseek", "openrouter")
STREAMED = ("openai", "anthropic", "google", "ollama", "groq", "xai", "mistral", "deepseek", "openrouter")


@cache
def recordings(service: str) -> list[dict[str, Any]]:
    """The chat exchanges recorded with a service; skips the test where the folder is missing."""
    path = RECORDINGS / f"{FILES.get(service, service)}.jsonl"
    if not path.is_file():
        return []
    exchanges = [json.loads(line) for line in path.read_text().splitlines()]
    endpoints = ENDPOINTS.get(service, ("chat.completions",))
    return [exchange for exchange in exchanges if exchange["endpoint"] in endpoints]


def chosen(service: str, *, is_stream: bool, status: int = 200) -> list[dict[str, Any]]:
    """The recorded exchanges of one kind."""
    found = recordings(service)
    if not found:
        pytest.skip(f"no recordings of {service} in {RECORDINGS}; set DIPEO_SHARED_DATA to the folder that holds them")
    return [
        exchange for exchange in found if exchange["stream"] is is_stream and exchange["response"]["status"] == status
    ]


def key_paths(value: Any, prefix: str = "") -> set[str]:
    """Every key in a document with the way to it; the entries of an array share one way."""
    if isinstance(value, dict):
        paths = {f"{prefix}.{key}" for key in value}
        return paths.union(*(key_paths(inner, f"{prefix}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(key_paths(inner, f"{prefix}[]") for inner in value))
    return set()


def stream_documents(body: str) -> list[dict[str, Any]]:
    """The JSON documents of a stream in any framing."""
    if body.startswith("{"):
        return [json.loads(line) for line in body.splitlines()]
    lines = (line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: "))
    return [json.loads(line) for line in lines if line != "[DONE]"]


def document_paths(body: str, *, is_stream: bool) -> set[str]:
    """The key paths of a whole reply; the events of a stream are told apart by their type, if they have one."""
    if not is_stream:
        return key_paths(json.loads(body))
    documents = stream_documents(body)
    return set().union(*(key_paths(document, str(document.get("type", ""))) for document in documents))


@pytest.mark.parametrize(
    ("service", "is_stream"), [*((name, False) for name in UNARY), *((name, True) for name in STREAMED)]
)
async def test_reply_has_the_recorded_keys(
    client: RawClient, simulator: ProviderSimulator, service: str, *, is_stream: bool
) -> None:
    """What every recorded plain reply has is there, and nothing is that no recorded reply has."""
    recorded = chosen(service, is_stream=is_stream)
    plain = [exchange for exchange in recorded if not UNRELATED & set(exchange["scenarios"])]
    simulator.script(service, Reply("one two three"))
    options = {"stream_options": {"include_usage": True}} if is_stream and service in ("openai", "xai") else None
    reply = await client.read(service, is_stream=is_stream, changes=options)
    simulated = document_paths(reply.text, is_stream=is_stream)
    recorded_paths = [document_paths(exchange["response"]["body"], is_stream=is_stream) for exchange in recorded]
    assert simulated <= set().union(*recorded_paths) | ALSO_KNOWN.get(service, set())
    plain_paths = [document_paths(exchange["response"]["body"], is_stream=is_stream) for exchange in plain]
    if plain_paths:
        assert set.intersection(*plain_paths) <= simulated


# Keys the vendors document, though no exchange of this kind recorded them.
ALSO_KNOWN = {
    "mistral": {
        ".choices[].delta.content",
        ".usage.prompt_tokens_details",
        ".usage.prompt_tokens_details.cached_tokens",
    },
    "xai": {".usage.completion_tokens_details"}
    | {f".usage.completion_tokens_details.{name}" for name in ("reasoning_tokens", "audio_tokens")},
    "anthropic": {
        "message_delta.usage.output_tokens_details",
        "message_delta.usage.output_tokens_details.thinking_tokens",
    },
}


@pytest.mark.parametrize(
    ("service", "status", "options"),
    [
        ("openai", 400, {"messages": []}),
        ("openai", 401, {"key": "sk-wrong"}),
        ("anthropic", 400, {"messages": []}),
        ("anthropic", 401, {"key": "sk-wrong"}),
        ("anthropic", 404, {"model": "missing-model"}),
        ("google", 400, {"key": "wrong"}),
        ("google", 404, {"model": "missing-model"}),
        ("ollama", 404, {"model": "missing-model"}),
        ("mistral", 401, {"key": "sk-wrong"}),
    ],
)
async def test_refusal_has_the_recorded_keys(
    client: RawClient, service: str, status: int, options: dict[str, Any]
) -> None:
    """Error envelopes have the same keys, and the same fixed words where the vendor has some."""
    recorded = chosen(service, is_stream=False, status=status)
    reply = await client.read(service, **options)
    assert reply.status == status
    assert document_paths(reply.text, is_stream=False) in [
        document_paths(exchange["response"]["body"], is_stream=False) for exchange in recorded
    ]
    envelopes = [json.loads(exchange["response"]["body"]) for exchange in recorded]
    words = [fixed_words(envelope) for envelope in envelopes]
    assert fixed_words(reply.json) in words


def fixed_words(envelope: dict[str, Any]) -> tuple[Any, ...]:
    """The words of an error that programs look at."""
    error = envelope.get("error")
    if not isinstance(error, dict):
        return (type(error).__name__,)
    return error.get("type"), error.get("code"), error.get("status")


@pytest.mark.parametrize("service", ["openai", "anthropic", "google", "ollama"])
async def test_stream_is_framed_as_recorded(client: RawClient, service: str) -> None:
    """Line ends, blank lines, `event:` lines and the content type are those of the recordings."""
    body = chosen(service, is_stream=True)[0]["response"]["body"]
    reply = await client.read(service, is_stream=True)
    separators = ("\r\n\r\n", "\n\n", "event: ", "data: ", "data: [DONE]\n\n")
    for separator in separators:
        assert (separator in reply.text) == (separator in body), separator
    assert reply.text[-1] == body[-1] == "\n"
    types = {exchange["response"]["headers"].get("content-type") for exchange in chosen(service, is_stream=True)}
    assert reply.headers["content-type"] in types


@pytest.mark.parametrize(("service", "name"), [("openai", "x-request-id"), ("anthropic", "request-id")])
async def test_headers_are_the_recorded_ones(client: RawClient, service: str, name: str) -> None:
    """Request id and rate limits are under the vendor's own names."""
    recorded = chosen(service, is_stream=False)
    common = set.intersection(*(set(exchange["response"]["headers"]) for exchange in recorded))
    reply = await client.read(service)
    assert common <= set(reply.headers)
    assert reply.headers[name].startswith("req_")
