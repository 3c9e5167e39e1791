"""In-memory stand-ins for what is known about models and for what providers do beside completing."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Unpack

from dipeo.domain.catalog import Cost, ModelFacts, cost_at
from dipeo.domain.completion import ChatMessage, CompletionOptions
from dipeo.domain.embedding import EmbeddingOptions, EmbeddingResult
from dipeo.domain.errors import ConnectFailedError, ValidationError
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.ports.embeddings import EmbeddingPort
from dipeo.domain.ports.listing import ModelListPort
from dipeo.domain.ports.prompt_size import PromptSizePort
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache
from dipeo.domain.usage import Usage

USUAL_DIMENSIONS: Final = 8


class FakeCatalog(ModelCatalogPort):
    """Knows the facts it is given, whatever the time; without a service, a model is looked for in all of them."""

    def __init__(self, facts: Iterable[ModelFacts] = ()) -> None:
        self._facts = {(each.service, each.model): each for each in facts}

    def facts(self, model: str, *, service: LLMService | str | None = None, at: datetime | None = None) -> ModelFacts:
        if service is None:
            found = next((each for (_, name), each in self._facts.items() if name == model), None)
            return found or ModelFacts(service=LLMService.OPENAI_COMPATIBLE, model=model)
        wanted = LLMService.from_name(service)
        return self._facts.get((wanted, model)) or ModelFacts(service=wanted, model=model)

    def models(self, *, service: LLMService | str | None = None) -> Sequence[ModelFacts]:
        wanted = None if service is None else LLMService.from_name(service)
        return tuple(each for each in self._facts.values() if wanted in (None, each.service))

    def cost(
        self,
        usage: Usage,
        model: str,
        *,
        service: LLMService | str | None = None,
        at: datetime | None = None,
        prompt_cache: PromptCache = PromptCache.DEFAULT,
    ) -> Cost:
        return cost_at(self.facts(model, service=service).prices, usage, model=model, prompt_cache=prompt_cache)


class FakeEmbeddings(EmbeddingPort):
    """Gives the same vector for the same text each time, and texts that share words vectors that are alike.

    `asked` holds the texts of every call.
    """

    def __init__(self, *, service: LLMService = LLMService.OPENAI) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._service = service

    async def embed(
        self,
        texts: Sequence[str],
        model: str,
        *,
        service: LLMService | str | None = None,
        **options: Unpack[EmbeddingOptions],
    ) -> EmbeddingResult:
        if isinstance(texts, str) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise ValidationError("'texts' must be a list of texts that are not empty.", field="texts")
        self.asked.append(tuple(texts))
        dimensions = options.get("dimensions") or USUAL_DIMENSIONS
        return EmbeddingResult(
            service=self._service if service is None else LLMService.from_name(service),
            model=model,
            vectors=tuple(_vector(text, dimensions) for text in texts),
            usage=Usage(input_tokens=sum(max(1, len(text.split())) for text in texts)),
        )


def _vector(text: str, dimensions: int) -> tuple[float, ...]:
    """The number of words that fall into each place."""
    vector = [0.0] * dimensions
    for word in text.lower().split() or [text]:
        vector[hashlib.sha256(word.encode(errors="replace")).digest()[0] % dimensions] += 1.0
    return tuple(vector)


class FakeModelLists(ModelListPort):
    """Lists what it is given; a service it was given nothing for cannot be reached."""

    def __init__(self, names: Mapping[LLMService, Sequence[str]] | None = None) -> None:
        self._names = names or {}

    async def list_models(
        self,
        service: LLMService | str,
        *,
        api_key_id: str | None = None,
        base_url: str | None = None,
        timeout_s: float | None = None,
    ) -> Sequence[ModelFacts]:
        wanted = LLMService.from_name(service)
        if wanted not in self._names:
            raise ConnectFailedError(provider=wanted.value)
        return tuple(ModelFacts(service=wanted, model=name) for name in sorted(self._names[wanted]))


class FakePromptSizes(PromptSizePort):
    """Says that every request has as many tokens as it was given."""

    def __init__(self, tokens: int = 10) -> None:
        self._tokens = tokens

    async def count_prompt(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> int:
        return self._tokens
