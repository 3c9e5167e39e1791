"""Reads and checks the messages of a call."""

from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.checks import check_identifier, check_text
from dipeo.domain.completion import ChatMessage, Role
from dipeo.domain.errors import ValidationError
from dipeo.domain.message import check_content
from dipeo.domain.parts import Part, TextPart

_ROLES: Final[Mapping[object, Role]] = {role.value: role for role in Role if role is not Role.TOOL}
_KEYS: Final = frozenset({"role", "content", "name"})


def as_chat_messages(messages: Sequence[Mapping[str, object] | ChatMessage]) -> tuple[ChatMessage, ...]:
    """The messages as values. Raises `ValidationError` naming the message and what is wrong with it."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise ValidationError(
            "'messages' must be a list of messages.",
            field="messages",
            suggestion='Write [{"role": "user", "content": "..."}].',
        )
    return tuple(_as_chat_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def _as_chat_message(message: Mapping[str, object] | ChatMessage, where: str) -> ChatMessage:
    if isinstance(message, ChatMessage):
        check_content(message.parts)
        return message
    if not isinstance(message, Mapping):
        raise ValidationError(f"{where} must be a mapping with 'role' and 'content'.", field=where)
    role = _ROLES.get(message.get("role"))
    if role is None:
        known = ", ".join(str(name) for name in _ROLES)
        raise ValidationError(
            f"{where}.role must be one of {known}, not {message.get('role')!r}.", field=f"{where}.role"
        )
    unknown = message.keys() - _KEYS
    if unknown:
        raise ValidationError(f"{where} holds unknown keys: {', '.join(sorted(map(str, unknown)))}.", field=where)
    name = message.get("name")
    if name is not None:
        check_identifier(f"{where}.name", name)
    return ChatMessage(role, _parts(message.get("content"), f"{where}.content"), name=name)  # type: ignore[arg-type]


def _parts(content: object, where: str) -> tuple[Part, ...]:
    """Text, or a list of `{"type": "text", "text": ...}` as other libraries write it, or parts."""
    if isinstance(content, str):
        check_text(where, content)
        return (TextPart(content),)
    if not isinstance(content, list | tuple) or not content:
        raise ValidationError(f"{where} must be text or a non-empty list of parts.", field=where)
    return tuple(_part(part, f"{where}[{index}]") for index, part in enumerate(content))


def _part(part: object, where: str) -> Part:
    if isinstance(part, Part):
        return part
    if isinstance(part, Mapping) and part.get("type") == "text" and part.keys() == {"type", "text"}:
        return TextPart(check_text(f"{where}.text", part["text"]))
    raise ValidationError(f"{where} is no part that can be sent; text is.", field=where)
