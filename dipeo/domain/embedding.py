"""Texts as vectors."""

from collections.abc import Mapping
from typing import TypedDict

from attrs import field, frozen

from dipeo.domain.attempt import Attempt
from dipeo.domain.errors import ValidationError
from dipeo.domain.service import LLMService
from dipeo.domain.usage import UNREPORTED_USAGE, Usage


@frozen(kw_only=True)
class EmbeddingResult:
    """A vector for each text, in the order of the texts.

    `model` is the name the provider answered with, or the one that was asked where it names none. `attempts` are all
    that were made, of every batch.
    """

    service: LLMService
    model: str
    vectors: tuple[tuple[float, ...], ...] = field(repr=False)
    usage: Usage = UNREPORTED_USAGE
    attempts: tuple[Attempt, ...] = ()
    latency_ms: float = 0.0

    def __attrs_post_init__(self) -> None:
        if len({len(vector) for vector in self.vectors}) > 1:
            raise ValidationError("All vectors of a result must have the same length.", field="vectors")

    @property
    def dimensions(self) -> int:
        """The length of each vector."""
        return len(self.vectors[0]) if self.vectors else 0


class EmbeddingOptions(TypedDict, total=False):
    """What a call may ask beside its texts and model.

    `dimensions` shortens the vectors, where the model can. `timeout_s` bounds the whole call in seconds, all batches
    together; `max_attempts` is the number of attempts for each batch. `provider_options` go into the request as they
    are.
    """

    dimensions: int | None
    api_key_id: str | None
    base_url: str | None
    timeout_s: float | None
    max_attempts: int | None
    provider_options: Mapping[str, object]
