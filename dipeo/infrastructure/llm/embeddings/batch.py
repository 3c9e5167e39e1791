"""What goes to a provider in one request to embed, and what comes back."""

import math
from collections.abc import Callable, Iterable

from attrs import field, frozen

from dipeo.domain.errors import MalformedResponseError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.wire import WireRequest


@frozen(kw_only=True)
class EmbeddingBatch:
    """The texts of one request."""

    model: str
    texts: tuple[str, ...] = field(repr=False)
    dimensions: int | None = None
    provider_options: JsonObject = field(factory=dict)


@frozen(kw_only=True)
class EmbeddingAnswer:
    """A vector for each text of a batch; `model` is empty where the provider names none."""

    vectors: tuple[tuple[float, ...], ...] = field(repr=False)
    model: str = ""
    usage: Usage = UNREPORTED_USAGE


@frozen(kw_only=True)
class EmbeddingDialect:
    """How a provider is asked to embed, and how much it takes in one request.

    `max_tokens` bounds the estimated tokens of a batch, where the provider has such a limit.
    """

    encode: Callable[[EmbeddingBatch], WireRequest]
    decode: Callable[[JsonObject, EmbeddingBatch], EmbeddingAnswer]
    max_texts: int
    max_tokens: int | None = None


def checked_vectors(found: Iterable[JsonValue], batch: EmbeddingBatch) -> tuple[tuple[float, ...], ...]:
    """The vectors, if there is one for each text, all of one length and of finite numbers.

    Raises `MalformedResponseError`.
    """
    vectors = tuple(_vector(values) for values in found)
    if len(vectors) != len(batch.texts):
        raise MalformedResponseError(
            f"The provider was sent {len(batch.texts)} texts and answered with {len(vectors)} vectors."
        )
    if len({len(vector) for vector in vectors}) > 1:
        raise MalformedResponseError("The provider's vectors are not all of one length.")
    return vectors


def _vector(values: JsonValue) -> tuple[float, ...]:
    if isinstance(values, list | tuple) and values:
        try:
            # One sum shows in no time whether all are numbers, and finite ones: a single NaN or infinity stays in it.
            is_vector = math.isfinite(sum(values))
        except (TypeError, OverflowError):
            is_vector = False
        if is_vector:
            # A tuple was made of 32-bit numbers; a list is the provider's, and may hold whole ones.
            return values if isinstance(values, tuple) else tuple(map(float, values))
    raise MalformedResponseError("The provider's answer holds a vector that is not a list of finite numbers.")
