"""Texts as vectors: what is refused, how batches are made, and what becomes of failures."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dipeo
from dipeo.container.root import Container
from dipeo.domain.completion import Completion, CompletionRequest, FinishReason
from dipeo.domain.embedding import EmbeddingResult
from dipeo.domain.errors import (
    ConfigurationError,
    MalformedResponseError,
    OverloadedError,
    UnknownServiceError,
    UnsupportedParameterError,
    ValidationError,
)
from dipeo.domain.json_value import JsonValue
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream
from dipeo.domain.usage import Usage
from dipeo.facade import connect_embeddings, wired
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.embeddings import gemini, ollama, openai_style
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingBatch
from dipeo.infrastructure.llm.embeddings.model import EmbeddedBatch, EmbeddingRequest
from dipeo.infrastructure.llm.embeddings.service import MAX_BATCHES_AT_ONCE, BatchingEmbeddings
from dipeo.testing import (
    FakeAliases,
    FakeEmbeddings,
    FakeKeys,
    FakeLedger,
    FakeTokenCounter,
    ManualClock,
    ProviderSimulator,
    ScriptedModel,
)


class LengthModel(ChatModelPort):
    """Embeds a text as its length and its number; remembers the batches, and fails for those that hold `broken`."""

    def __init__(self, broken: str | None = None) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.most_at_once = 0
        self._now = 0
        self._broken = broken

    async def complete(self, request: CompletionRequest) -> Completion:
        assert isinstance(request, EmbeddingRequest)
        texts = request.batch.texts
        self.batches.append(texts)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        for _ in range(len(texts[0]) % 3 + 1):
            await asyncio.sleep(0)
        self._now -= 1
        if self._broken in texts:
            raise OverloadedError(provider="openai")
        return EmbeddedBatch(
            service=request.service,
            model=request.model,
            parts=(),
            finish_reason=FinishReason.STOP,
            usage=Usage(input_tokens=len(texts)),
            vectors=tuple((float(len(text)), 1.0) for text in texts),
        )

    def stream(self, request: CompletionRequest) -> CompletionStream:
        raise NotImplementedError


def service_over(model: ChatModelPort) -> BatchingEmbeddings:
    return BatchingEmbeddings(
        model,
        aliases=FakeAliases(),
        clock=ManualClock(),
        counter=FakeTokenCounter(),
        timeout_s=10,
        max_attempts=1,
    )


@pytest.fixture
async def container() -> AsyncIterator[tuple[Container, ProviderSimulator, FakeLedger]]:
    """The real thing over the simulator."""
    ledger = FakeLedger()
    async with ProviderSimulator() as simulator:
        container = wired(dipeo.Settings(base_urls=simulator.base_urls), keys=FakeKeys(), ledger=ledger)
        try:
            yield container, simulator, ledger
        finally:
            await container.pool().aclose()


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ([], "texts"),
        ("a text", "texts"),
        (None, "texts"),
        (["a", ""], "texts[1]"),
        ([math.nan], "texts[0]"),
        ([None], "texts[0]"),
        (["a \ud800"], "texts[0]"),
    ],
)
async def test_bad_texts_are_refused_before_anything_is_sent(texts: Any, field: str) -> None:
    """Nothing, what is no list, an empty text and what is no text are each named."""
    model = LengthModel()
    with pytest.raises(ValidationError) as caught:
        await service_over(model).embed(texts, "text-embedding-3-small")
    assert caught.value.field == field
    assert model.batches == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": math.nan}, "dimensions"),
        ({"timeout_s": math.inf}, "timeout_s"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"dimension": 8}, "dimension"),
        ({"provider_options": {"input": "x"}}, "provider_options.input"),
        ({"provider_options": {"model": "x"}}, "provider_options.model"),
    ],
)
async def test_bad_options_are_refused(options: Any, field: str) -> None:
    """Each is named."""
    with pytest.raises(ValidationError) as caught:
        await service_over(LengthModel()).embed(["a"], "text-embedding-3-small", **options)
    assert caught.value.field == field


async def test_services_without_embeddings_say_so() -> None:
    """Anthropic embeds nothing; a name that gives no service away needs one."""
    service = service_over(LengthModel())
    with pytest.raises(UnsupportedParameterError, match="offers no embeddings"):
        await service.embed(["a"], "claude-opus-5", service="claude")
    with pytest.raises(UnknownServiceError):
        await service.embed(["a"], "some-model")


@given(lengths=st.lists(st.integers(min_value=1, max_value=30), min_size=1, max_size=300))
async def test_order_is_kept_across_batches(lengths: list[int]) -> None:
    """However the texts are cut and whatever comes back first, each vector stands where its text stood."""
    model = LengthModel()
    result = await service_over(model).embed(["x" * length for length in lengths], "m", service="openai_compatible")
    assert [vector[0] for vector in result.vectors] == [float(length) for length in lengths]
    assert result.usage.input_tokens == len(lengths)
    assert all(len(batch) <= openai_style.COMPATIBLE.max_texts for batch in model.batches)
    assert model.most_at_once <= MAX_BATCHES_AT_ONCE


async def test_batches_keep_to_the_tokens_of_a_request() -> None:
    """Where a provider bounds the tokens of a request, batches do; a text that is too large alone goes alone."""
    model = LengthModel()
    texts = ["w " * 10_000, "w " * 10_000, "w " * 20_000, "w", "w"]
    await service_over(model).embed(texts, "mistral-embed", service="mistral")
    assert sorted(len(batch) for batch in model.batches) == [1, 1, 1, 2]


async def test_a_failed_batch_is_the_callers_error() -> None:
    """One batch that fails ends the call with its own error, and no group of errors."""
    model = LengthModel(broken="b")
    texts = ["a"] * 64 + ["b"] + ["c"] * 64
    with pytest.raises(OverloadedError):
        await service_over(model).embed(texts, "m", service="openai_compatible")


async def test_embeddings_are_retried_and_recorded(container: tuple[Container, ProviderSimulator, FakeLedger]) -> None:
    """The stations of completions stand around them: a passing fault costs an attempt, and both are in the ledger."""
    wired_container, _, ledger = container
    embeddings = wired_container.embeddings()
    first = await embeddings.embed(["red", "blue"], "text-embedding-3-small")
    assert (first.service, first.dimensions, len(first.attempts)) == (LLMService.OPENAI, 1536, 1)
    assert first.vectors[0] != first.vectors[1]
    again = await embeddings.embed(["blue"], "text-embedding-3-small")
    assert again.vectors[0] == first.vectors[1]
    assert [attempt.model for attempt in ledger.recorded] == ["text-embedding-3-small"] * 2
    assert ledger.recorded[0].usage == first.usage
    shorter = await embeddings.embed(["red"], "gemini-embedding-001", dimensions=256)
    assert (shorter.service, shorter.dimensions) == (LLMService.GOOGLE, 256)


async def test_a_pool_that_only_completes_cannot_embed() -> None:
    """Where the pool is somebody's own, the error says what is missing."""
    async with connect_embeddings(pool=ScriptedModel()) as embeddings:
        with pytest.raises(ConfigurationError, match="ScriptedModel completes and does nothing else"):
            await embeddings.embed(["a"], "text-embedding-3-small")


