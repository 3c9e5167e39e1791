"""The shape of JSON, and careful ways to look inside it."""

from __future__ import annotations

import json
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]


def encode_json(value: JsonValue) -> bytes:
    """Compact JSON in UTF-8, as most vendors send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def encode_pretty_json(value: JsonValue) -> bytes:
    """Indented JSON with a final line feed, as OpenAI and Gemini send it."""
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def as_object(value: JsonValue) -> JsonObject:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: JsonValue) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_count(value: JsonValue) -> int | None:
    """The value if it is an integer and no boolean, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_texts(value: JsonValue) -> tuple[str, ...]:
    """The strings in a value that is either one string or an array of them; empty ones are left out."""
    values = [value] if isinstance(value, str) else as_list(value)
    return tuple(text for text in values if isinstance(text, str) and text)


def join_texts(content: JsonValue) -> str:
    """The text of a message's content: a string, or the text parts of an array of parts, a line each."""
    if isinstance(content, str):
        return content
    texts = (as_object(part).get("text") if isinstance(part, dict) else part for part in as_list(content))
    return "\n".join(text for text in texts if isinstance(text, str))
