"""Providers that know two sides and no names get turns that alternate, and lose nothing that was said."""

import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import InvalidRequestError, UnsupportedParameterError
from dipeo.domain.parts import ImagePart, ReasoningPart, TextPart
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.spoken import CONTINUE_TEXT, OPENING_TEXT, spoken
from dipeo.infrastructure.llm.drivers.turns import (
    Turn,
    as_part_turns,
    as_turns,
    split_instructions,
    text_in,
)
from tests.unit.drivers.adaptations import adaptations_of


def as_part_turns_of_all(messages: Sequence[ChatMessage], adaptations: Adaptations) -> object:
    """The turns of a provider that takes every part."""
    return as_part_turns(messages, adaptations, why_left_out=lambda _: None, is_open_end_taken=False)


chat = st.lists(st.tuples(st.sampled_from(Role), st.none() | st.sampled_from(["ada", "bob"])), max_size=10).map(
    lambda said: [ChatMessage.from_text(role, f"<{index}>", name=name) for index, (role, name) in enumerate(said)]
)


def user(text: str, name: str | None = None) -> tuple[ChatMessage, str]:
    """A user's message and its text."""
    return ChatMessage.from_text(Role.USER, text, name=name), text


def assistant(text: str) -> tuple[ChatMessage, str]:
    """The assistant's message and its text."""
    return ChatMessage.from_text(Role.ASSISTANT, text), text


def turns(
    *said: tuple[ChatMessage, str], is_open_end_taken: bool = False
) -> tuple[tuple[Turn, ...], list[AdaptationAction]]:
    """The turns of what was said, and what was done to get there."""
    adaptations = adaptations_of()
    made = as_turns(said, adaptations, is_open_end_taken=is_open_end_taken)
    return made, [adaptation.action for adaptation in adaptations.made]


def test_a_plain_exchange_is_left_alone() -> None:
    """Turns that alternate already need no adaptation."""
    made, actions = turns(user("a"), assistant("b"), user("c"))
    assert made == (Turn(Role.USER, ("a",)), Turn(Role.ASSISTANT, ("b",)), Turn(Role.USER, ("c",)))
    assert actions == []


def test_neighbours_become_one_turn() -> None:
    """What several say in a row is one turn of several texts, each with its speaker's name."""
    made, actions = turns(user("a", "ada"), user("b", "bob"), user("c"))
    assert made == (Turn(Role.USER, ("ada: a", "bob: b", "c")),)
    assert actions == []
    made, _ = turns(user("a"), assistant("b"), assistant("c"), user("d"))
    assert made[1] == Turn(Role.ASSISTANT, ("b", "c"))


def test_an_assistant_who_begins_gets_an_opening() -> None:
    """The other side speaks first; that is recorded."""
    made, actions = turns(assistant("a"), user("b"))
    assert made[0] == Turn(Role.USER, (OPENING_TEXT,))
    assert actions == [AdaptationAction.INSERTED]


def test_an_assistant_who_ends_is_asked_to_go_on() -> None:
    """Where the model takes no open end the other side speaks last; that is recorded."""
    made, actions = turns(user("a"), assistant("b"))
    assert made[-1] == Turn(Role.USER, (CONTINUE_TEXT,))
    assert actions == [AdaptationAction.INSERTED]
    made, actions = turns(user("a"), assistant("b"), is_open_end_taken=True)
    assert made[-1] == Turn(Role.ASSISTANT, ("b",))
    assert actions == []


def test_a_conversation_that_has_not_begun_is_opened() -> None:
    """Nobody said anything yet: the opening stands alone."""
    made, actions = turns()
    assert made == (Turn(Role.USER, (OPENING_TEXT,)),)
    assert actions == [AdaptationAction.INSERTED]


def test_a_blank_message_among_others_is_left_out_and_that_is_told() -> None:
    """These providers refuse one; what else was said stays as it is."""
    adaptations = adaptations_of()
    said = [ChatMessage.from_text(Role.USER, text) for text in ("hi", "", " \n", "there")]
    _, rest = split_instructions(said, adaptations)
    assert [text for _, text in rest] == ["hi", "there"]
    assert [(each.parameter, each.action) for each in adaptations.made] == [
        ("messages[1]", AdaptationAction.DROPPED),
        ("messages[2]", AdaptationAction.DROPPED),
    ]


@pytest.mark.parametrize("read", [split_instructions, as_part_turns_of_all])
def test_where_all_is_blank_there_is_nothing_to_answer(read: Callable[..., object]) -> None:
    """No opening of ours is answered in its place; instructions that are blank are none."""
    blank = [ChatMessage.from_text(Role.SYSTEM, "Be brief."), ChatMessage.from_text(Role.USER, "")]
    with pytest.raises(InvalidRequestError) as caught:
        read(blank, adaptations_of())
    assert caught.value.field == "messages[1].content"
    read([ChatMessage.from_text(Role.SYSTEM, "")], adaptations_of())


