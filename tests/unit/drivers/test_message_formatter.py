"""A shared conversation is rendered for one of those who take part in it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, Role
from dipeo.domain.message import Message
from dipeo.domain.parts import ImagePart, TextPart
from dipeo.infrastructure.llm.drivers.message_formatter import MessageFormatter

PEOPLE = ("ada", "bob", "cyd")
people = st.sampled_from(PEOPLE)
conversations = st.lists(st.tuples(people, st.none() | people, st.none() | st.frozensets(people)), max_size=10).map(
    lambda said: [
        Message(from_person_id=sender, to_person_id=to, visibility=readers, content=f"<text {index}>")
        for index, (sender, to, readers) in enumerate(said)
    ]
)

render = MessageFormatter().format_messages_for_llm


def test_own_words_are_the_assistants_and_others_are_named_users() -> None:
    """Whoever is asked is the assistant; everybody else is a user under their own id, in order."""
    said = [Message(from_person_id=who, content=f"I am {who}.") for who in ("bob", "ada", "cyd", "ada")]
    assert render(said, "ada") == (
        ChatMessage.from_text(Role.USER, "I am bob.", name="bob"),
        ChatMessage.from_text(Role.ASSISTANT, "I am ada."),
        ChatMessage.from_text(Role.USER, "I am cyd.", name="cyd"),
        ChatMessage.from_text(Role.ASSISTANT, "I am ada."),
    )


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.DEVELOPER, "system", "developer"])
def test_instructions_come_first_in_the_role_asked_for(role: Role | str) -> None:
    """The prompt stands before everything else, and nowhere else."""
    rendered = render([Message(from_person_id="bob", content="hi")], "ada", "Be kind.", system_role=role)
    assert rendered[0] == ChatMessage.from_text(Role(role), "Be kind.")
    assert [message.role for message in rendered[1:]] == [Role.USER]


@pytest.mark.parametrize("prompt", [None, ""])
def test_without_instructions_there_is_none(prompt: str | None) -> None:
    """No prompt and an empty prompt make no message."""
    assert render([], "ada", prompt) == ()


def test_the_role_is_system_unless_said_otherwise() -> None:
    """What every service knows is the default."""
    (instruction,) = render([], "ada", "Be kind.")
    assert instruction.role is Role.SYSTEM


def test_parts_are_passed_on_as_they_are() -> None:
    """Pictures and texts keep their order and stay apart."""
    parts = (TextPart("a"), ImagePart(media_type="image/png", data=b"x"), TextPart("b"))
    (rendered,) = render([Message(from_person_id="bob", content=parts)], "ada")
    assert rendered.parts == parts


@given(said=conversations, me=people)
@settings(max_examples=150)
def test_a_person_gets_what_they_may_see_and_nothing_else(said: list[Message], me: str) -> None:
    """Passed in or not, what is not for this person is not there; everything else is, once and in order."""
    rendered = render(said, me, "Be kind.")
    texts = [message.text for message in rendered[1:]]
    assert texts == [message.text for message in said if message.is_visible_to(me)]
    shown = repr(rendered)
    assert not any(message.text in shown for message in said if not message.is_visible_to(me))


@given(said=conversations, me=people)
@settings(max_examples=100)
def test_roles_follow_from_who_spoke(said: list[Message], me: str) -> None:
    """Own messages carry no name and the assistant's role, others' their sender's name and the user's role."""
    seen = [message for message in said if message.is_visible_to(me)]
    for message, rendered in zip(seen, render(said, me), strict=True):
        is_own = message.from_person_id == me
        assert rendered.role is (Role.ASSISTANT if is_own else Role.USER)
        assert rendered.name == (None if is_own else message.from_person_id)
