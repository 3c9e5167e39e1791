"""Messages refuse what nobody can send, and show themselves only to those who may see them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import ValidationError
from dipeo.domain.message import EVERYONE, Message
from dipeo.domain.parts import (
    PART_TYPES,
    AudioPart,
    DocumentPart,
    ImageDetail,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_of,
)
from dipeo.domain.service import LLMService

BAD_IDENTIFIERS: tuple[object, ...] = (
    "",
    " ",
    " a",
    "a ",
    "a\nb",
    "a\r",
    "a\0",
    "a\x1b[31m",
    "\u202ea",
    "\ud800",
    "x" * 257,
    None,
    5,
    True,
    b"a",
    ["a"],
)
LONE_SURROGATES = ("\ud800", "a\udfff", "\udc00\ud800")

people = st.sampled_from(["ada", "bob", "cyd", "dan"])


def refused(field: str, make: Any, **values: Any) -> ValidationError:
    """The refusal, which must name the field."""
    with pytest.raises(ValidationError) as caught:
        make(**values)
    assert caught.value.field == field
    return caught.value


class TestVisibility:
    """Who sees what."""

    @given(sender=people, to=st.none() | people, visibility=st.none() | st.frozensets(people), reader=people)
    @settings(max_examples=100)
    def test_a_message_is_seen_by_the_right_people(
        self, sender: str, to: str | None, visibility: frozenset[str] | None, reader: str
    ) -> None:
        """Everyone sees what has no set; else those in the set, the sender, and the one spoken to."""
        message = Message(from_person_id=sender, to_person_id=to, content="x", visibility=visibility)
        may_see = visibility is None or reader in {*visibility, sender, to}
        assert message.is_visible_to(reader) is may_see

    def test_a_private_message_is_between_two(self) -> None:
        """Only sender and addressee see it."""
        message = Message.private(from_person_id="ada", to_person_id="bob", content="psst")
        assert [name for name in ("ada", "bob", "cyd") if message.is_visible_to(name)] == ["ada", "bob"]

    def test_to_speak_to_somebody_is_not_to_whisper(self) -> None:
        """An addressee alone hides nothing from the others."""
        message = Message(from_person_id="ada", to_person_id="bob", content="hello")
        assert message.visibility is EVERYONE
        assert message.is_visible_to("cyd")

    def test_any_collection_of_people_will_do(self) -> None:
        """Lists and generators of ids become a frozen set; later changes to the list change nothing."""
        readers = ["bob"]
        message = Message(from_person_id="ada", content="x", visibility=readers)
        readers.append("cyd")
        assert message.visibility == frozenset({"bob"})

    @pytest.mark.parametrize("visibility", ["bob", "", b"bob", 5, True, [5], [""], ["\ud800"], [["bob"]], [None]])
    def test_what_is_no_set_of_people_is_refused(self, visibility: object) -> None:
        """One text, which would be a set of letters, a bare number, and bad ids are refused."""
        refused("visibility", Message, from_person_id="ada", content="x", visibility=visibility)


class TestConstruction:
    """Bad values are refused where they enter."""

    @pytest.mark.parametrize("field", ["from_person_id", "to_person_id", "id"])
    @pytest.mark.parametrize("value", BAD_IDENTIFIERS)
    def test_bad_ids_are_refused(self, field: str, value: object) -> None:
        """Empty, endless, unprintable ids, lone surrogates and what is no text are refused by name."""
        if field == "to_person_id" and value is None:
            return
        refused(field, Message, **{"from_person_id": "ada", "content": "x", field: value})

    def test_an_id_may_be_of_any_script(self) -> None:
        """What is refused is what cannot be printed, not what is not English."""
        assert Message(from_person_id="Ada Łovelace 李", content="x").from_person_id == "Ada Łovelace 李"

    @given(id_=st.text(min_size=1, max_size=300))
    @settings(max_examples=60)
    def test_an_accepted_id_is_printable(self, id_: str) -> None:
        """Whatever the id, it is either refused or one printable line of at most 256 characters."""
        is_good = id_.isprintable() and len(id_) <= 256 and id_ == id_.strip()
        if is_good:
            assert Message(from_person_id=id_, content="x").from_person_id == id_
        else:
            refused("from_person_id", Message, from_person_id=id_, content="x")

    def test_a_time_needs_a_zone(self) -> None:
        """A naive time is refused: nobody could say when it was."""
        refused(
            "created_at",
            Message,
            from_person_id="ada",
            content="x",
            created_at=datetime(2026, 1, 1),
        )

    @pytest.mark.parametrize("moment", ["2026-01-01T00:00:00Z", 0, None, 1.5])
    def test_a_time_is_a_datetime(self, moment: object) -> None:
        """What is no datetime is refused like a naive one."""
        refused("created_at", Message, from_person_id="ada", content="x", created_at=moment)

    def test_any_zone_will_do(self) -> None:
        """A time in another zone is kept as it is."""
        moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        assert Message(from_person_id="ada", content="x", created_at=moment).created_at is moment

    def test_what_is_left_out_is_filled_in(self) -> None:
        """Every message has an id of its own and a time in UTC."""
        first, second = (Message(from_person_id="ada", content="x") for _ in range(2))
        assert first.id != second.id
        assert first.created_at.tzinfo is UTC

    @pytest.mark.parametrize("text", LONE_SURROGATES)
    def test_lone_surrogates_are_refused(self, text: str) -> None:
        """No provider can be sent half a character, so nobody may say it."""
        error = refused("content", Message, from_person_id="ada", content=text)
        assert "surrogate" in error.message
        str(error).encode()

    @pytest.mark.parametrize("content", [None, 5, b"x", (), [], [TextPart("x")], ("x",), (TextPart("x"), "y")])
    def test_content_is_text_or_parts(self, content: object) -> None:
        """Lists, bytes, bare texts in a tuple and nothing at all are no content."""
        refused("content", Message, from_person_id="ada", content=content)

    @given(text=st.text())
    @settings(max_examples=50)
    def test_all_other_text_is_taken_as_it_is(self, text: str) -> None:
        """NUL, combining marks, direction marks and emptiness pass unchanged."""
        message = Message(from_person_id="ada", content=text)
        assert message.text == text
        assert message.parts == (TextPart(text),)

    def test_a_message_cannot_be_changed(self) -> None:
        """Assigning to a field raises."""
        message = Message(from_person_id="ada", content="x")
        with pytest.raises(AttributeError):
            message.content = "y"  # type: ignore[misc]


class TestParts:
    """What a message can be made of."""

    MEDIA: tuple[type[Any], ...] = (ImagePart, DocumentPart, AudioPart)

    def test_the_list_of_parts_is_whole(self) -> None:
        """Every member of the union is in the table that constructors check against."""
        assert set(PART_TYPES) == set(Part.__args__)

    def test_the_text_of_parts_is_that_of_the_text_parts(self) -> None:
        """Thoughts, pictures and tools are left out of the text."""
        parts = (
            TextPart("a"),
            ReasoningPart(text="hm", vendor="v"),
            ImagePart(media_type="image/png", url="https://x/y"),
            TextPart("b"),
        )
        assert text_of(parts) == "ab"
        assert text_of(()) == ""
        assert Message(from_person_id="ada", content=parts).text == "ab"

    @pytest.mark.parametrize(
        ("make", "field", "values"),
        [
            (TextPart, "text", {}),
            (ToolResultPart, "content", {"call_id": "c"}),
            (ReasoningPart, "text", {"vendor": "v"}),
            (ReasoningPart, "signature", {"text": "t", "vendor": "v"}),
        ],
    )
    @pytest.mark.parametrize("value", [*LONE_SURROGATES, 5, b"x", ["x"]])
    def test_texts_are_text(self, make: Any, field: str, values: dict[str, Any], value: object) -> None:
        """What is no text, or cannot be written as UTF-8, is refused by the name of the field."""
        refused(field, make, **values, **{field: value})

    @pytest.mark.parametrize(
        ("make", "field", "values"),
        [
            (ToolCallPart, "call_id", {"name": "n", "arguments": {}}),
            (ToolCallPart, "name", {"call_id": "c", "arguments": {}}),
            (ToolResultPart, "call_id", {"content": "x"}),
            (ReasoningPart, "vendor", {"text": "x"}),
            (ImagePart, "media_type", {"data": b"x"}),
            (AudioPart, "media_type", {"data": b"x"}),
            (DocumentPart, "media_type", {"data": b"x"}),
            (DocumentPart, "name", {"media_type": "application/pdf", "data": b"x"}),
        ],
    )
    @pytest.mark.parametrize("value", [value for value in BAD_IDENTIFIERS if value is not None])
    def test_names_are_names(self, make: Any, field: str, values: dict[str, Any], value: object) -> None:
        """Empty or unprintable names are refused by the name of the field."""
        refused(field, make, **values, **{field: value})

    @pytest.mark.parametrize("value", ["", " ", " a", "a\nb", "\ud800", "x" * (16 * 1024 + 1), 5, b"x"])
    def test_addresses_are_addresses(self, value: object) -> None:
        """A URL may be long, as signed ones are, but it is one line of printable text."""
        refused("url", ImagePart, media_type="image/png", url=value)
        assert ImagePart(media_type="image/png", url="https://a.invalid/" + "x" * 2_000).url

    @pytest.mark.parametrize("make", MEDIA)
    def test_media_are_bytes_or_an_address(self, make: Any) -> None:
        """Neither and both are refused; either will do."""
        refused("data", make, media_type="a/b")
        refused("data", make, media_type="a/b", data=b"x", url="https://x/y")
        refused("data", make, media_type="a/b", data=b"")
        refused("data", make, media_type="a/b", data=b"", url="https://x/y")
        assert make(media_type="a/b", data=b"\0").data == b"\0"
        assert make(media_type="a/b", url="https://x/y").url == "https://x/y"

    @pytest.mark.parametrize("make", MEDIA)
    @pytest.mark.parametrize("data", ["eA==", 5, ["x"], True])
    def test_data_are_bytes(self, make: Any, data: object) -> None:
        """Text in base64 is no data, nor is anything else."""
        refused("data", make, media_type="a/b", data=data)

    def test_how_closely_a_picture_is_looked_at(self) -> None:
        """A word or its value; nothing is said unless it is given."""
        picture = ImagePart(media_type="image/png", url="https://x/y")
        assert picture.detail is None
        for detail in ImageDetail:
            assert ImagePart(media_type="image/png", data=b"x", detail=detail).detail is detail
            assert ImagePart(media_type="image/png", data=b"x", detail=detail.value).detail is detail

    @pytest.mark.parametrize("detail", ["", "HIGH", "best", 1, True, ["low"]])
    def test_another_detail_is_refused(self, detail: Any) -> None:
        """The error lists the words."""
        refused("detail", ImagePart, media_type="image/png", data=b"x", detail=detail)

    @pytest.mark.parametrize("make", MEDIA)
    def test_media_print_their_size_and_not_themselves(self, make: Any) -> None:
        """The repr of a picture is short, however large the picture."""
        shown = repr(make(media_type="a/b", data=b"secret" * 1000))
        assert "6000 bytes" in shown
        assert "secret" not in shown

    def test_a_signature_is_not_shown(self) -> None:
        """The vendor's proof does not end up in logs."""
        assert "sig" not in repr(ReasoningPart(text="t", vendor="v", signature="sigsig")).replace("signature", "")

    @pytest.mark.parametrize("flag", ["no", 1, None])
    def test_whether_a_tool_failed_is_a_boolean(self, flag: object) -> None:
        """A truthy text is no statement."""
        refused("is_error", ToolResultPart, call_id="c", content="x", is_error=flag)

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            (None, "arguments"),
            ([], "arguments"),
            ("{}", "arguments"),
            ({"a": float("nan")}, "arguments.a"),
            ({"a": [1, float("inf")]}, "arguments.a[1]"),
            ({"a": {"b": "\ud800"}}, "arguments.a.b"),
            ({"a": object()}, "arguments.a"),
            ({"a": b"x"}, "arguments.a"),
            ({"a": {1, 2}}, "arguments.a"),
        ],
    )
    def test_arguments_are_json(self, arguments: object, field: str) -> None:
        """What JSON cannot hold is refused with the path to it."""
        refused(field, ToolCallPart, call_id="c", name="n", arguments=arguments)

    @pytest.mark.parametrize("key", [1, None, True, ("a",)])
    def test_the_keys_of_arguments_are_text(self, key: object) -> None:
        """A key that JSON would have to change is refused."""
        with pytest.raises(ValidationError):
            ToolCallPart(call_id="c", name="n", arguments={key: 1})  # type: ignore[dict-item]

    def test_arguments_have_a_bottom(self) -> None:
        """64 levels are taken, more are not, and an endless loop is no recursion error."""

        def nested(levels: int) -> dict[str, Any]:
            value: dict[str, Any] = {}
            for _ in range(levels - 1):
                value = {"a": value}
            return value

        assert ToolCallPart(call_id="c", name="n", arguments=nested(64)).name == "n"
        loop: dict[str, Any] = {}
        loop["a"] = loop
        for arguments in (nested(65), nested(5000), loop):
            with pytest.raises(ValidationError):
                ToolCallPart(call_id="c", name="n", arguments=arguments)

    def test_what_was_called_does_not_change_afterwards(self) -> None:
        """A part keeps the arguments it was made with, whatever becomes of the dict they came in."""
        arguments = {"city": "Paris"}
        part = ToolCallPart(call_id="c", name="weather", arguments=arguments)
        arguments["city"] = "Rome"
        assert part.arguments == {"city": "Paris"}


