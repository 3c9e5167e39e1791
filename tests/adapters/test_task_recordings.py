"""Recorded exchanges that are no completions: embedding, listing models, counting tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest

from dipeo.domain.catalog import UNKNOWN, Modality
from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.errors import DipeoError, ModelNotFoundError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream
from dipeo.infrastructure.llm.counting.dialects import counting_dialect_of
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingBatch
from dipeo.infrastructure.llm.embeddings.model import EmbeddedBatch, EmbeddingModel, EmbeddingRequest
from dipeo.infrastructure.llm.listing.reading import next_page, read_models
from dipeo.infrastructure.llm.listing.service import page_request
from tests.adapters.replay import ReplayWire, adapter_over
from tests.recordings import Recording, insist_or_skip, recordings

pytestmark = pytest.mark.recordings

EMBEDDINGS = recordings("embeddings", "batchEmbedContents", "ollama.embed")
SERVICES = {
    "openai": LLMService.OPENAI,
    "gemini": LLMService.GOOGLE,
    "ollama": LLMService.OLLAMA,
    "anthropic": LLMService.ANTHROPIC,
}


@pytest.fixture(autouse=True)
def _recordings_are_there() -> None:
    insist_or_skip()


class OneAdapter(ChatModelPort):
    """A pool of one adapter, over a wire that plays a recording."""

    def __init__(self, recording: Recording) -> None:
        self.wire = ReplayWire(status=recording.status, headers=recording.headers, body=recording.body)
        self._adapter = adapter_over(self.wire, SERVICES[recording.provider])

    @asynccontextmanager
    async def lent(self, request: CompletionRequest) -> Any:
        yield self._adapter

    async def complete(self, request: CompletionRequest) -> Any:
        raise NotImplementedError

    def stream(self, request: CompletionRequest) -> CompletionStream:
        raise NotImplementedError


def batch_in(body: dict[str, Any]) -> EmbeddingBatch:
    """The recorded request as dipeo's own values; what dipeo has no word for is an option of the provider."""
    if "requests" in body:
        first = body["requests"][0]
        texts = tuple(each["content"]["parts"][0]["text"] for each in body["requests"])
        return EmbeddingBatch(
            model=first["model"].removeprefix("models/"), texts=texts, dimensions=first.get("outputDimensionality")
        )
    texts = (body["input"],) if isinstance(body["input"], str) else tuple(body["input"])
    known = {"model", "input", "encoding_format", "dimensions"}
    return EmbeddingBatch(
        model=body["model"],
        texts=texts,
        dimensions=body.get("dimensions"),
        provider_options={name: value for name, value in body.items() if name not in known},
    )


def normalised(exchange: WireRequest | dict[str, Any]) -> dict[str, JsonValue]:
    """The body without what says the same in two ways."""
    body: dict[str, Any] = dict(exchange.body if isinstance(exchange, WireRequest) else exchange)
    if isinstance(body.get("input"), str):
        body["input"] = [body["input"]]  # one text alone stands for a list of one
    body.pop("encoding_format", None)  # how the same numbers are written down in the answer
    body.pop("truncate", None)  # dipeo asks Ollama to refuse what is too long; left out, it is cut in silence
    return body


async def embedded(recording: Recording) -> tuple[EmbeddedBatch, WireRequest]:
    """What the recorded answer is read as, and what was sent for it."""
    pool = OneAdapter(recording)
    batch = batch_in(recording.request["json"])
    request = EmbeddingRequest(
        service=SERVICES[recording.provider],
        model=batch.model,
        messages=(ChatMessage(Role.USER, ()),),
        batch=batch,
    )
    answer = await EmbeddingModel(pool).complete(request)
    assert isinstance(answer, EmbeddedBatch)
    return answer, pool.wire.asked[0]


