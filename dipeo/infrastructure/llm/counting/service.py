"""Asks providers how many tokens a request has."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Unpack, runtime_checkable

from attrs import evolve

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, CompletionRequest, FinishReason
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.ports.prompt_size import PromptSizePort
from dipeo.domain.sampling import Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream
from dipeo.domain.tools import PromptCache
from dipeo.domain.usage import Usage
from dipeo.infrastructure.llm.counting.dialects import counting_dialect_of
from dipeo.infrastructure.llm.drivers.lending import ExchangingAdapter, borrowed, no_stream


@runtime_checkable
class ResponsesSpeaker(Protocol):
    """An adapter that speaks OpenAI's responses besides."""

    def over_responses(self, model: str) -> ExchangingAdapter | None:
        """The adapter that does; None for a model that cannot be asked that way."""
        ...


class CountingModel(ChatModelPort):
    """Has a request counted in place of answered: the usage of its completion is what the answer would start from."""

    def __init__(self, pool: ChatModelPort) -> None:
        self._pool = pool

    async def complete(self, request: CompletionRequest) -> Completion:
        dialect = counting_dialect_of(request.service)
        async with borrowed(self._pool, request) as adapter:
            counting, counted = adapter, request
            if dialect.is_over_responses:
                counting, counted = _over_responses(adapter, request), _what_is_input(request)
            asked, _ = counting.as_taken(counted)
            completing, _ = counting.encode(asked, is_stream=False)
            exchange = dialect.encode(completing)
            count, request_id = await counting.exchange(request, exchange, dialect.decode)
        return Completion(
            service=request.service,
            model=request.model,
            parts=(),
            finish_reason=FinishReason.STOP,
            usage=Usage(input_tokens=count),
            request_id=request_id,
        )

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return no_stream("Counts do")


def _over_responses(adapter: ExchangingAdapter, request: CompletionRequest) -> ExchangingAdapter:
    second = adapter.over_responses(request.model) if isinstance(adapter, ResponsesSpeaker) else None
    if second is None:
        raise UnsupportedParameterError(
            f"{request.model!r} is asked over chat completions alone, and OpenAI counts requests over responses.",
            field="model",
            provider=request.service.value,
            model=request.model,
            suggestion="Use the estimate of TokenCounterPort.",
        )
    return second


def _what_is_input(request: CompletionRequest) -> CompletionRequest:
    """The request without how it is answered and remembered: there, responses may refuse what a completion sends."""
    sampling = Sampling(reasoning_effort=request.sampling.reasoning_effort)
    return evolve(request, sampling=sampling, prompt_cache=PromptCache.DEFAULT)


class ProviderPromptSizes(PromptSizePort):
    """Counts what `llm.complete()` would send; `llm` is a service whose model counts in place of answering."""

    def __init__(self, llm: LLMServicePort) -> None:
        self._llm = llm

    async def count_prompt(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> int:
        completion = await self._llm.complete(messages, model, api_key_id=api_key_id, service=service, **options)
        return completion.usage.input_tokens
