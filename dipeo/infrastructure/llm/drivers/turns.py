"""Conversations for providers that know two sides and no names."""

from collections.abc import Sequence

from attrs import frozen

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.parts import ReasoningPart, TextPart
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations

OPENING_TEXT = "(The conversation begins.)"
CONTINUE_TEXT = "(Please go on.)"


@frozen
class Turn:
    """What one side said in one go; each text is one message's."""

    role: Role
    texts: tuple[str, ...]


def text_in(message: ChatMessage, *, position: int, adaptations: Adaptations) -> str:
    """The text of a message. Raises `UnsupportedParameterError` for a part that cannot be left out.

    Reasoning is left out and the omission recorded: only its own vendor could read it.
    """
    if len(message.parts) == 1 and isinstance(message.parts[0], TextPart):
        return message.parts[0].text
    for part in message.parts:
        if isinstance(part, ReasoningPart):
            adaptations.dropped(f"messages[{position}].reasoning", "reasoning is not sent back.")
        elif not isinstance(part, TextPart):
            raise UnsupportedParameterError(
                f"messages[{position}] holds {type(part).__name__}, which this adapter cannot send.",
                field=f"messages[{position}].content",
                suggestion="Send text.",
            )
    return message.text


def spoken(message: ChatMessage, text: str) -> str:
    """The text with the speaker's name in front, where the provider has no field for names."""
    return f"{message.name}: {text}" if message.name and message.role is Role.USER else text


def split_instructions(
    messages: Sequence[ChatMessage], adaptations: Adaptations
) -> tuple[tuple[str, ...], tuple[tuple[ChatMessage, str], ...]]:
    """The instructions, and the conversation with the text of each message.

    Instructions between other messages move to the front, where these providers want them; that is recorded.
    """
    instructions: list[str] = []
    rest: list[tuple[ChatMessage, str]] = []
    for position, message in enumerate(messages):
        text = text_in(message, position=position, adaptations=adaptations)
        if not text:
            adaptations.dropped(f"messages[{position}]", "the provider takes no empty message.")
            continue
        if not message.role.is_instruction:
            rest.append((message, text))
            continue
        if rest:
            adaptations.note(
                f"messages[{position}]",
                AdaptationAction.SUBSTITUTED,
                "instructions in the middle of a conversation are sent with those at its beginning.",
            )
        instructions.append(text)
    return tuple(instructions), tuple(rest)


def as_turns(
    messages: Sequence[tuple[ChatMessage, str]], adaptations: Adaptations, *, is_open_end_taken: bool
) -> tuple[Turn, ...]:
    """The conversation as alternating turns that begin with the other side and, unless an open end is taken, end there.

    Neighbouring messages of one side become one turn. What is inserted to keep the provider's rules is recorded.
    """
    turns: list[Turn] = []
    for message, text in messages:
        role = Role.ASSISTANT if message.role is Role.ASSISTANT else Role.USER
        said = spoken(message, text)
        if turns and turns[-1].role is role:
            turns[-1] = Turn(role, (*turns[-1].texts, said))
        else:
            turns.append(Turn(role, (said,)))
    if not turns or turns[0].role is Role.ASSISTANT:
        turns.insert(0, Turn(Role.USER, (OPENING_TEXT,)))
        adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the user to speak first.")
    if turns[-1].role is Role.ASSISTANT and not is_open_end_taken:
        turns.append(Turn(Role.USER, (CONTINUE_TEXT,)))
        adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the user to speak last.")
    return tuple(turns)