def test_no_recording_is_left_out() -> None:
    """There are four recordings of embeddings, two of counts and one list of models."""
    assert len(EMBEDDINGS) == 4
    assert len(recordings("count_tokens", "countTokens")) == 2
    assert len(recordings("models")) == 1


@pytest.mark.parametrize("recording", [each for each in EMBEDDINGS if "error" not in each.scenarios], ids=str)
async def test_recorded_vectors_are_read(recording: Recording) -> None:
    """As many numbers as were recorded come out, and the same thing is asked for."""
    answer, sent = await embedded(recording)
    # The length of a base64 text is recorded where the numbers came as one.
    lengths = [length * 3 // 16 if length == 8192 else length for length in recording.expected["vectors"]]
    assert [len(vector) for vector in answer.vectors] == lengths
    assert answer.usage.is_reported is ("input_tokens" in recording.expected)
    assert answer.usage.input_tokens == recording.expected.get("input_tokens", 0)
    # The base URL of a service ends where its version does, but for Google and Ollama.
    assert recording.request["path"].removeprefix("/v1/") in (sent.path.removeprefix("/"), sent.path)
    assert normalised(sent) == normalised(recording.request["json"])


@pytest.mark.parametrize("recording", [each for each in EMBEDDINGS if "error" in each.scenarios], ids=str)
async def test_recorded_refusals_are_translated(recording: Recording) -> None:
    """A model that does not exist is told as when it should have completed."""
    with pytest.raises(ModelNotFoundError) as caught:
        await embedded(recording)
    error: DipeoError = caught.value
    assert (error.status, error.provider_code, error.provider) == (404, "model_not_found", "openai")
    assert error.model == "non-existent-embedding-model"


def test_recorded_list_of_models_is_read() -> None:
    """All of Anthropic's models come out, with their sizes and what they take."""
    (recording,) = recordings("models")
    body = _json(recording)
    assert page_request(LLMService.ANTHROPIC).path.partition("?")[0] == recording.request["path"]
    assert page_request(LLMService.ANTHROPIC).method == recording.request["method"]
    facts = {each.model: each for each in read_models(body, service=LLMService.ANTHROPIC)}
    assert len(facts) == 11
    opus = facts["claude-opus-5"]
    assert (opus.context_window_tokens, opus.max_output_tokens) == (1_000_000, 128_000)
    assert opus.inputs == frozenset({Modality.TEXT, Modality.IMAGE, Modality.DOCUMENT})
    assert (opus.takes_schema, opus.reasons, opus.takes_tools) == (True, True, UNKNOWN)
    assert opus.released_on == date(2026, 7, 24)
    assert next_page(body, service=LLMService.ANTHROPIC) is None


@pytest.mark.parametrize("recording", recordings("count_tokens", "countTokens"), ids=str)
def test_recorded_counts_are_read(recording: Recording) -> None:
    """The count comes out, and the request that counts is the completion's, without what is no input."""
    dialect = counting_dialect_of(SERVICES[recording.provider])
    assert dialect.decode(_json(recording)) in (669, 4)
    asked = recording.request["json"]
    if recording.provider == "anthropic":
        sent = dialect.encode(WireRequest(path="/v1/messages", body={**asked, "max_tokens": 5, "stream": False}))
        assert sent.body == asked
    else:
        body = {name: value for name, value in asked["generateContentRequest"].items() if name != "model"}
        path = recording.request["path"].replace("countTokens", "generateContent")
        sent = dialect.encode(WireRequest(path=path, body=body))
        assert sent.body == asked
    assert sent.path == recording.request["path"]


def _json(recording: Recording) -> JsonValue:
    wire = ReplayWire(status=recording.status, headers=recording.headers, body=recording.body)
    coroutine = wire.send(WireRequest(path="/", body={}))
    answered: JsonValue = next(_finished(coroutine)).json
    return answered


def _finished(coroutine: Any) -> Iterator[Any]:
    try:
        coroutine.send(None)
    except StopIteration as done:
        yield done.value
