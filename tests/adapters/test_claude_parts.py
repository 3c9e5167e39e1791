"""What Anthropic is sent for each part, and what is refused or adapted because it takes it otherwise."""

from typing import Any

import pytest

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import InvalidRequestError, UnsupportedParameterError
from dipeo.domain.parts import (
    AudioPart,
    CitationPart,
    DocumentPart,
    ImagePart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.infrastructure.llm.adapters._claude_parts import SILENT_ERROR_TEXT
from dipeo.infrastructure.llm.drivers.spoken import CONTINUE_TEXT, OPENING_TEXT
from tests.adapters.claude_requests import (
    CALL,
    HELLO,
    NEW,
    OLD,
    RESULT,
    THOUGHT,
    WEATHER,
    adapted,
    asking,
    assistant,
    body_of,
    encoded,
    offering,
    results,
    user,
)

# --- parts ------------------------------------------------------------------------------------------------------------


def test_a_call_and_its_result_are_blocks() -> None:
    """The result goes to the other side, and says where it is an error."""
    failed = ToolResultPart(call_id="c1", content="No such city.", is_error=True)
    body = body_of(asking(HELLO, assistant(TextPart("Let me see."), CALL), results(failed), tooling=offering(WEATHER)))
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bonn"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "No such city.", "is_error": True},
            ],
        },
    ]


def test_results_come_first_in_the_one_turn_behind_their_calls() -> None:
    """Several results, and what somebody said between them, are one turn: the results, then the words."""
    other = ToolCallPart(call_id="c2", name="weather", arguments={})
    said = [
        HELLO,
        assistant(CALL, other),
        results(ToolResultPart(call_id="c2", content="Sun.")),
        ChatMessage.from_text(Role.USER, "Hurry!", name="ada"),
        results(RESULT),
    ]
    turn = body_of(asking(*said, tooling=offering(WEATHER)))["messages"][2]
    assert [block.get("tool_use_id") or block["text"] for block in turn["content"]] == ["c2", "c1", "ada: Hurry!"]


def test_ids_that_come_twice_are_told_apart() -> None:
    """Vendors without ids call each first call `call_0`, and some ids hold signs that Anthropic refuses."""
    zero = ToolCallPart(call_id="call_0", name="weather", arguments={})
    odd = ToolCallPart(call_id="weather:0", name="weather", arguments={})
    answer = ToolResultPart(call_id="call_0", content="Rain.")
    said = [
        HELLO,
        assistant(zero),
        results(answer),
        assistant(zero, odd),
        results(ToolResultPart(call_id="weather:0", content="Sun."), answer),
    ]
    messages = body_of(asking(*said, tooling=offering(WEATHER)))["messages"]
    assert [block["id"] for message in messages[1::2] for block in message["content"]] == [
        "call_0",
        "call_0_2",
        "weather_0",
    ]
    assert [block["tool_use_id"] for message in messages[2::2] for block in message["content"]] == [
        "call_0",
        "weather_0",
        "call_0_2",
    ]


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ([HELLO, assistant(TextPart("a"), CALL)], "messages[1].content[1]"),
        ([HELLO, assistant(CALL), HELLO], "messages[1].content[0]"),
        ([HELLO, assistant(CALL), assistant(TextPart("a")), HELLO], "messages[1].content[0]"),
        ([HELLO, results(RESULT)], "messages[1].content[0]"),
        ([HELLO, assistant(CALL), results(RESULT), results(RESULT)], "messages[3].content[0]"),
    ],
    ids=["open at the end", "not answered", "two messages of one turn", "no call", "answered twice"],
)
def test_a_call_without_its_result_is_an_error_that_names_it(said: list[ChatMessage], where: str) -> None:
    """Anthropic refuses such a conversation, so that it is not sent."""
    with pytest.raises(InvalidRequestError) as caught:
        encoded(asking(*said, tooling=offering(WEATHER)))
    assert caught.value.field == where


def test_broken_arguments_are_sent_as_none_and_that_is_told() -> None:
    """The interface takes nothing but an object."""
    broken = ToolCallPart(call_id="c1", name="weather", arguments={}, broken_arguments='{"city": "Bo')
    body, told = adapted(asking(HELLO, assistant(broken), results(RESULT), tooling=offering(WEATHER)))
    assert body["messages"][1]["content"][0]["input"] == {}
    assert told == [("messages[1].content[0].arguments", AdaptationAction.SUBSTITUTED)]