BATCH = EmbeddingBatch(model="m", texts=("a", "b"))
FINE = [1.0, 2.0]


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"embedding": FINE}],
        [{"embedding": FINE, "index": 0}, {"embedding": FINE, "index": 0}],
        [{"embedding": FINE, "index": 0}, {"embedding": FINE, "index": 5}],
        [{"embedding": FINE, "index": 0}, {"embedding": [1.0], "index": 1}],
        [{"embedding": FINE, "index": 0}, {"embedding": [], "index": 1}],
        [{"embedding": FINE, "index": 0}, {"embedding": [None, 1.0], "index": 1}],
        [{"embedding": FINE, "index": 0}, {"embedding": "not base64!", "index": 1}],
        [{"embedding": FINE, "index": 0}, {"embedding": "AAA=", "index": 1}],
        [{"embedding": FINE, "index": 0}, {"embedding": "AADAfwAAwH8=", "index": 1}],
        [{"embedding": FINE, "index": "a"}, {"embedding": FINE, "index": None}],
        "text",
    ],
)
def test_vectors_that_cannot_be_trusted_are_refused(data: Any) -> None:
    """Too few, twice the same, of other lengths, of no numbers, not finite: all are a malformed answer."""
    with pytest.raises(MalformedResponseError):
        openai_style.decode({"data": data}, BATCH)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(body=st.dictionaries(st.sampled_from(["data", "embeddings", "usage", "model", "usageMetadata"]), json_values))
