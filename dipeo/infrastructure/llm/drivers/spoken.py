"""What is said beside what was said, for providers that lack a field for it."""

from typing import Final

from dipeo.domain.completion import ChatMessage, Role

OPENING_TEXT: Final = "(The conversation begins.)"
CONTINUE_TEXT: Final = "(Please go on.)"


def spoken(message: ChatMessage, text: str) -> str:
    """The text with the speaker's name in front, where the provider has no field for names."""
    return f"{message.name}: {text}" if message.name and message.role is Role.USER else text
