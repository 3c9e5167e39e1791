"""Embedding as Google does it, over batchEmbedContents.

Source of the shapes: Google's API reference, "Embeddings".
"""

import re
from typing import Final

from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.answer import count_in, object_in, objects_in
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingAnswer, EmbeddingBatch, EmbeddingDialect, checked_vectors

_MODEL_NAME = re.compile(r"(?:(?:models|tunedModels)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def encode(batch: EmbeddingBatch) -> WireRequest:
    """The request for a batch; options go to each of its texts, as Google has it."""
    if _MODEL_NAME.fullmatch(batch.model) is None:
        raise ValidationError(f"{batch.model!r} is no model name that Google has.", field="model")
    model = batch.model if "/" in batch.model else f"models/{batch.model}"
    options: dict[str, JsonValue] = dict(batch.provider_options)
    if batch.dimensions is not None:
        options["outputDimensionality"] = batch.dimensions
    requests: list[JsonValue] = [
        {"model": model, "content": {"parts": [{"text": text}]}, **options} for text in batch.texts
    ]
    return WireRequest(path=f"/v1beta/{model}:batchEmbedContents", body={"requests": requests})


def decode(body: JsonObject, batch: EmbeddingBatch) -> EmbeddingAnswer:
    """The vectors; Google names no model, and most models' answers no usage. Raises `MalformedResponseError`."""
    usage = object_in(body.get("usageMetadata"))
    return EmbeddingAnswer(
        vectors=checked_vectors((entry.get("values") for entry in objects_in(body.get("embeddings"))), batch),
        usage=Usage(input_tokens=count_in(usage.get("promptTokenCount"))) if usage else UNREPORTED_USAGE,
    )


# Google refuses more than 100 in one request.
GEMINI: Final = EmbeddingDialect(encode=encode, decode=decode, max_texts=100)
