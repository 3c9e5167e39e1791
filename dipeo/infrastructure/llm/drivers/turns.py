"""Conversations for providers that know two sides and no names."""

from collections.abc import Callable, Sequence

from attrs import frozen

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import InvalidRequestError, UnsupportedParameterError
from dipeo.domain.parts import CitationPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.spoken import CONTINUE_TEXT, OPENING_TEXT, spoken


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


def split_instructions(
    messages: Sequence[ChatMessage], adaptations: Adaptations
) -> tuple[tuple[str, ...], tuple[tuple[ChatMessage, str], ...]]:
    """The instructions, and the conversation with the text of each message.

    Instructions between other messages move to the front, where these providers want them; that is recorded. So is
    that a blank message is left out. Raises `InvalidRequestError` where all that was said is blank.
    """
    instructions: list[str] = []
    rest: list[tuple[ChatMessage, str]] = []
    blank: list[int] = []
    for position, message in enumerate(messages):
        text = text_in(message, position=position, adaptations=adaptations)
        if not text.strip():
            adaptations.dropped(f"messages[{position}]", "the provider takes no empty message.")
            if not message.role.is_instruction:
                blank.append(position)
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
    _check_something_was_said(rest, blank)
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


# --- messages that hold more than text --------------------------------------------------------------------------------

WhyLeftOut = Callable[[Part], str | None]
"""Why a part is not sent, as an adaptation tells it; None for one that is."""


@frozen
class PlacedPart:
    """A part, and where it stands in the request: what errors and adaptations call it."""

    part: Part
    where: str


@frozen
class PartTurn:
    """What one side said in one go, tool results first."""

    role: Role
    parts: tuple[PlacedPart, ...]


def is_all_text(messages: Sequence[ChatMessage]) -> bool:
    """Whether each message is one text, so that `split_instructions()` and `as_turns()` are enough."""
    for message in messages:
        parts = message.parts
        if len(parts) != 1 or type(parts[0]) is not TextPart or message.role is Role.TOOL:
            return False
    return True


def as_part_turns(
    messages: Sequence[ChatMessage],
    adaptations: Adaptations,
    *,
    why_left_out: WhyLeftOut,
    is_open_end_taken: bool,
) -> tuple[tuple[str, ...], tuple[PartTurn, ...]]:
    """The instructions, and the conversation as alternating turns of parts.

    Rules and errors are those of `split_instructions()` and `as_turns()`. Results of tools belong to the other side;
    within a turn they come first, because they must follow their calls. Citations are never sent. Raises
    `UnsupportedParameterError` for instructions that are not text.
    """
    instructions: list[str] = []
    turns: list[tuple[Role, list[PlacedPart]]] = []
    blank: list[int] = []
    for position, message in enumerate(messages):
        parts = _sent_parts(message, position, adaptations, why_left_out)
        if not parts:
            adaptations.dropped(f"messages[{position}]", "the provider takes no empty message.")
            if not message.role.is_instruction:
                blank.append(position)
        elif message.role.is_instruction:
            if turns:
                adaptations.note(
                    f"messages[{position}]",
                    AdaptationAction.SUBSTITUTED,
                    "instructions in the middle of a conversation are sent with those at its beginning.",
                )
            instructions.append("".join(_text_of_instruction(part) for part in parts))
        else:
            role = Role.ASSISTANT if message.role is Role.ASSISTANT else Role.USER
            if not turns or turns[-1][0] is not role:
                turns.append((role, []))
            turns[-1][1].extend(parts)
    _check_something_was_said(turns, blank)
    _set_ends(turns, adaptations, is_open_end_taken=is_open_end_taken)
    return tuple(instructions), tuple(PartTurn(role, _results_first(parts)) for role, parts in turns)


