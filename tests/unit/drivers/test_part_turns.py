"""Turns of parts: what text-only turns promise, and that results follow their calls."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import InvalidRequestError, UnsupportedParameterError
from dipeo.domain.parts import CitationPart, ImagePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from dipeo.infrastructure.llm.drivers.spoken import CONTINUE_TEXT, OPENING_TEXT
from dipeo.infrastructure.llm.drivers.turns import (
    PartTurn,
    PlacedPart,
    as_part_turns,
    check_calls_are_answered,
    is_all_text,
)
from tests.unit.drivers.adaptations import adaptations_of

PICTURE = ImagePart(media_type="image/png", data=b"x")


def why_left_out(part: Part) -> str | None:
    return "nobody thinks here." if isinstance(part, ReasoningPart) else None


def turns_of(
    *messages: ChatMessage, is_open_end_taken: bool = False
) -> tuple[tuple[str, ...], tuple[PartTurn, ...], list[tuple[str, AdaptationAction]]]:
    adaptations = adaptations_of()
    instructions, turns = as_part_turns(
        messages, adaptations, why_left_out=why_left_out, is_open_end_taken=is_open_end_taken
    )
    return instructions, turns, [(each.parameter, each.action) for each in adaptations.made]


def test_a_message_of_one_text_needs_no_turn_of_parts() -> None:
    """Anything else does, and so do the words of a tool."""
    plain = ChatMessage.from_text(Role.USER, "a")
    assert is_all_text([plain, ChatMessage.from_text(Role.SYSTEM, "b")])
    assert is_all_text([])
    assert not is_all_text([plain, ChatMessage(Role.USER, (PICTURE,))])
    assert not is_all_text([ChatMessage(Role.USER, (TextPart("a"), TextPart("b")))])
    assert not is_all_text([ChatMessage(Role.USER, ())])
    assert not is_all_text([ChatMessage.from_text(Role.TOOL, "a")])


def test_what_is_left_out_is_told_by_its_place() -> None:
    """Citations and empty texts go without a word; a message of nothing is told as well."""
    thought = ReasoningPart(text="Hm.", vendor="v")
    _, turns, told = turns_of(
        ChatMessage.from_text(Role.USER, "a"),
        ChatMessage(Role.ASSISTANT, (TextPart("b"), CitationPart(title="c"), TextPart(""), thought)),
        ChatMessage(Role.ASSISTANT, (thought,)),
        ChatMessage(Role.USER, (PICTURE,)),
    )
    assert turns == (
        PartTurn(Role.USER, (PlacedPart(TextPart("a"), "messages[0].content[0]"),)),
        PartTurn(Role.ASSISTANT, (PlacedPart(TextPart("b"), "messages[1].content[0]"),)),
        PartTurn(Role.USER, (PlacedPart(PICTURE, "messages[3].content[0]"),)),
    )
    assert told == [
        ("messages[1].content[3]", AdaptationAction.DROPPED),
        ("messages[2].content[0]", AdaptationAction.DROPPED),
        ("messages[2]", AdaptationAction.DROPPED),
    ]


def test_instructions_are_text() -> None:
    """A picture among them is an error that names it."""
    instructions, _, _ = turns_of(ChatMessage(Role.SYSTEM, (TextPart("a"), TextPart("b"))))
    assert instructions == ("ab",)
    with pytest.raises(UnsupportedParameterError) as caught:
        turns_of(ChatMessage(Role.SYSTEM, (TextPart("a"), PICTURE)))
    assert caught.value.field == "messages[0].content[1]"


def test_a_call_at_the_end_is_not_answered_with_words() -> None:
    """Nothing is inserted behind it: that it has no result is an error."""
    call = ToolCallPart(call_id="c", name="t", arguments={})
    _, turns, _ = turns_of(ChatMessage.from_text(Role.USER, "a"), ChatMessage(Role.ASSISTANT, (call,)))
    assert turns[-1].role is Role.ASSISTANT
    with pytest.raises(InvalidRequestError) as caught:
        check_calls_are_answered(turns)
    assert caught.value.field == "messages[1].content[0]"


ROLES = st.sampled_from([role for role in Role if role is not Role.TOOL])
PARTS = st.lists(st.sampled_from([PICTURE, CitationPart(title="c"), ReasoningPart(text="h", vendor="v")]), max_size=3)


@given(said=st.lists(st.tuples(ROLES, PARTS, st.none() | st.just("ada")), max_size=8), is_open_end_taken=st.booleans())
@settings(max_examples=150)
def test_turns_of_parts_alternate_and_lose_nothing(
    said: list[tuple[Role, list[Part], str | None]], *, is_open_end_taken: bool
) -> None:
    """What is neither sent nor inserted is told."""
    messages = [
        ChatMessage(role, (TextPart(f"<{index}>"), *(() if role.is_instruction else parts)), name=name)
        for index, (role, parts, name) in enumerate(said)
    ]
    instructions, turns, told = turns_of(*messages, is_open_end_taken=is_open_end_taken)
    roles = [turn.role for turn in turns]
    assert roles[0] is Role.USER
    assert all(before is not after for before, after in itertools.pairwise(roles))
    assert is_open_end_taken or roles[-1] is Role.USER
    assert instructions == tuple(message.text for message in messages if message.role.is_instruction)
    placed = [each for turn in turns for each in turn.parts]
    inserted = [each for each in placed if each.part in (TextPart(OPENING_TEXT), TextPart(CONTINUE_TEXT))]
    wanted = [
        f"messages[{index}].content[{place}]"
        for index, message in enumerate(messages)
        if not message.role.is_instruction
        for place, part in enumerate(message.parts)
        if isinstance(part, TextPart | ImagePart)
    ]
    assert [each.where for each in placed if each not in inserted] == wanted
    actions = [action for _, action in told]
    assert actions.count(AdaptationAction.INSERTED) == len(inserted)
    assert actions.count(AdaptationAction.DROPPED) == sum(
        isinstance(part, ReasoningPart) for message in messages for part in message.parts
    )


@given(order=st.permutations(["a", "b", "c"]), place=st.integers(0, 3))
def test_results_come_first_in_the_order_they_were_given(order: list[str], place: int) -> None:
    """Whatever else was said in the same turn."""
    calls = tuple(ToolCallPart(call_id=each, name="t", arguments={}) for each in "abc")
    results: list[Part] = [ToolResultPart(call_id=each, content="done") for each in order]
    results.insert(place, TextPart("Hurry!"))
    _, turns, _ = turns_of(
        ChatMessage.from_text(Role.USER, "x"),
        ChatMessage(Role.ASSISTANT, calls),
        *(ChatMessage(Role.USER, (part,)) for part in results),
    )
    parts = [each.part for each in turns[-1].parts]
    assert [part.call_id for part in parts if isinstance(part, ToolResultPart)] == order
    assert parts[-1] == TextPart("Hurry!")
    check_calls_are_answered(turns)