def test_decoding_raises_our_errors_alone(body: Any) -> None:
    """Whatever a provider answers is read or is a malformed answer."""
    for dialect in (openai_style.OPENAI, gemini.GEMINI, ollama.OLLAMA):
        try:
            answer = dialect.decode(body, BATCH)
        except MalformedResponseError:
            continue
        assert len(answer.vectors) == 2


def test_vectors_come_in_the_order_of_the_texts() -> None:
    """Whatever order a provider lists them in."""
    data: Any = [{"embedding": [2.0], "index": 1}, {"embedding": [1.0], "index": 0}]
    assert openai_style.decode({"data": data}, BATCH).vectors == ((1.0,), (2.0,))


def test_ollama_is_told_to_cut_nothing() -> None:
    """A text that is too long is an error, unless the caller asks for the cut."""
    assert ollama.encode(BATCH).body["truncate"] is False
    asked = EmbeddingBatch(model="m", texts=("a",), provider_options={"truncate": True})
    assert ollama.encode(asked).body["truncate"] is True


async def test_the_fake_gives_like_vectors_for_like_texts() -> None:
    """Texts that share words point the same way; the same text has the same vector."""
    fake = FakeEmbeddings()
    result = await fake.embed(["red apple", "red apple", "quite another thing"], "any", dimensions=64)
    assert isinstance(result, EmbeddingResult)
    assert result.vectors[0] == result.vectors[1] != result.vectors[2]
    assert result.dimensions == 64
    with pytest.raises(ValidationError):
        await fake.embed([""], "any")


class FailingOnce(Wire):
    """Answers 503 once, then with one vector; `asked` holds the paths."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def send(self, exchange: WireRequest) -> WireReply:
        self.asked.append(exchange.path)
        if len(self.asked) == 1:
            return WireReply(status=503, headers={}, json={"error": {"message": "busy"}})
        vector: list[JsonValue] = [1.0]
        entry: dict[str, JsonValue] = {"embedding": vector, "index": 0}
        entries: list[JsonValue] = [entry]
        return WireReply(status=200, headers={"x-request-id": "r"}, json={"data": entries})

    async def stream(self, exchange: WireRequest) -> WireStream:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_a_fault_costs_an_attempt() -> None:
    """A server that fails once is asked again after a wait, and the result tells of both attempts."""
    wire, ledger = FailingOnce(), FakeLedger()
    async with connect_embeddings(
        dipeo.Settings(),
        open_wire=lambda _endpoint, _credentials: wire,
        keys=FakeKeys(),
        ledger=ledger,
        clock=ManualClock(),
    ) as embeddings:
        result = await embeddings.embed(["a"], "text-embedding-3-small")
    assert [attempt.status for attempt in result.attempts] == [503, 200]
    assert [attempt.number for attempt in ledger.recorded] == [1, 2]
    assert ledger.recorded[1].request_id == "r"
    assert not result.usage.is_reported
    assert wire.asked == ["/embeddings", "/embeddings"]
