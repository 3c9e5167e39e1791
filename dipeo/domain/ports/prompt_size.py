"""Tokens, as the provider counts them."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Unpack, runtime_checkable

from dipeo.domain.completion import ChatMessage, CompletionOptions
from dipeo.domain.service import LLMService


@runtime_checkable
class PromptSizePort(Protocol):
    """Asks a provider how many tokens a request has. Asking is free; nothing is completed."""

    async def count_prompt(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> int:
        """The input tokens of the request that `complete()` would send for the same arguments.

        OpenAI counts it as a request over responses, whichever interface it goes over. Raises
        `UnsupportedParameterError` for a service or a model that is not counted, and else what `complete()` raises.
        """
        ...