def check_calls_are_answered(turns: Sequence[PartTurn]) -> None:
    """Raises `InvalidRequestError` naming a call without a result in the next turn, or a result without its call."""
    open_calls: list[tuple[str, str]] = []
    for turn in turns:
        for placed in turn.parts:
            if not isinstance(placed.part, ToolResultPart):
                continue
            call = next((call for call in open_calls if call[0] == placed.part.call_id), None)
            if call is None:
                raise InvalidRequestError(
                    f"{placed.where} answers the call {placed.part.call_id!r}, which is not in the turn before.",
                    field=placed.where,
                    suggestion="Keep each tool result directly behind the message that holds its call.",
                )
            open_calls.remove(call)
        _check_none_is_open(open_calls)
        if turn.role is Role.ASSISTANT:
            open_calls = [(each.part.call_id, each.where) for each in turn.parts if isinstance(each.part, ToolCallPart)]
    _check_none_is_open(open_calls)


def _check_none_is_open(calls: Sequence[tuple[str, str]]) -> None:
    for call_id, where in calls:
        raise InvalidRequestError(
            f"{where} is the call {call_id!r}, which no tool result answers in the next turn.",
            field=where,
            suggestion="Add a ToolResultPart for it (with is_error=True if the tool was not run).",
        )


def _check_something_was_said(said: Sequence[object], blank: Sequence[int]) -> None:
    """Instructions alone are enough to begin with; messages of which nothing is left are a mistake."""
    if blank and not said:
        raise InvalidRequestError(
            f"messages[{blank[0]}] is empty, and nothing else was said.",
            field=f"messages[{blank[0]}].content",
            suggestion="Pass a message with text, or with something else that the model takes.",
        )


def _set_ends(turns: list[tuple[Role, list[PlacedPart]]], adaptations: Adaptations, *, is_open_end_taken: bool) -> None:
    """Lets the other side begin, and end too where it must; a call at the end is nothing to go on from."""
    if not turns or turns[0][0] is Role.ASSISTANT:
        turns.insert(0, (Role.USER, [PlacedPart(TextPart(OPENING_TEXT), "messages")]))
        adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the user to speak first.")
    role, last = turns[-1]
    if role is Role.ASSISTANT and not is_open_end_taken and not any(isinstance(p.part, ToolCallPart) for p in last):
        turns.append((Role.USER, [PlacedPart(TextPart(CONTINUE_TEXT), "messages")]))
        adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the user to speak last.")


def _sent_parts(
    message: ChatMessage, position: int, adaptations: Adaptations, why_left_out: WhyLeftOut
) -> list[PlacedPart]:
    sent: list[PlacedPart] = []
    for index, part in enumerate(message.parts):
        if isinstance(part, CitationPart) or (isinstance(part, TextPart) and not part.text):
            continue
        where = f"messages[{position}].content[{index}]"
        reason = why_left_out(part)
        if reason is not None:
            adaptations.dropped(where, reason)
        else:
            sent.append(PlacedPart(part, where))
    if sent and message.name and message.role is Role.USER:
        _introduce(sent, message.name)
    return sent


def _introduce(parts: list[PlacedPart], name: str) -> None:
    """Puts the speaker's name before the first text, or before everything where there is no text."""
    for place, placed in enumerate(parts):
        if isinstance(placed.part, TextPart):
            parts[place] = PlacedPart(TextPart(f"{name}: {placed.part.text}"), placed.where)
            return
    parts.insert(0, PlacedPart(TextPart(f"{name}:"), parts[0].where))


def _text_of_instruction(placed: PlacedPart) -> str:
    if isinstance(placed.part, TextPart):
        return placed.part.text
    raise UnsupportedParameterError(
        f"{placed.where} holds {type(placed.part).__name__}, and instructions are text.",
        field=placed.where,
        suggestion="Send it in a user's message.",
    )


def _results_first(parts: Sequence[PlacedPart]) -> tuple[PlacedPart, ...]:
    return tuple(sorted(parts, key=lambda placed: not isinstance(placed.part, ToolResultPart)))