def test_a_conversation_with_calls_brings_its_tools() -> None:
    """Where no tool is offered any more those that were called are described, not to be called again."""
    odd = ToolCallPart(call_id="c1", name="funny.weather", arguments={})
    body, told = adapted(asking(HELLO, assistant(odd), results(RESULT)))
    assert body["tools"] == [{"name": "funny_weather", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}
    assert body["messages"][1]["content"][0]["name"] == "funny_weather"
    assert sorted(told) == [
        ("messages[1].content[0].name", AdaptationAction.SUBSTITUTED),
        ("tools", AdaptationAction.INSERTED),
    ]


PNG = ImagePart(media_type="image/png", data=b"png")
PDF = DocumentPart(media_type="application/pdf", data=b"pdf", name="Report")
MEDIA: dict[str, tuple[Part, dict[str, Any]]] = {
    "picture": (PNG, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}}),
    "picture at a URL": (
        ImagePart(media_type="image/tiff", url="https://x.test/a"),
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a"}},
    ),
    "PDF": (
        PDF,
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"},
            "title": "Report",
        },
    ),
    "PDF at a URL": (
        DocumentPart(media_type="application/pdf", url="https://x.test/b"),
        {"type": "document", "source": {"type": "url", "url": "https://x.test/b"}},
    ),
    "plain text": (
        DocumentPart(media_type="text/plain", data="Grüße".encode()),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
    ),
}


@pytest.mark.parametrize("name", MEDIA)
def test_pictures_and_documents_are_sent_as_bytes_or_by_their_url(name: str) -> None:
    """Bytes in base64, URLs as they are; nothing is fetched."""
    part, block = MEDIA[name]
    assert body_of(asking(user(TextPart("Look:"), part)))["messages"][0]["content"][1] == block


@pytest.mark.parametrize(
    ("model", "message", "where"),
    [
        (NEW, user(AudioPart(media_type="audio/wav", data=b"x")), "messages[1].content[0]"),
        (NEW, user(TextPart("a"), ImagePart(media_type="image/bmp", data=b"x")), "messages[1].content[1]"),
        (NEW, user(DocumentPart(media_type="text/html", data=b"x")), "messages[1].content[0]"),
        (NEW, user(DocumentPart(media_type="text/plain", url="https://x.test")), "messages[1].content[0]"),
        (NEW, user(DocumentPart(media_type="text/plain", data=b"\xff")), "messages[1].content[0]"),
        (NEW, assistant(TextPart("a"), PNG), "messages[1].content[1]"),
        (NEW, user(CALL), "messages[1].content[0]"),
        (NEW, ChatMessage(Role.SYSTEM, (TextPart("a"), PNG)), "messages[1].content[1]"),
        ("claude-2.1", user(PNG), "messages[1].content[0]"),
        (OLD, user(PDF), "messages[1].content[0]"),
        ("some-model", user(PNG), "messages[1].content[0]"),
    ],
)
def test_what_the_model_cannot_take_is_an_error_that_names_it(model: str, message: ChatMessage, where: str) -> None:
    """A part is never dropped in silence."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asking(HELLO, message, HELLO, model=model))
    assert caught.value.field == where


def test_thoughts_go_back_unchanged_and_in_place() -> None:
    """Shown, hidden and redacted ones, each with what proves it, before what came of them."""
    hidden = ReasoningPart(text="", vendor="anthropic", signature="aGlk")
    redacted = ReasoningPart(text="", vendor="anthropic", signature="cmVk", is_redacted=True)
    said = [HELLO, assistant(THOUGHT, redacted, TextPart("Aha."), hidden, CALL), results(RESULT)]
    content = body_of(asking(*said, tooling=offering(WEATHER)))["messages"][1]["content"]
    assert [block["type"] for block in content] == ["thinking", "redacted_thinking", "text", "thinking", "tool_use"]
    assert content[0] == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    assert content[1] == {"type": "redacted_thinking", "data": "cmVk"}
    assert content[3] == {"type": "thinking", "thinking": "", "signature": "aGlk"}


LEFT_OUT: dict[str, tuple[str, Part]] = {
    "another vendor's thought": (NEW, ReasoningPart(text="Hm.", vendor="google", signature="x")),
    "another vendor's search": (NEW, ProviderToolPart(vendor="openai", name="web_search", data={"type": "call"})),
    "a thought without proof": (NEW, ReasoningPart(text="Hm.", vendor="anthropic")),
    "a thought for a model that has none": (OLD, THOUGHT),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_says_nothing_to_the_model_is_left_out_and_that_is_told(name: str) -> None:
    """A history survives a change of provider; who is strict is told instead."""
    model, part = LEFT_OUT[name]
    said = (HELLO, assistant(part, TextPart("Aha.")), HELLO)
    body, told = adapted(asking(*said, model=model))
    assert body["messages"][1] == {"role": "assistant", "content": "Aha."}
    assert told == [("messages[1].content[0]", AdaptationAction.DROPPED)]
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asking(*said, model=model, is_strict=True))
    assert caught.value.field == "messages[1].content[0]"


def test_a_thought_that_nothing_came_of_is_left_out() -> None:
    """Anthropic takes no message that ends in one, and none that is empty."""
    body, told = adapted(asking(HELLO, assistant(TextPart("Aha."), THOUGHT), HELLO, assistant(THOUGHT), HELLO))
    assert [message["content"] for message in body["messages"]] == [
        "Hello",
        "Aha.",
        [{"type": "text", "text": "Hello"}, {"type": "text", "text": "Hello"}],
    ]
    assert told == [
        ("messages[1].content[1]", AdaptationAction.DROPPED),
        ("messages[3].content[0]", AdaptationAction.DROPPED),
        ("messages[3]", AdaptationAction.DROPPED),
    ]


def test_citations_stay_here_and_what_the_provider_found_goes_back() -> None:
    """The vendor's own blocks go back as they came."""
    found: dict[str, Any] = {
        "type": "web_search_tool_result",
        "tool_use_id": "s1",
        "content": [{"encrypted_content": "x"}],
    }
    answer = assistant(
        ProviderToolPart(vendor="anthropic", name="web_search", data=found),
        TextPart("Rain."),
        CitationPart(url="https://x.test", text="rain"),
    )
    assert body_of(asking(HELLO, answer, HELLO))["messages"][1]["content"] == [found, {"type": "text", "text": "Rain."}]


