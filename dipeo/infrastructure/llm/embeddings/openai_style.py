"""Embedding as OpenAI does it, and whoever does as OpenAI does."""

import base64
import binascii
import sys
from array import array
from typing import Final

from attrs import frozen

from dipeo.domain.errors import MalformedResponseError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.answer import count_in, object_in, objects_in, text_in
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingAnswer, EmbeddingBatch, EmbeddingDialect, checked_vectors

_FLOAT_BYTES: Final = 4


@frozen(kw_only=True)
class OpenAIStyle:
    """What is particular about one provider. `asks_for_base64`: vectors come at a third of the size."""

    dimensions_field: str = "dimensions"
    asks_for_base64: bool = False

    def encode(self, batch: EmbeddingBatch) -> WireRequest:
        """The request for a batch."""
        body: dict[str, JsonValue] = {"model": batch.model, "input": list(batch.texts)}
        if self.asks_for_base64:
            body["encoding_format"] = "base64"
        if batch.dimensions is not None:
            body[self.dimensions_field] = batch.dimensions
        return WireRequest(path="/embeddings", body={**body, **batch.provider_options})


def decode(body: JsonObject, batch: EmbeddingBatch) -> EmbeddingAnswer:
    """The vectors in the order of the texts, whatever order they came in. Raises `MalformedResponseError`."""
    entries = objects_in(body.get("data"))
    places = [entry.get("index", place) for place, entry in enumerate(entries)]
    if sorted(places, key=repr) != sorted(range(len(batch.texts)), key=repr):
        raise MalformedResponseError(
            f"The provider was sent {len(batch.texts)} texts and answered with {len(entries)} vectors, "
            "or with some twice."
        )
    by_place = dict(zip(places, entries, strict=True))
    found = [_values(by_place[place].get("embedding")) for place in range(len(batch.texts))]
    usage = object_in(body.get("usage"))
    return EmbeddingAnswer(
        vectors=checked_vectors(found, batch),
        model=text_in(body.get("model")),
        usage=Usage(input_tokens=count_in(usage.get("prompt_tokens"))) if usage else UNREPORTED_USAGE,
    )


def _values(embedding: JsonValue) -> JsonValue:
    if not isinstance(embedding, str):
        return embedding
    try:
        raw = base64.b64decode(embedding, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or len(raw) % _FLOAT_BYTES:
        raise MalformedResponseError("The provider's answer holds a vector that is no base64 of 32-bit numbers.")
    values = array("f")
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()  # they come with the lowest byte first
    return tuple(values)


# OpenAI's reference to embeddings: 2,048 inputs and 300,000 tokens a request. Fewer inputs are sent at once, because
# all their numbers are read in one go, and nothing else on the event loop gets its turn meanwhile.
OPENAI: Final = EmbeddingDialect(
    encode=OpenAIStyle(asks_for_base64=True).encode, decode=decode, max_texts=512, max_tokens=300_000
)
# Mistral's guide to embeddings: 16,384 tokens a request; its name for dimensions is its own.
MISTRAL: Final = EmbeddingDialect(
    encode=OpenAIStyle(dimensions_field="output_dimension").encode, decode=decode, max_texts=512, max_tokens=16_384
)
# Servers we know nothing of: batches that small ones take too.
COMPATIBLE: Final = EmbeddingDialect(encode=OpenAIStyle().encode, decode=decode, max_texts=64)
