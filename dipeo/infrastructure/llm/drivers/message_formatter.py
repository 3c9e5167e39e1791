"""Renders a shared conversation for one of those who take part in it."""

from collections.abc import Sequence

from dipeo.domain.completion import ChatMessage, Role
from dipeo.domain.message import Message
from dipeo.domain.parts import ToolResultPart
from dipeo.domain.service import LLMService


class MessageFormatter:
    """Turns messages between persons into the messages of a request."""

    def format_messages_for_llm(
        self,
        messages: Sequence[Message],
        person_id: str,
        system_prompt: str | None = None,
        service: LLMService = LLMService.OPENAI,
        system_role: Role | str = Role.SYSTEM,
    ) -> tuple[ChatMessage, ...]:
        """The conversation as this person has it in mind, their instructions first.

        Their own messages are the assistant's, everybody else's are named users'; a message that they may not see is
        not there, even if it was passed in. `service` is part of the interface for formatters that need it: the rules
        of each provider's wire are kept by its adapter.
        """
        instructions = (ChatMessage.from_text(Role(system_role), system_prompt),) if system_prompt else ()
        seen = (_rendered(message, person_id) for message in messages if message.is_visible_to(person_id))
        return instructions + tuple(message for message in seen if message is not None)


def _rendered(message: Message, person_id: str) -> ChatMessage | None:
    """The message as this person has it in mind, or None where nothing in it is for them."""
    parts = message.parts_for(person_id)
    if message.from_person_id == person_id:
        return ChatMessage(Role.ASSISTANT, parts)
    if any(isinstance(part, ToolResultPart) for part in parts):
        return ChatMessage(Role.TOOL, parts)
    return ChatMessage(Role.USER, parts, name=message.from_person_id) if parts else None
