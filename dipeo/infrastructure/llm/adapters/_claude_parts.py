"""The parts of a conversation as Anthropic's content blocks."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
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
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.image_detail import encode_detail
from dipeo.infrastructure.llm.drivers.turns import PartTurn, PlacedPart, WhyLeftOut

VENDOR: Final = "anthropic"

_IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF: Final = "application/pdf"
_PLAIN: Final = "text/plain"
_ASSISTANTS_ALONE: Final = (ToolCallPart, ReasoningPart, ProviderToolPart)
_USERS_ALONE: Final = (ToolResultPart, ImagePart, DocumentPart, AudioPart)
SILENT_ERROR_TEXT: Final = "(The tool failed and did not say why.)"

MAX_NAME_CHARS: Final = 128
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")


def why_left_out_by(capabilities: ModelCapabilities) -> WhyLeftOut:
    """Tells of each part why it is not sent: what another vendor signed, and thoughts that prove nothing."""
    can_think = bool(capabilities.efforts) or capabilities.takes_reasoning_budget

    def why_left_out(part: Part) -> str | None:
        if isinstance(part, ReasoningPart | ProviderToolPart) and part.vendor != VENDOR:
            return f"what {part.vendor}'s model did by itself says nothing to Anthropic's."
        if isinstance(part, TextPart) and part.text.isspace():
            return "Anthropic takes no text that is nothing but white space."
        if not isinstance(part, ReasoningPart):
            return None
        if part.signature is None:
            return "a thought without its signature is not taken back."
        return None if can_think else "the model does not think, and takes no thoughts back."

    return why_left_out


def is_paused(messages: Sequence[ChatMessage]) -> bool:
    """Whether the conversation ends in a turn that the provider paused: it goes back as it is, to be continued."""
    last = messages[-1]
    parts = [part for part in last.parts if not isinstance(part, CitationPart)]
    return (
        last.role is Role.ASSISTANT
        and bool(parts)
        and isinstance(part := parts[-1], ProviderToolPart)
        and part.vendor == VENDOR
    )


def without_last_thoughts(messages: Sequence[ChatMessage], adaptations: Adaptations) -> tuple[ChatMessage, ...]:
    """The messages without thoughts that nothing came of, such as those of an answer that was cut off."""
    return tuple(
        _without_last_thoughts(message, position, adaptations)
        if message.parts and isinstance(message.parts[-1], ReasoningPart)
        else message
        for position, message in enumerate(messages)
    )


def _without_last_thoughts(message: ChatMessage, position: int, adaptations: Adaptations) -> ChatMessage:
    parts = message.parts
    while parts and isinstance(parts[-1], ReasoningPart):
        parts = parts[:-1]
        where = f"messages[{position}].content[{len(parts)}]"
        adaptations.dropped(where, "Anthropic takes no message that ends in a thought.")
    return ChatMessage(message.role, parts, name=message.name)


def encode_turns(
    turns: Sequence[PartTurn], model: str, capabilities: ModelCapabilities, adaptations: Adaptations
) -> list[JsonValue]:
    """The turns as messages. Raises `UnsupportedParameterError` naming a part that the model does not take."""
    encoder = _BlockEncoder(model, capabilities, adaptations)
    return [{"role": turn.role.value, "content": _content(turn, encoder)} for turn in turns]


def _content(turn: PartTurn, encoder: "_BlockEncoder") -> JsonValue:
    if len(turn.parts) == 1 and isinstance(part := turn.parts[0].part, TextPart):
        return part.text
    return [encoder.encode(placed, turn.role) for placed in turn.parts]


def sent_name(name: str) -> str:
    """The name of a tool that was called, as it is sent: another vendor's may hold what Anthropic does not take."""
    return _NOT_IN_A_NAME.sub("_", name)[:MAX_NAME_CHARS]


