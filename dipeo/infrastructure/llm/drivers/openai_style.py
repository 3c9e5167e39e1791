"""Messages with tools and pictures as OpenAI's clients write them, which many programs hold their history in."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Final

from attrs import evolve

from dipeo.domain.checks import check_identifier, check_text
from dipeo.domain.completion import ChatMessage, Role
from dipeo.domain.errors import ValidationError
from dipeo.domain.parts import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart

_DATA_URL: Final = re.compile(r"data:(?P<media_type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)
_IMAGE_KEYS: Final = frozenset({"type", "image_url"})
_IMAGE_URL_KEYS: Final = frozenset({"url", "detail"})
_MEDIA_TYPES: Final[Mapping[str, str]] = {"jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}


def read_tool_result(message: Mapping[str, object], where: str) -> ChatMessage:
    """`{"role": "tool", "tool_call_id": ..., "content": ...}`. Raises `ValidationError` naming what is wrong."""
    call_id = check_identifier(f"{where}.tool_call_id", message.get("tool_call_id") or "")
    content = check_text(f"{where}.content", message.get("content"))
    return ChatMessage(Role.TOOL, (ToolResultPart(call_id=call_id, content=content),))


def read_tool_calls(message: Mapping[str, object], where: str) -> ChatMessage:
    """An assistant's message with `tool_calls`, and a text or none. Raises `ValidationError` naming what is wrong."""
    if message.get("role") != Role.ASSISTANT.value:
        raise ValidationError(f"{where}.tool_calls belongs to the role 'assistant'.", field=f"{where}.tool_calls")
    calls, content = message["tool_calls"], message.get("content")
    if not isinstance(calls, list | tuple):
        raise ValidationError(f"{where}.tool_calls must be a list.", field=f"{where}.tool_calls")
    text: tuple[Part, ...] = (TextPart(check_text(f"{where}.content", content)),) if content else ()
    parts = (_tool_call(call, f"{where}.tool_calls[{place}]") for place, call in enumerate(calls))
    return ChatMessage(Role.ASSISTANT, (*text, *parts))


def _tool_call(call: object, where: str) -> ToolCallPart:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise ValidationError(f"{where} must hold an 'id' and a 'function'.", field=where)
    written = check_text(f"{where}.function.arguments", function.get("arguments"))
    try:
        arguments = json.loads(written or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise ValidationError(f"{where}.function.arguments is no JSON object.", field=f"{where}.function.arguments")
    return ToolCallPart(
        call_id=check_identifier(f"{where}.id", call.get("id") or ""),
        name=check_identifier(f"{where}.function.name", function.get("name") or ""),
        arguments=arguments,
    )


def read_image(piece: Mapping[str, object], where: str) -> ImagePart:
    """`{"type": "image_url", "image_url": {"url": ..., "detail": ...}}`; a data URL becomes bytes, any other stays."""
    image = piece.get("image_url")
    said = image if isinstance(image, Mapping) else {"url": image}
    unknown = sorted(str(key) for key in (piece.keys() - _IMAGE_KEYS) | (said.keys() - _IMAGE_URL_KEYS))
    if unknown:
        raise ValidationError(f"{where} holds unknown keys: {', '.join(unknown)}.", field=where)
    part = _read_url(said.get("url"), where)
    if said.get("detail") is None:
        return part
    try:
        return evolve(part, detail=check_text("detail", said["detail"]))
    except ValidationError as problem:
        place = f"{where}.image_url.detail"
        raise ValidationError(problem.message.replace("'detail'", place, 1), field=place) from None


def _read_url(given: object, where: str) -> ImagePart:
    url = check_text(f"{where}.image_url.url", given)
    if not url.startswith("data:"):
        ending = url.partition("?")[0].rpartition(".")[2].lower()
        return ImagePart(media_type=_MEDIA_TYPES.get(ending, "image/png"), url=url)
    found = _DATA_URL.fullmatch(url)
    try:
        data = base64.b64decode(found["data"], validate=True) if found else None
    except binascii.Error:
        data = None
    if found is None or not data:
        raise ValidationError(f"{where}.image_url.url is no base64 data URL.", field=f"{where}.image_url.url")
    return ImagePart(media_type=found["media_type"], data=data)
