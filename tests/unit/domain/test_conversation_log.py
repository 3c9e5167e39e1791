"""One log that many share: it grows, it forks, it is written and read back."""

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import ValidationError
from dipeo.domain.message import Message
from dipeo.domain.parts import (
    AudioPart,
    DocumentPart,
    ImageDetail,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=("L", "N")), min_size=1, max_size=8)
media = {"media_type": names, "url": st.none()}
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, st.text()),
    st.builds(
        ImagePart,
        media_type=names,
        data=st.binary(min_size=1, max_size=9),
        detail=st.sampled_from([None, *ImageDetail]),
    ),
    st.builds(ImagePart, media_type=names, url=names),
    st.builds(DocumentPart, media_type=names, data=st.binary(min_size=1, max_size=9), name=st.none() | names),
    st.builds(AudioPart, media_type=names, data=st.binary(min_size=1, max_size=9)),
    st.builds(
        ToolCallPart, call_id=names, name=names, arguments=st.dictionaries(st.text(max_size=5), json_values, max_size=3)
    ),
    st.builds(ToolResultPart, call_id=names, content=st.text(), is_error=st.booleans()),
    st.builds(ReasoningPart, text=st.text(), vendor=names, signature=st.none() | st.text(max_size=5)),
)
moments = st.datetimes(
    min_value=datetime(1900, 1, 1),  # the zone is drawn below
    max_value=datetime(2200, 1, 1),
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
messages = st.builds(
    Message,
    from_person_id=names,
    to_person_id=st.none() | names,
    content=st.text() | st.lists(parts, min_size=1, max_size=4).map(tuple),
    visibility=st.none() | st.frozensets(names, max_size=3),
    created_at=moments,
)

PART_FIELDS = (
    *("text", "media_type", "data", "url", "name", "call_id"),
    *("arguments", "content", "is_error", "vendor", "signature", "other"),
)


def say(text: str, *, by: str = "ada", **more: Any) -> Message:
    """A message."""
    return Message(from_person_id=by, content=text, **more)


def written(**changes: Any) -> dict[str, Any]:
    """A document as `to_json()` writes it, with changes to its one message or, for known names, to itself."""
    document: dict[str, Any] = json.loads(Conversation([say("hello")], id="talk").to_json())
    for name, value in changes.items():
        (document if name in document and name != "id" else document["messages"][0])[name] = value
    return document


class TestLog:
    """A conversation in memory."""

    def test_messages_stand_in_the_order_in_which_they_were_added(self) -> None:
        """Appending and extending add at the end."""
        first, second, third = (say(text) for text in "abc")
        conversation = Conversation([first])
        conversation.append(second)
        conversation.extend([third])
        assert conversation.messages == tuple(conversation) == (first, second, third)
        assert len(conversation) == 3

    def test_a_message_is_in_it_once(self) -> None:
        """A second message of the same id is refused, and the log stays as it was."""
        conversation = Conversation([say("a", id="m1")])
        with pytest.raises(ValidationError) as caught:
            conversation.append(say("b", id="m1"))
        assert caught.value.field == "id"
        assert [message.text for message in conversation] == ["a"]

    @pytest.mark.parametrize("thing", ["hello", None, {"content": "x"}, TextPart("x")])
    def test_only_messages_are_taken(self, thing: Any) -> None:
        """Whatever is no message is refused by name."""
        with pytest.raises(ValidationError) as caught:
            Conversation().append(thing)
        assert caught.value.field == "message"

    def test_nothing_can_be_taken_out(self) -> None:
        """There is no way to remove or replace, and what it hands out is not the log itself."""
        conversation = Conversation([say("a")])
        assert isinstance(conversation.messages, tuple)
        for name in ("remove", "pop", "clear", "insert", "__setitem__", "__delitem__"):
            assert not hasattr(conversation, name)
        with pytest.raises(AttributeError):
            conversation.messages = ()  # type: ignore[misc]

    def test_it_can_grow_while_it_is_read(self) -> None:
        """A reader sees the messages that were there when it began."""
        conversation = Conversation([say("a"), say("b")])
        seen = []
        for message in conversation:
            seen.append(message.text)
            conversation.append(say("echo"))
        assert seen == ["a", "b"]
        assert len(conversation) == 4

    def test_each_sees_their_own_view(self) -> None:
        """Whispers are there for those they are meant for, in their place."""
        conversation = Conversation(
            [say("1"), Message.private(from_person_id="ada", to_person_id="bob", content="2"), say("3", by="cyd")]
        )
        assert [message.text for message in conversation.visible_to("bob")] == ["1", "2", "3"]
        assert [message.text for message in conversation.visible_to("cyd")] == ["1", "3"]

    @pytest.mark.parametrize("id_", ["", "a\n", "\ud800", 5])
    @pytest.mark.parametrize("field", ["id", "forked_from"])
    def test_bad_ids_are_refused(self, field: str, id_: Any) -> None:
        """The ids of conversations are names like any other."""
        with pytest.raises(ValidationError) as caught:
            Conversation(**{field: id_})
        assert caught.value.field == field

    def test_a_fork_goes_its_own_way(self) -> None:
        """A fork begins with what was said; afterwards neither side sees what the other adds."""
        trunk = Conversation([say("a")])
        fork = trunk.fork()
        trunk.append(say("trunk"))
        fork.append(say("fork"))
        assert [message.text for message in trunk] == ["a", "trunk"]
        assert [message.text for message in fork] == ["a", "fork"]
        assert fork.forked_from == trunk.id != fork.id

    def test_ids_of_the_trunk_are_known_to_the_fork(self) -> None:
        """A fork refuses a message that it has from its trunk already, and takes one that the trunk got later."""
        old, new = say("a"), say("b")
        trunk = Conversation([old])
        fork = trunk.fork()
        trunk.append(new)
        with pytest.raises(ValidationError):
            fork.append(old)
        fork.append(new)

    def test_it_prints_its_state_and_not_what_was_said(self) -> None:
        """The repr counts messages and speakers."""
        shown = repr(Conversation([say("secret"), say("b", by="bob")], id="talk"))
        assert shown == "<Conversation talk: 2 messages by 2 persons>"


class TestRoundTrip:
    """Written as JSON, and read back."""

    @given(said=st.lists(messages, max_size=4), forked_from=st.none() | names)
    @settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    def test_what_was_written_is_read_back(self, said: list[Message], forked_from: str | None) -> None:
        """Every part, visibility, time and id survives; the text is UTF-8."""
        conversation = Conversation(said, forked_from=forked_from)
        text = conversation.to_json()
        again = Conversation.from_json(text.encode().decode())
        assert again.messages == conversation.messages
        assert (again.id, again.forked_from) == (conversation.id, forked_from)
        assert again.to_json() == text

    def test_nobody_and_everybody_are_told_apart(self) -> None:
        """An empty set of readers does not become everyone."""
        whisper = Message.private(from_person_id="ada", to_person_id="bob", content="x")
        (again,) = Conversation.from_json(Conversation([whisper]).to_json())
        assert again.visibility == frozenset()
        assert not again.is_visible_to("cyd")

    def test_the_format_is_named_and_versioned(self) -> None:
        """The document says what it is, and reads as plain text does."""
        text = Conversation([say("Grüße")], id="talk").to_json()
        document = json.loads(text)
        assert (document["format"], document["version"], document["id"]) == ("dipeo.conversation", 1, "talk")
        assert "Grüße" in text


class TestReading:
    """What is no conversation is refused, and with no other error."""

    def test_an_unchanged_document_is_read(self) -> None:
        """The table below starts from something that is right."""
        assert len(Conversation.from_json(json.dumps(written()))) == 1

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"format": "other"}, "format"),
            ({"format": None}, "format"),
            ({"version": 2}, "version"),
            ({"version": "1"}, "version"),
            ({"version": None}, "version"),
            ({"version": True}, "version"),
            ({"messages": {}}, "messages"),
            ({"messages": None}, "messages"),
            ({"messages": ["x"]}, "messages[0]"),
            ({"messages": [{}]}, "messages[0].content"),
            ({"forked_from": 5}, "forked_from"),
            ({"id": None}, "messages[0].id"),
            ({"id": 5}, "messages[0].id"),
            ({"from_person_id": ["ada"]}, "messages[0].from_person_id"),
            ({"created_at": 5}, "messages[0].created_at"),
            ({"created_at": "yesterday"}, "messages[0].created_at"),
            ({"created_at": "2026-01-01T00:00:00"}, "created_at"),
            ({"visibility": "ada"}, "messages[0].visibility"),
            ({"visibility": [5]}, "visibility"),
            ({"visibility": [["ada"]]}, "visibility"),
            ({"visibility": [{}]}, "visibility"),
            ({"to_person_id": False}, "to_person_id"),
            ({"to_person_id": {}}, "to_person_id"),
            ({"content": None}, "messages[0].content"),
            ({"content": {}}, "messages[0].content"),
            ({"content": []}, "content"),
            ({"content": ["x"]}, "messages[0].content"),
            ({"content": [{"type": "Secret", "value": "x"}]}, "messages[0].content"),
            ({"content": [{"type": ["text"], "text": "x"}]}, "messages[0].content"),
            ({"content": [{"type": {}, "text": "x"}]}, "messages[0].content"),
            ({"content": [{"type": None, "text": "x"}]}, "messages[0].content"),
            ({"content": [{"type": "text"}]}, "messages[0].content"),
            ({"content": [{"type": "text", "text": 5}]}, "text"),
            ({"content": [{"type": "text", "text": "x", "__class__": "y"}]}, "messages[0].content"),
            ({"content": [{"type": "text", "text": "x", "self": "y"}]}, "messages[0].content"),
            ({"content": [{"type": "image", "media_type": "a/b", "data": "?"}]}, "messages[0].content"),
            ({"content": [{"type": "image", "media_type": "a/b", "data": "é"}]}, "messages[0].content"),
            ({"content": [{"type": "image", "media_type": "a/b", "data": 5}]}, "data"),
            ({"content": [{"type": "image", "media_type": "a/b", "data": ["x"]}]}, "data"),
            ({"content": [{"type": "image", "media_type": "a/b"}]}, "data"),
            ({"content": [{"type": "tool_call", "call_id": "c", "name": "n", "arguments": []}]}, "arguments"),
        ],
    )
    def test_a_document_of_another_shape_is_refused(self, changes: dict[str, Any], field: str) -> None:
        """The refusal names the place."""
        with pytest.raises(ValidationError) as caught:
            Conversation.from_json(json.dumps(written(**changes)))
        assert caught.value.field is not None
        assert caught.value.field.endswith(field)

    def test_a_conversation_without_an_id_is_refused(self) -> None:
        """Reading the same document twice must not give two different conversations."""
        document = written()
        del document["id"]
        with pytest.raises(ValidationError):
            Conversation.from_json(json.dumps(document))

    def test_two_messages_of_one_id_are_refused(self) -> None:
        """A document cannot hold what a conversation cannot."""
        document = written()
        document["messages"] *= 2
        with pytest.raises(ValidationError):
            Conversation.from_json(json.dumps(document))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "null",
            "[]",
            "NaN",
            "5",
            '"x"',
            "\ufeff{}",
            "[" * 100_000,
            '{"a": ' * 100_000,
            "1" * 5000,
            "\0",
            "{}x",
        ],
    )
    def test_what_is_no_json_is_refused(self, text: str) -> None:
        """Broken, bottomless and endless text is a refusal like any other."""
        with pytest.raises(ValidationError):
            Conversation.from_json(text)

    def test_numbers_that_json_has_not_are_refused(self) -> None:
        """NaN in a tool's arguments does not come in by a file either."""
        call = {"type": "tool_call", "call_id": "c", "name": "n", "arguments": {"a": float("nan")}}
        with pytest.raises(ValidationError):
            Conversation.from_json(json.dumps(written(content=[call])))

    @given(value=json_values)
    @settings(max_examples=60)
    def test_any_json_is_a_conversation_or_a_refusal(self, value: object) -> None:
        """No JSON value brings another error about."""
        with pytest.raises(ValidationError):
            Conversation.from_json(json.dumps(value))

    @given(
        place=st.sampled_from(
            ["id", "from_person_id", "to_person_id", "visibility", "created_at", "content", "version"]
        ),
        value=json_values,
    )
    @settings(max_examples=150)
    @example(place="visibility", value=[[]])
    @example(place="content", value=[{"type": []}])
    def test_any_json_in_any_place_is_taken_or_refused(self, place: str, value: object) -> None:
        """Whatever stands in a field, it is read or refused."""
        with contextlib.suppress(ValidationError):
            Conversation.from_json(json.dumps(written(**{place: value})))

    @given(
        tag=st.sampled_from(["text", "image", "document", "audio", "tool_call", "tool_result", "reasoning"]),
        values=st.dictionaries(
            st.sampled_from(PART_FIELDS),
            json_values | names,
            max_size=4,
        ),
    )
    @settings(max_examples=200)
    def test_any_json_in_any_part_is_taken_or_refused(self, tag: str, values: dict[str, object]) -> None:
        """Whatever a part holds, it is refused, or read so that it can be written again."""
        try:
            conversation = Conversation.from_json(json.dumps(written(content=[{"type": tag, **values}])))
        except ValidationError:
            return
        assert Conversation.from_json(conversation.to_json()).messages == conversation.messages

    def test_a_time_of_any_zone_is_read(self) -> None:
        """What was written with Z or an offset is the same moment."""
        (message,) = Conversation.from_json(json.dumps(written(created_at="2026-01-01T01:00:00+01:00")))
        assert message.created_at == datetime(2026, 1, 1, tzinfo=UTC)
