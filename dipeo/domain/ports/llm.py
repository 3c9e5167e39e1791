"""The two ports that answer: the inner one that everything wraps, the outer one that applications see."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Unpack, runtime_checkable

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, CompletionRequest
from dipeo.domain.message import Message
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream


@runtime_checkable
class ChatModelPort(Protocol):
    """Answers one request. Vendor adapters, the pool, every wrapper and every fake are one of these."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """The answer. Raises a `DipeoError` and nothing else; cancellation passes through."""
        ...

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """The answer piece by piece; nothing is sent before the first event is asked for."""
        ...


@runtime_checkable
class LLMServicePort(Protocol):
    """What workflow engines see.

    `messages` are mappings with `role` and `content` (and `name`), or `ChatMessage`s. `model` is a name or an alias;
    the service is inferred from it when not given. Every method raises `ValidationError`, `UnknownServiceError` or
    another `InvalidRequestError` before anything is sent, and any other `DipeoError` for what happens afterwards.
    """

    async def complete(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        """The answer to these messages, sent as they are."""
        ...

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> CompletionStream:
        """`complete()`, piece by piece."""
        ...

    async def complete_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        """What this person says next: their own messages are the assistant's, everybody else's are named users'."""
        ...

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> CompletionStream:
        """`complete_with_person()`, piece by piece."""
        ...
