"""Messages as JSON values, and back."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from attrs import fields

from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.message import Message
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

# The tag in the file picks from this closed table; it never names a class to look up.
_PART_TAGS: Mapping[str, type[Part]] = {
    "text": TextPart,
    "image": ImagePart,
    "document": DocumentPart,
    "audio": AudioPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
    "reasoning": ReasoningPart,
    "provider_tool": ProviderToolPart,
    "citation": CitationPart,
}
_TAGS_OF_PARTS = {part_type: tag for tag, part_type in _PART_TAGS.items()}

_T = TypeVar("_T")


def message_to_dict(message: Message) -> dict[str, JsonValue]:
    """The message as JSON values."""
    content = message.content
    return {
        "id": message.id,
        "from_person_id": message.from_person_id,
        "to_person_id": message.to_person_id,
        "visibility": None if message.visibility is None else sorted(message.visibility),
        "created_at": message.created_at.isoformat(),
        "content": content if isinstance(content, str) else [_part_to_dict(part) for part in content],
    }


def message_from_dict(entry: object, *, where: str) -> Message:
    """The message that `message_to_dict()` wrote. Raises `ValidationError` that says `where`."""
    if not isinstance(entry, Mapping):
        raise ValidationError(f"{where} must be an object.", field=where)
    visibility = entry.get("visibility")
    content = _member(entry, "content", (str, list), where)
    try:
        created_at = datetime.fromisoformat(_member(entry, "created_at", (str,), where))
    except ValueError:
        raise ValidationError(f"{where}.created_at is no ISO 8601 time.", field=f"{where}.created_at") from None
    return Message(
        id=_member(entry, "id", (str,), where),
        from_person_id=_member(entry, "from_person_id", (str,), where),
        to_person_id=entry.get("to_person_id"),
        visibility=None if visibility is None else _member(entry, "visibility", (list,), where),
        created_at=created_at,
        content=content if isinstance(content, str) else tuple(_part_from_dict(part, where=where) for part in content),
    )


def _member(entry: Mapping[str, _T], name: str, kinds: tuple[type, ...], where: str) -> _T:
    value = entry.get(name)
    if value is None or not isinstance(value, kinds):
        raise ValidationError(f"{where}.{name} is missing or of another kind.", field=f"{where}.{name}")
    return value


def _part_to_dict(part: Part) -> dict[str, JsonValue]:
    entry: dict[str, JsonValue] = {"type": _TAGS_OF_PARTS[type(part)]}
    for attribute in fields(type(part)):
        value = getattr(part, attribute.name)
        entry[attribute.name] = base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
    return entry


def _part_from_dict(entry: object, *, where: str) -> Part:
    tag = entry.get("type") if isinstance(entry, Mapping) else None
    part_type = _PART_TAGS.get(tag) if isinstance(tag, str) else None
    if part_type is None or not isinstance(entry, Mapping):
        raise ValidationError(f"{where}.content holds a part of unknown type.", field=f"{where}.content")
    values = {name: value for name, value in entry.items() if name != "type"}
    try:
        if isinstance(values.get("data"), str):
            values["data"] = base64.b64decode(values["data"], validate=True)
        return part_type(**values)
    except (TypeError, ValueError) as problem:
        raise ValidationError(f"{where}.content holds a broken part: {problem}.", field=f"{where}.content") from None
