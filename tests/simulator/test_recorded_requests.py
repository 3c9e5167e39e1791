"""What the vendors accepted, the simulator accepts, and it answers with what was asked for."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dipeo.testing.simulator import ProviderSimulator

from .conftest import RawClient

pytestmark = pytest.mark.recordings

RECORDINGS = Path(
    os.environ.get("DIPEO_SHARED_DATA", str(Path(__file__).resolve().parents[2].parent / "shared")), "recordings"
)
SERVICES = ("openai", "anthropic", "google", "ollama", "xai", "groq", "mistral", "deepseek", "openrouter")
FILES = {"google": "gemini"}
# Requests that hold these were sealed, signed or remembered by the real vendor, who alone can check them.
SEALED = ('"encrypted_content"', '"signature"', '"thoughtSignature"', '"previous_response_id": "')
UNKNOWN_ENDPOINTS = {"ollama.generate"}


@cache
def exchanges(service: str) -> list[dict[str, Any]]:
    """What was recorded with a service and went well."""
    path = RECORDINGS / f"{FILES.get(service, service)}.jsonl"
    if not path.is_file():
        return []
    recorded = [json.loads(line) for line in path.read_text().splitlines()]
    return [exchange for exchange in recorded if exchange["response"]["status"] == 200]


def is_replayable(exchange: dict[str, Any]) -> bool:
    """Whether the request means the same here."""
    sent = json.dumps(exchange["request"].get("json"))
    return exchange["endpoint"] not in UNKNOWN_ENDPOINTS and not any(word in sent for word in SEALED)


@pytest.mark.parametrize("service", SERVICES)
async def test_recorded_requests_are_accepted(client: RawClient, simulator: ProviderSimulator, service: str) -> None:
    """Every request that the vendor answered is answered here: with a call where a call was forced."""
    recorded = exchanges(service)
    if not recorded:
        pytest.skip(f"no recordings of {service} in {RECORDINGS}")
    asked = [exchange for exchange in recorded if is_replayable(exchange)]
    assert len(asked) >= len(recorded) / 2
    for exchange in asked:
        request = exchange["request"]
        base = str(simulator.base_urls[service]).removesuffix("/v1")
        path = request["path"].removeprefix("/api/v1" if service == "openrouter" else "").removeprefix("/openai")
        path = path if path.startswith("/v1") or service == "ollama" else f"/v1{path}"
        path = path if not path.startswith("/v1/models/gemini") else path.replace("/v1/", "/v1beta/", 1)
        if service == "ollama" and path.startswith("/v1"):
            continue
        query = f"?{request['query']}" if request["query"] else ""
        headers = {
            "authorization": "Bearer k",
            "x-api-key": "k",
            "x-goog-api-key": "k",
            "anthropic-version": "2023-06-01",
        }
        async with client.session.request(
            request["method"], f"{base}{path}{query}", json=request.get("json"), headers=headers
        ) as response:
            body = await response.text()
        assert response.status == 200, (exchange["id"], body)
        if "tool_choice:required" in exchange["scenarios"] or "tool_choice:named" in exchange["scenarios"]:
            assert any(word in body for word in ("tool_calls", "tool_use", "functionCall", "function_call")) or (
                "input_tokens" in body
            ), exchange["id"]