def test_names_stand_before_what_users_say_alone() -> None:
    """The assistant is not announced, and nobody without a name is."""
    assert spoken(ChatMessage.from_text(Role.USER, "a", name="ada"), "a") == "ada: a"
    assert spoken(ChatMessage.from_text(Role.ASSISTANT, "a", name="ada"), "a") == "a"
    assert spoken(ChatMessage.from_text(Role.USER, "a"), "a") == "a"


def test_instructions_are_moved_to_the_front() -> None:
    """Those at the beginning are where they belong; one in the middle is moved, and that is recorded with its place."""
    adaptations = adaptations_of()
    said = [
        ChatMessage.from_text(Role.SYSTEM, "one"),
        ChatMessage.from_text(Role.DEVELOPER, "two"),
        ChatMessage.from_text(Role.USER, "hi"),
        ChatMessage.from_text(Role.SYSTEM, "three"),
    ]
    instructions, rest = split_instructions(said, adaptations)
    assert instructions == ("one", "two", "three")
    assert rest == ((said[2], "hi"),)
    assert [(each.parameter, each.action) for each in adaptations.made] == [
        ("messages[3]", AdaptationAction.SUBSTITUTED)
    ]


@pytest.mark.parametrize(
    "said",
    [
        [ChatMessage.from_text(Role.USER, "hi"), ChatMessage.from_text(Role.SYSTEM, "late")],
        [ChatMessage.from_text(Role.ASSISTANT, "hi")],
        [ChatMessage(Role.USER, (ReasoningPart(text="hm", vendor="v"), TextPart("x")))],
    ],
)
def test_who_is_strict_gets_an_error_instead(said: list[ChatMessage]) -> None:
    """Nothing is moved, inserted or left out for a caller who forbids it."""
    adaptations = adaptations_of(is_strict=True)

    def adapt() -> None:
        _, rest = split_instructions(said, adaptations)
        as_turns(rest, adaptations, is_open_end_taken=False)

    with pytest.raises(UnsupportedParameterError) as caught:
        adapt()
    assert caught.value.field is not None
    assert caught.value.field.startswith("messages")
    assert adaptations.made == ()


def test_thoughts_are_left_out_and_that_is_told() -> None:
    """Only its own vendor could read them."""
    adaptations = adaptations_of()
    message = ChatMessage(Role.ASSISTANT, (ReasoningPart(text="hm", vendor="v"), TextPart("a"), TextPart("b")))
    assert text_in(message, position=4, adaptations=adaptations) == "ab"
    (made,) = adaptations.made
    assert (made.parameter, made.action) == ("messages[4].reasoning", AdaptationAction.DROPPED)


def test_a_part_that_cannot_be_said_is_an_error() -> None:
    """A picture is never dropped in silence; the error names the message."""
    message = ChatMessage(Role.USER, (TextPart("a"), ImagePart(media_type="image/png", data=b"x")))
    with pytest.raises(UnsupportedParameterError) as caught:
        text_in(message, position=2, adaptations=adaptations_of())
    assert caught.value.field == "messages[2].content"


@given(said=chat, is_open_end_taken=st.booleans())
@settings(max_examples=200)
def test_turns_alternate_begin_with_the_user_and_lose_nothing(
    said: list[ChatMessage], *, is_open_end_taken: bool
) -> None:
    """Whatever the conversation, each text is in it once and in order, on the right side."""
    adaptations = adaptations_of()
    instructions, rest = split_instructions(said, adaptations)
    made = as_turns(rest, adaptations, is_open_end_taken=is_open_end_taken)

    roles = [turn.role for turn in made]
    assert roles[0] is Role.USER
    assert all(before is not after for before, after in itertools.pairwise(roles))
    assert set(roles) <= {Role.USER, Role.ASSISTANT}
    assert is_open_end_taken or roles[-1] is Role.USER

    assert instructions == tuple(message.text for message in said if message.role.is_instruction)
    kept = [(turn.role, text) for turn in made for text in turn.texts if text not in (OPENING_TEXT, CONTINUE_TEXT)]
    assert kept == [
        (
            Role.ASSISTANT if message.role is Role.ASSISTANT else Role.USER,
            f"{message.name}: {message.text}" if message.name and message.role is Role.USER else message.text,
        )
        for message in said
        if not message.role.is_instruction
    ]
    inserted = sum(len(turn.texts) for turn in made) - len(kept)
    assert inserted == sum(each.action is AdaptationAction.INSERTED for each in adaptations.made)
