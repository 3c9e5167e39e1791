"""A running simulator, and a plain HTTP client that asks it in every dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import attrs
import pytest

from dipeo.testing.simulator import ProviderSimulator

OPENAI_LIKE = ("openai", "xai", "groq", "mistral", "deepseek", "openrouter", "openai_compatible")
QUESTION = "What should we plant in the garden this spring?"


@attrs.frozen(slots=True)
class RawReply:
    """A reply as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@attrs.frozen(slots=True)
class RawClient:
    """Asks a simulator with nothing but HTTP."""

    simulator: ProviderSimulator
    session: aiohttp.ClientSession

    def request_parts(
        self, service: str, messages: Sequence[tuple[str, str]], model: str, key: str, *, is_stream: bool
    ) -> tuple[str, dict[str, Any], dict[str, str]]:
        """URL, body and headers of a request, in the service's dialect."""
        base = self.simulator.base_urls[service]
        chat = [{"role": role, "content": text} for role, text in messages]
        if service == "anthropic":
            body = {"model": model, "max_tokens": 400, "messages": chat, "stream": is_stream}
            return f"{base}/v1/messages", body, {"x-api-key": key, "anthropic-version": "2023-06-01"}
        if service == "google":
            method = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
            contents = [{"role": role, "parts": [{"text": text}]} for role, text in messages]
            return f"{base}/v1beta/models/{model}:{method}", {"contents": contents}, {"x-goog-api-key": key}
        if service == "ollama":
            return f"{base}/api/chat", {"model": model, "messages": chat, "stream": is_stream}, {}
        body = {"model": model, "messages": chat, "stream": is_stream}
        return f"{base}/chat/completions", body, {"authorization": f"Bearer {key}"}

    def ask(
        self,
        service: str,
        *,
        is_stream: bool = False,
        messages: Sequence[tuple[str, str]] = (("user", QUESTION),),
        model: str = "model-1",
        key: str = "sk-good-key",
        changes: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> aiohttp.client._RequestContextManager:
        """Send one request; `changes` and `headers` are laid over the usual ones, None takes away."""
        url, body, usual = self.request_parts(service, messages, model, key, is_stream=is_stream)
        body = {name: value for name, value in {**body, **(changes or {})}.items() if value is not None}
        sent = {name: value for name, value in {**usual, **(headers or {})}.items() if value}
        return self.session.post(url, json=body, headers=sent)

    async def read(self, service: str, **options: Any) -> RawReply:
        """Send one request and read all of the reply."""
        async with self.ask(service, **options) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return RawReply(response.status, headers, await response.read())


@pytest.fixture
async def simulator() -> AsyncIterator[ProviderSimulator]:
    """A running simulator."""
    async with ProviderSimulator(seed=7) as running:
        yield running


@pytest.fixture
async def client(simulator: ProviderSimulator) -> AsyncIterator[RawClient]:
    """A plain HTTP client of the running simulator."""
    async with aiohttp.ClientSession() as session:
        yield RawClient(simulator, session)
