"""Somewhere to record what could not be sent as asked."""

from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations


def adaptations_of(*, is_strict: bool = False) -> Adaptations:
    """None yet, of a request that allows them or does not."""
    messages = (ChatMessage.from_text(Role.USER, "Hello"),)
    return Adaptations(CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, is_strict=is_strict))
