"""Content blocks of a Messages request: their shapes, signatures and attachments."""

from __future__ import annotations

from collections.abc import Iterator

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text
from dipeo.testing.simulator.media import decode_base64, sniff_media_type
from dipeo.testing.simulator.signatures import unseal
from dipeo.testing.simulator.wishes import Attachment

SERVICE = "anthropic"
_USER_TAGS = ("text", "image", "document", "search_result", "tool_result", "container_upload", "mid_conv_system")
_RESULT_TAGS = (
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
)
_ASSISTANT_TAGS = ("text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", *_RESULT_TAGS)
_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MAX_CACHE_MARKS = 4


def check_blocks(content: JsonValue, role: str, place: str) -> None:
    """Raise RefusalError for a block that Anthropic would not take from this role."""
    tags = _ASSISTANT_TAGS if role == "assistant" else _USER_TAGS
    for index, block in enumerate(map(as_object, as_list(content))):
        kind, at = block.get("type"), f"{place}.{index}"
        if kind is None:
            raise refuse(400, f"{at}.type: Field required")
        if kind not in tags:
            expected = ", ".join(f"'{tag}'" for tag in tags)
            text = f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {expected}"
            raise refuse(400, text)
        if kind == "text" and not as_text(block.get("text")).strip():
            raise refuse(400, f"{at}: text content blocks must contain non-whitespace text")
        _check_block(block, at)


def _check_block(block: JsonObject, at: str) -> None:
    kind = as_text(block["type"])
    if kind == "thinking":
        _check_thinking(block, at)
    elif kind == "redacted_thinking" and unseal(SERVICE, as_text(block.get("data"))) is None:
        raise refuse(400, f"{at}: Invalid `data` in `redacted_thinking` block")
    elif kind in ("tool_use", "server_tool_use"):
        _check_use(block, f"{at}.{kind}")
    elif kind == "tool_result":
        if not as_text(block.get("tool_use_id")):
            raise refuse(400, f"{at}.tool_result.tool_use_id: Field required")
        check_blocks(block.get("content"), "user", f"{at}.tool_result.content")
    elif kind == "web_search_tool_result":
        _check_pages(block, f"{at}.{kind}")
    elif kind in ("image", "document"):
        read_attachment(block, at)


def _check_use(block: JsonObject, place: str) -> None:
    for name in ("id", "name", "input"):
        if name not in block:
            raise refuse(400, f"{place}.{name}: Field required")
    if not isinstance(block["input"], dict):
        raise refuse(400, f"{place}.input: Input should be a valid dictionary")


def _check_pages(block: JsonObject, place: str) -> None:
    for number, page in enumerate(map(as_object, as_list(block.get("content")))):
        if unseal(SERVICE, as_text(page.get("encrypted_content"))) is None:
            raise refuse(400, f"{place}.content.{number}: Invalid `encrypted_content` in `search_result` block")


def _check_thinking(block: JsonObject, at: str) -> None:
    for name in ("thinking", "signature"):
        if not isinstance(block.get(name), str):
            raise refuse(400, f"{at}.thinking.{name}: Field required")
    signed, said = unseal(SERVICE, as_text(block["signature"])), as_text(block["thinking"])
    # Where the text was not shown it comes back empty.
    if signed is None or said not in ("", signed):
        raise refuse(400, f"{at}: Invalid `signature` in `thinking` block")


def attachments_of(content: JsonValue, place: str) -> Iterator[Attachment]:
    """Pictures and documents among the blocks, those inside tool results too."""
    for index, block in enumerate(map(as_object, as_list(content))):
        if block.get("type") in ("image", "document"):
            yield read_attachment(block, f"{place}.{index}")
        elif block.get("type") == "tool_result":
            yield from attachments_of(block.get("content"), f"{place}.{index}.content")


def read_attachment(block: JsonObject, at: str) -> Attachment:
    """One picture or document; raises RefusalError for a wrong source."""
    kind, source = as_text(block["type"]), as_object(block.get("source"))
    origin = as_text(source.get("type"))
    is_picture = kind == "image"
    usual = "image" if is_picture else "application/pdf"
    sort = "image" if is_picture else "document"
    if origin in ("url", "file"):
        if origin == "url" and not as_text(source.get("url")).startswith(("http://", "https://")):
            raise refuse(400, f"{at}.{kind}.source.url: Only HTTPS URLs are supported.")
        return Attachment(kind="image" if is_picture else "document", media_type=usual)
    if not is_picture and origin in ("text", "content"):
        size = len(as_text(source.get("data")).encode())
        return Attachment(kind="document", media_type="text/plain", size_bytes=size)
    if origin != "base64":
        raise refuse(
            400,
            f"{at}.{sort}.source: Input tag '{origin}' found using 'type' does not match any of the expected tags: "
            "'base64', 'url'",
        )
    return _read_base64(source, f"{at}.{kind}.source.base64", is_picture=is_picture)


def _read_base64(source: JsonObject, place: str, *, is_picture: bool) -> Attachment:
    media_type = as_text(source.get("media_type"))
    expected = _PICTURES if is_picture else ("application/pdf",)
    if media_type not in expected:
        words = " or ".join(filter(None, (", ".join(f"'{one}'" for one in expected[:-1]), f"'{expected[-1]}'")))
        raise refuse(400, f"{place}.media_type: Input should be {words}")
    content = decode_base64(as_text(source.get("data")))
    if content is None:
        raise refuse(400, f"{place}: invalid base64 data")
    found = sniff_media_type(content)
    if found is not None and found != media_type:
        noun = "image" if is_picture else "document"
        text = (
            f"{place}: The {noun} was specified using the {media_type} media type, "
            f"but the {noun} appears to be a {found} {noun}"
        )
        raise refuse(400, text)
    return Attachment(kind="image" if is_picture else "document", media_type=media_type, size_bytes=len(content))


def check_cache_marks(body: JsonObject) -> None:
    """Raise RefusalError for more `cache_control` marks than Anthropic takes."""
    count = _count_marks([body.get("system"), body.get("tools"), body.get("messages")])
    if count > _MAX_CACHE_MARKS:
        text = f"A maximum of {_MAX_CACHE_MARKS} blocks with cache_control may be provided. Found {count}."
        raise refuse(400, text)


def _count_marks(value: JsonValue) -> int:
    if isinstance(value, list):
        return sum(map(_count_marks, value))
    if isinstance(value, dict):
        inner = sum(_count_marks(one) for name, one in value.items() if name not in ("input", "input_schema"))
        return inner + (value.get("cache_control") is not None)
    return 0
