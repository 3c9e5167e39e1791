"""Embedding as Ollama does it.

Source of the shapes: Ollama's API reference, "Generate embeddings".
"""

from typing import Final

from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.answer import count_in, text_in
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingAnswer, EmbeddingBatch, EmbeddingDialect, checked_vectors


def encode(batch: EmbeddingBatch) -> WireRequest:
    """The request for a batch. A text that is too long is an error: left to itself, Ollama would cut it in silence."""
    body: dict[str, JsonValue] = {"model": batch.model, "input": list(batch.texts), "truncate": False}
    if batch.dimensions is not None:
        body["dimensions"] = batch.dimensions
    return WireRequest(path="/api/embed", body={**body, **batch.provider_options})


def decode(body: JsonObject, batch: EmbeddingBatch) -> EmbeddingAnswer:
    """The vectors. Raises `MalformedResponseError`."""
    vectors, has_usage = body.get("embeddings"), "prompt_eval_count" in body
    return EmbeddingAnswer(
        vectors=checked_vectors(vectors if isinstance(vectors, list) else (), batch),
        model=text_in(body.get("model")),
        usage=Usage(input_tokens=count_in(body.get("prompt_eval_count"))) if has_usage else UNREPORTED_USAGE,
    )


# Ollama names no limit; its answer is built in memory, so that huge batches gain nothing.
OLLAMA: Final = EmbeddingDialect(encode=encode, decode=decode, max_texts=256)
