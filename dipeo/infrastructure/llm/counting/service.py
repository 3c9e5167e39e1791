"""Asks providers how many tokens a request has."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, CompletionRequest, FinishReason
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.ports.prompt_size import PromptSizePort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream
from dipeo.domain.usage import Usage
from dipeo.infrastructure.llm.counting.dialects import counting_dialect_of
from dipeo.infrastructure.llm.drivers.lending import borrowed, no_stream


class CountingModel(ChatModelPort):
    """Has a request counted in place of answered: the usage of its completion is what the answer would start from."""

    def __init__(self, pool: ChatModelPort) -> None:
        self._pool = pool

    async def complete(self, request: CompletionRequest) -> Completion:
        dialect = counting_dialect_of(request.service)
        async with borrowed(self._pool, request) as adapter:
            exchange = dialect.encode(adapter.encode(adapter.as_taken(request)[0], is_stream=False).exchange)
            count, request_id = await adapter.exchange(request, exchange, dialect.decode)
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
