"""Reads and checks the messages of a call."""

from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.checks import check_identifier, check_text
from dipeo.domain.completion import ChatMessage, Role, new_message, nothing_to_answer
from dipeo.domain.errors import ValidationError
from dipeo.domain.message import check_content
from dipeo.domain.parts import Part, TextPart, new_text
from dipeo.infrastructure.llm.drivers.openai_style import read_image, read_tool_calls, read_tool_result

_ROLES: Final[Mapping[object, Role]] = {role.value: role for role in Role if role is not Role.TOOL}
_KEYS: Final = frozenset({"role", "content", "name"})
_TOOL_ROLE: Final = Role.TOOL.value


def as_chat_messages(messages: Sequence[Mapping[str, object] | ChatMessage]) -> tuple[ChatMessage, ...]:
    """The messages as values. Raises `ValidationError` naming the message and what is wrong with it."""
    if type(messages) is not list and not _is_sequence(messages):
        raise ValidationError(
            "'messages' must be a list of messages.",
            field="messages",
            suggestion='Write [{"role": "user", "content": "..."}].',
        )
    if not messages:
        raise nothing_to_answer()
    read: list[ChatMessage] = []
    try:
        for message in messages:
            # Of a role and a text, as nearly all are and every call reads them; anything raises for any other.
            if (
                type(message) is not dict
                or len(message) != 2
                or type(text := message["content"]) is not str
                or not text
            ):
                raise TypeError
            part = new_text(text) if text.isascii() else TextPart(text)
            read.append(new_message(_ROLES[message["role"]], (part,)))
    except (TypeError, KeyError, ValidationError):
        return tuple([_as_chat_message(message, index) for index, message in enumerate(messages)])
    return tuple(read)


def _is_sequence(messages: object) -> bool:
    return isinstance(messages, Sequence) and not isinstance(messages, str | bytes | Mapping)


def _as_chat_message(message: object, index: int) -> ChatMessage:
    if isinstance(message, ChatMessage):
        return _checked(message, f"messages[{index}]")
    if not isinstance(message, dict):
        if not isinstance(message, Mapping):
            where = f"messages[{index}]"
            raise ValidationError(f"{where} must be a mapping with 'role' and 'content'.", field=where)
        message = dict(message)
    if message.get("role") == _TOOL_ROLE:
        return read_tool_result(message, f"messages[{index}]")
    if message.get("tool_calls"):
        return read_tool_calls(message, f"messages[{index}]")
    word, content, name = message.get("role"), message.get("content"), message.get("name")
    role = _ROLES.get(word) if isinstance(word, str) else None
    if role is None or content is None or len(message) != (2 if name is None else 3):
        _check_shape(message, f"messages[{index}]")
    if name is not None:
        check_identifier(f"messages[{index}].name", name)
    try:
        parts = (TextPart(content),) if isinstance(content, str) else _parts(content, f"messages[{index}].content")
    except ValidationError as problem:
        where = f"messages[{index}].content" if problem.field in ("text", None) else str(problem.field)
        text = problem.message.replace("'text'", repr(where))
        raise ValidationError(text, field=where, suggestion=problem.suggestion) from None
    if content == "" and role is not Role.ASSISTANT:
        raise ValidationError(f"messages[{index}].content is empty.", field=f"messages[{index}].content")
    return ChatMessage(role or Role.USER, parts, name=name)


def _checked(message: ChatMessage, where: str) -> ChatMessage:
    if not isinstance(message.role, Role):
        raise ValidationError(f"{where}.role must be a Role, not {message.role!r}.", field=f"{where}.role")
    if message.name is not None:
        check_identifier(f"{where}.name", message.name)
    try:
        check_content(message.parts)
    except ValidationError as problem:
        raise ValidationError(f"{where}: {problem.message}", field=f"{where}.content") from None
    return message


def _check_shape(message: Mapping[object, object], where: str) -> None:
    """Raises for a role or a key that is not known; what is left out is found elsewhere."""
    unknown = ", ".join(sorted(str(key) for key in message.keys() - _KEYS - {"tool_calls"}))
    if unknown:
        raise ValidationError(f"{where} holds unknown keys: {unknown}.", field=where)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        known = ", ".join((*(str(name) for name in _ROLES), _TOOL_ROLE))
        raise ValidationError(f"{where}.role must be one of {known}, not {role!r}.", field=f"{where}.role")


def _parts(content: object, where: str) -> tuple[Part, ...]:
    """A list of pieces as other libraries write them (`{"type": "text", "text": ...}`, pictures), or of parts."""
    if not isinstance(content, list | tuple) or not content:
        raise ValidationError(f"{where} must be text or a non-empty list of parts.", field=where)
    return tuple(_part(part, f"{where}[{index}]") for index, part in enumerate(content))


def _part(part: object, where: str) -> Part:
    if isinstance(part, Part):
        return part
    if isinstance(part, Mapping) and part.get("type") == "text" and part.keys() == {"type", "text"}:
        return TextPart(check_text(f"{where}.text", part["text"]))
    if isinstance(part, Mapping) and part.get("type") == "image_url":
        return read_image(part, where)
    raise ValidationError(
        f"{where} is no part that can be sent.",
        field=where,
        suggestion="Pass text, or parts such as ImagePart, DocumentPart and AudioPart.",
    )
