"""Renders a shared conversation for one of those who take part in it."""

from collections.abc import Sequence

from dipeo.domain.completion import ChatMessage, Role
from dipeo.domain.message import Message
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
        return instructions + tuple(
            _rendered(message, person_id) for message in messages if message.is_visible_to(person_id)
        )


def _rendered(message: Message, person_id: str) -> ChatMessage:
    if message.from_person_id == person_id:
        return ChatMessage(Role.ASSISTANT, message.parts)
    return ChatMessage(Role.USER, message.parts, name=message.from_person_id)