def test_a_paused_turn_goes_back_as_the_last_word() -> None:
    """It is the model's to go on, also where the model takes no other open end."""
    asked: dict[str, Any] = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    paused = assistant(TextPart("I look."), ProviderToolPart(vendor="anthropic", name="web_search", data=asked))
    messages = body_of(asking(HELLO, paused))["messages"]
    assert messages[-1] == {"role": "assistant", "content": [{"type": "text", "text": "I look."}, asked]}
    other, told = adapted(asking(HELLO, assistant(TextPart("a"), TextPart("b"))))
    assert other["messages"][-1] == {"role": "user", "content": CONTINUE_TEXT}
    assert told == [("messages", AdaptationAction.INSERTED)]


def test_whoever_has_a_name_is_announced_once() -> None:
    """Before the first words, or before a picture that has none; an assistant who begins is given an opening."""
    body = body_of(asking(ChatMessage(Role.USER, (PNG, TextPart("a"), TextPart("b")), name="ada")))
    assert [block.get("text") for block in body["messages"][0]["content"]] == [None, "ada: a", "b"]
    body = body_of(asking(ChatMessage(Role.USER, (PNG,), name="ada")))
    assert body["messages"][0]["content"][0] == {"type": "text", "text": "ada:"}
    body, told = adapted(asking(assistant(TextPart("a"), TextPart("b")), HELLO))
    assert body["messages"][0] == {"role": "user", "content": OPENING_TEXT}
    assert told == [("messages", AdaptationAction.INSERTED)]


def test_instructions_stand_apart_from_parts() -> None:
    """Those in the middle of a conversation are moved to the front, and that is told."""
    late = ChatMessage(Role.SYSTEM, (TextPart("Be "), TextPart("kind.")))
    body, told = adapted(asking(ChatMessage.from_text(Role.SYSTEM, "Be brief."), user(PNG), late))
    assert body["system"] == "Be brief.\n\nBe kind."
    assert told == [("messages[2]", AdaptationAction.SUBSTITUTED)]


@pytest.mark.parametrize(
    ("message", "sent", "told"),
    [
        (
            results(ToolResultPart(call_id="c1", content="", is_error=True)),
            [
                {"type": "tool_result", "tool_use_id": "c1", "content": SILENT_ERROR_TEXT, "is_error": True},
            ],
            ("messages[2].content[0].content", AdaptationAction.INSERTED),
        ),
        (
            results(RESULT, TextPart(" \n")),
            [{"type": "tool_result", "tool_use_id": "c1", "content": "Rain."}],
            ("messages[2].content[1]", AdaptationAction.DROPPED),
        ),
    ],
)
def test_what_says_nothing_is_not_sent(
    message: ChatMessage, sent: list[dict[str, Any]], told: tuple[str, AdaptationAction]
) -> None:
    """An error without words gets some, and white space is left out: Anthropic refuses both."""
    body, adaptations = adapted(asking(HELLO, assistant(CALL), message, tooling=offering(WEATHER)))
    assert body["messages"][2]["content"] == sent
    assert adaptations == [told]
