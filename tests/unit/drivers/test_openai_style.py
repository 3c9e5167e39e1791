"""Messages as OpenAI's clients write them are read; what is wrong in them is named."""

import base64
from collections.abc import Mapping

import pytest

from dipeo.domain.completion import ChatMessage, Role
from dipeo.domain.errors import ValidationError
from dipeo.domain.parts import ImagePart, TextPart, ToolCallPart, ToolResultPart
from dipeo.infrastructure.llm.drivers.chat_messages import as_chat_messages

PIXEL = b"\x89PNG\r\n\x1a\n pixel"
DATA_URL = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"


def call(**function: object) -> dict[str, object]:
    return {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}", **function}}


def test_a_tool_round_is_read_as_parts() -> None:
    """Calls become parts of the assistant's message, beside its text, and a result is a message of the tool's."""
    read = as_chat_messages(
        [
            {"role": "user", "content": "Well?"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [call(arguments='{"at": "it"}')]},
            {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
            {"role": "assistant", "content": None, "tool_calls": [call(arguments="")]},
        ]
    )
    assert read[1:] == (
        ChatMessage(
            Role.ASSISTANT,
            (TextPart("Let me look."), ToolCallPart(call_id="call_1", name="look", arguments={"at": "it"})),
        ),
        ChatMessage(Role.TOOL, (ToolResultPart(call_id="call_1", content="a cat"),)),
        ChatMessage(Role.ASSISTANT, (ToolCallPart(call_id="call_1", name="look", arguments={}),)),
    )


@pytest.mark.parametrize(
    ("image", "part"),
    [
        ({"url": DATA_URL}, ImagePart(media_type="image/png", data=PIXEL)),
        (DATA_URL, ImagePart(media_type="image/png", data=PIXEL)),
        ({"url": "https://a.invalid/x.JPG?y=1"}, ImagePart(media_type="image/jpeg", url="https://a.invalid/x.JPG?y=1")),
        ({"url": "https://a.invalid/x"}, ImagePart(media_type="image/png", url="https://a.invalid/x")),
        ({"url": DATA_URL, "detail": "low"}, ImagePart(media_type="image/png", data=PIXEL, detail="low")),
        ({"url": DATA_URL, "detail": "original"}, ImagePart(media_type="image/png", data=PIXEL, detail="original")),
        ({"url": DATA_URL, "detail": None}, ImagePart(media_type="image/png", data=PIXEL)),
    ],
    ids=["data", "data as text", "address", "address without an ending", "low", "original", "no detail"],
)
def test_a_picture_is_read_as_a_part(image: object, part: ImagePart) -> None:
    """A data URL becomes the bytes in it; any other address is handed on and not fetched."""
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": image}]
    assert as_chat_messages([{"role": "user", "content": content}])[0].parts == (TextPart("What is this?"), part)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
        ({"role": "tool", "tool_call_id": "1"}, "messages[0].content"),
        ({"role": "user", "content": "x", "tool_calls": [call()]}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": {"a": 1}}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": [1]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [call(arguments="{")]}, "messages[0].tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call(arguments="[1]")]}, "messages[0].tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call(arguments=None)]}, "messages[0].tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call(name="")]}, "messages[0].tool_calls[0].function.name"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text"}}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[0].content[0].image_url.url"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": DATA_URL, "detail": "best"}}]},
            "messages[0].content[0].image_url.detail",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": DATA_URL, "detail": 1}}]},
            "messages[0].content[0].image_url.detail",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": DATA_URL, "size": 1}}]},
            "messages[0].content[0]",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": DATA_URL, "detail": "low"}]},
            "messages[0].content[0]",
        ),
        ({"role": "user", "content": [{"type": "hologram"}]}, "messages[0].content[0]"),
    ],
)
def test_what_is_wrong_is_named(message: Mapping[str, object], field: str) -> None:
    """The error names the very place."""
    with pytest.raises(ValidationError) as caught:
        as_chat_messages([message])
    assert caught.value.field == field