class _BlockEncoder:
    """Encodes the parts of one request in order, and keeps the ids of its calls apart."""

    __slots__ = ("_adaptations", "_capabilities", "_ids", "_model")

    def __init__(self, model: str, capabilities: ModelCapabilities, adaptations: Adaptations) -> None:
        self._model = model
        self._capabilities = capabilities
        self._adaptations = adaptations
        self._ids = _CallIds()

    def encode(self, placed: PlacedPart, role: Role) -> JsonObject:
        part = placed.part
        if isinstance(part, _USERS_ALONE if role is Role.ASSISTANT else _ASSISTANTS_ALONE):
            raise _not_taken(placed, f"stands in a turn of the {role.value}'s, which cannot hold one")
        match part:
            case TextPart():
                return {"type": "text", "text": part.text}
            case ToolCallPart():
                return self._call(part, placed)
            case ToolResultPart():
                return self._result(part, placed)
            case ReasoningPart():
                return _thought(part)
            case ProviderToolPart():
                return part.data
            case ImagePart():
                return self._image(part, placed)
            case DocumentPart():
                return self._document(part, placed)
            case _:
                raise _not_taken(placed, "is of a kind that Anthropic's models do not take")

    def _call(self, part: ToolCallPart, placed: PlacedPart) -> JsonObject:
        if part.broken_arguments is not None:
            reason = "the interface takes no arguments but a JSON object, so that broken ones are sent as an empty one."
            self._adaptations.note(f"{placed.where}.arguments", AdaptationAction.SUBSTITUTED, reason)
        name = sent_name(part.name)
        if name != part.name:
            reason = "Anthropic takes tool names of letters, digits, '_' and '-'."
            self._adaptations.note(f"{placed.where}.name", AdaptationAction.SUBSTITUTED, reason)
        return {"type": "tool_use", "id": self._ids.of_call(part), "name": name, "input": part.arguments}

    def _result(self, part: ToolResultPart, placed: PlacedPart) -> JsonObject:
        result = {"type": "tool_result", "tool_use_id": self._ids.of_result(part), "content": part.content}
        if not part.is_error:
            return result
        if not part.content:
            reason = "Anthropic takes no error that says nothing."
            self._adaptations.note(f"{placed.where}.content", AdaptationAction.INSERTED, reason)
        return {**result, "content": part.content or SILENT_ERROR_TEXT, "is_error": True}

    def _image(self, part: ImagePart, placed: PlacedPart) -> JsonObject:
        if not self._capabilities.takes_images:
            raise _not_taken(placed, f"is a picture, and {self._model} takes none")
        encode_detail(part, placed.where, self._adaptations)
        if part.data is None:
            return {"type": "image", "source": {"type": "url", "url": part.url}}
        if part.media_type not in _IMAGE_TYPES:
            known = ", ".join(sorted(_IMAGE_TYPES))
            raise _not_taken(placed, f"is of type {part.media_type!r}, and Anthropic takes {known}")
        return {"type": "image", "source": _base64(part.data, part.media_type)}

    def _document(self, part: DocumentPart, placed: PlacedPart) -> JsonObject:
        if not self._capabilities.takes_documents:
            raise _not_taken(placed, f"is a document, and {self._model} takes none")
        title: Mapping[str, JsonValue] = {} if part.name is None else {"title": part.name}
        return {"type": "document", "source": _document_source(part, placed), **title}


class _CallIds:
    """The ids under which calls are sent: of characters that Anthropic takes, and each of them once.

    Vendors without ids of their own get `call_0` in every answer, which here must not come twice. An id says nothing
    but which result is whose, so that another one changes nothing of what was asked.
    """

    __slots__ = ("_open", "_taken")

    def __init__(self) -> None:
        self._taken = set[str]()
        self._open: dict[str, list[str]] = {}

    def of_call(self, part: ToolCallPart) -> str:
        wanted = _NOT_IN_A_NAME.sub("_", part.call_id)
        sent, number = wanted, 1
        while sent in self._taken:
            number += 1
            sent = f"{wanted}_{number}"
        self._taken.add(sent)
        self._open.setdefault(part.call_id, []).append(sent)
        return sent

    def of_result(self, part: ToolResultPart) -> str:
        return self._open[part.call_id].pop(0)


def _thought(part: ReasoningPart) -> JsonObject:
    if part.is_redacted:
        return {"type": "redacted_thinking", "data": part.signature}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _document_source(part: DocumentPart, placed: PlacedPart) -> JsonObject:
    if part.media_type == _PDF:
        return {"type": "url", "url": part.url} if part.data is None else _base64(part.data, _PDF)
    if part.media_type != _PLAIN or part.data is None:
        raise _not_taken(placed, f"is of type {part.media_type!r}, and Anthropic takes PDFs, and plain text as bytes")
    try:
        return {"type": "text", "media_type": _PLAIN, "data": part.data.decode()}
    except UnicodeDecodeError:
        raise _not_taken(placed, "is plain text that is not in UTF-8") from None


def _base64(data: bytes, media_type: str) -> JsonObject:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode("ascii")}


def _not_taken(placed: PlacedPart, why: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"{placed.where} ({type(placed.part).__name__}) {why}.",
        field=placed.where,
        suggestion="Leave it out, or choose a model that takes it.",
    )
