"""Texts as vectors."""

from collections.abc import Sequence
from typing import Protocol, Unpack, runtime_checkable

from dipeo.domain.embedding import EmbeddingOptions, EmbeddingResult
from dipeo.domain.service import LLMService


@runtime_checkable
class EmbeddingPort(Protocol):
    """Turns texts into vectors."""

    async def embed(
        self,
        texts: Sequence[str],
        model: str,
        *,
        service: LLMService | str | None = None,
        **options: Unpack[EmbeddingOptions],
    ) -> EmbeddingResult:
        """A vector for each text, in order, in as many requests as the provider's limits ask for.

        Raises `ValidationError` for no texts, an empty text or anything that is no text, before anything is sent;
        `UnsupportedParameterError` for a service that embeds nothing; any other `DipeoError` for what happens then.
        """
        ...