class TestRequests:
    """What a request is made of."""

    def test_a_request_needs_messages(self) -> None:
        """There is nothing to answer in an empty list."""
        refused("messages", CompletionRequest, service=LLMService.OPENAI, model="m", messages=())

    @pytest.mark.parametrize("model", BAD_IDENTIFIERS)
    def test_a_request_needs_a_model(self, model: object) -> None:
        """Line breaks and the like in a model's name never get as far as a header or a URL."""
        said = (ChatMessage.from_text(Role.USER, "x"),)
        refused("model", CompletionRequest, service=LLMService.OPENAI, model=model, messages=said)

    def test_instructions_are_told_from_conversation(self) -> None:
        """System and developer instruct, nobody else does."""
        assert {role for role in Role if role.is_instruction} == {Role.SYSTEM, Role.DEVELOPER}

    def test_a_completion_tells_text_from_thoughts(self) -> None:
        """Text and reasoning are each joined from their own parts, and a cut-off answer says so."""
        completion = Completion(
            service=LLMService.OPENAI,
            model="m",
            parts=(ReasoningPart(text="hm", vendor="v"), TextPart("a"), TextPart("b")),
            finish_reason=FinishReason.LENGTH,
        )
        assert (completion.text, completion.reasoning, completion.is_truncated) == ("ab", "hm", True)
