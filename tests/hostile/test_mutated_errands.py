"""Embeddings, lists of models and counts of tokens that no provider should send."""

import json
import random
from collections.abc import Mapping
from functools import partial
from typing import Final

import pytest

from dipeo import LLMService, Settings, errors
from dipeo.container.root import Container
from dipeo.facade import wired
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire
from dipeo.testing import FakeKeys
from tests.hostile.mutations import mutated_bytes, mutated_json
from tests.hostile.reading import KEY, MemoryWire, Received
from tests.hostile.verdict_of_reading import faults_of_error

ATTACKS = 250

ANSWERS: Final[Mapping[str, Mapping[str, object]]] = {
    "embeddings openai": {
        "object": "list",
        "model": "m",
        "data": [{"index": 0, "embedding": [0.1, 0.2]}, {"index": 1, "embedding": [0.3, 0.4]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    },
    "embeddings google": {"embeddings": [{"values": [0.1, 0.2]}, {"values": [0.3, 0.4]}]},
    "embeddings ollama": {"model": "m", "embeddings": [[0.1, 0.2], [0.3, 0.4]], "prompt_eval_count": 3},
    "list openai": {"object": "list", "data": [{"id": "gpt-5.4", "created": 1_700_000_000, "owned_by": "x"}]},
    "list anthropic": {
        "data": [{"type": "model", "id": "claude", "created_at": "2026-01-01T00:00:00Z", "max_input_tokens": 5}],
        "has_more": False,
        "last_id": "claude",
    },
    "list google": {"models": [{"name": "models/gemini", "inputTokenLimit": 5, "outputTokenLimit": 6}]},
    "list ollama": {"models": [{"name": "q", "model": "q", "details": {"family": "q", "parameter_size": "8B"}}]},
    "list openrouter": {
        "data": [{"id": "a/b", "created": 1_700_000_000, "context_length": 5, "pricing": {"prompt": "0.1"}}]
    },
    "count anthropic": {"input_tokens": 5},
    "count google": {"totalTokens": 5},
    "count openai": {"object": "response.input_tokens", "input_tokens": 5},
}


async def ask(container: Container, errand: str, service: str) -> object:
    """Runs the errand."""
    if errand == "embeddings":
        return await container.embeddings().embed(["one", "two"], "some-model", service=service, max_attempts=1)
    if errand == "list":
        return await container.model_lists().list_models(service)
    models = {"anthropic": "claude-sonnet-4-5", "google": "gemini-2.5-flash", "openai": "gpt-5.4-mini"}
    question = [{"role": "user", "content": "x"}]
    return await container.prompt_sizes().count_prompt(question, models[service], service=service)


@pytest.mark.parametrize("named", ANSWERS)
async def test_a_mutated_answer_to_an_errand_ends_as_one_or_as_our_error(named: str) -> None:
    """Seeded mutations of the values and the bytes."""
    errand, service = named.split()
    whole = json.dumps(ANSWERS[named]).encode()
    endings = set()
    for seed in range(ATTACKS):
        chance = random.Random(f"{named} {seed}")
        body = whole if seed == 0 else chance.choice((mutated_json, mutated_json, mutated_bytes))(whole, chance)
        wire = MemoryWire()
        wire.received = Received([body], headers={"content-type": "application/json"})
        # Nothing is remembered from one answer to the next.
        container = wired(
            Settings(max_attempts=1),
            open_wire=partial(_same, wire),
            keys=FakeKeys(dict.fromkeys(LLMService, KEY)),
        )
        failure: errors.DipeoError | None = None
        try:
            endings.add(type(await ask(container, errand, service)).__name__)
        except errors.DipeoError as error:
            failure = error
        if failure is not None:
            endings.add(type(failure).__name__)
            assert not faults_of_error(failure), f"seed {seed}: {failure!r}"
    assert len(endings) > 1


def _same(wire: Wire, _endpoint: Endpoint, _credentials: Mapping[str, str]) -> Wire:
    return wire
