"""Messages as the input items of OpenAI's responses: the pure half that goes out.

Source of the shapes: OpenAI's API reference, "Create a model response", `input`.
"""

import hashlib
import mimetypes
from base64 import b64encode
from collections.abc import Sequence, Set
from typing import Final

from attrs import frozen

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import (
    CitationPart,
    DocumentPart,
    ImageDetail,
    ImagePart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.infrastructure.llm.adapters._chat_messages import ERROR_PREFIX, encode_arguments
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.image_detail import encode_detail
from dipeo.infrastructure.llm.drivers.spoken import spoken

MAX_CALL_ID_CHARS: Final = 64
IMAGE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


def encode_input(
    messages: Sequence[ChatMessage],
    *,
    vendor: str,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
    image_details: Set[ImageDetail],
) -> list[JsonValue]:
    """The input items. Raises `UnsupportedParameterError` naming a part that cannot be sent."""
    items: list[JsonValue] = []
    for position, message in enumerate(messages):
        parts = message.parts
        if message.role is Role.ASSISTANT:
            items += _own_items(parts, position, vendor=vendor, adaptations=adaptations)
        elif len(parts) == 1 and isinstance(parts[0], TextPart) and message.role is not Role.TOOL:
            role = _role_of(message, position, capabilities, adaptations)
            items.append({"role": role, "content": spoken(message, parts[0].text)})
        else:
            role = _role_of(message, position, capabilities, adaptations)
            items += _others_items(message, role, position, _Media(capabilities, adaptations, image_details))
    return items


def _role_of(message: ChatMessage, position: int, capabilities: ModelCapabilities, adaptations: Adaptations) -> str:
    if message.role is Role.DEVELOPER and not capabilities.knows_developer:
        reason = "the model knows the role 'system' alone."
        adaptations.note(f"messages[{position}].role", AdaptationAction.SUBSTITUTED, reason)
        return "system"
    return message.role.value


# --- what the model said itself --------------------------------------------------------------------------------------


def _own_items(
    parts: Sequence[Part], position: int, *, vendor: str, adaptations: Adaptations
) -> list[dict[str, JsonValue]]:
    """What the model thought, said and called, in its order; neighbouring texts are one message."""
    items: list[dict[str, JsonValue]] = []
    thought: ReasoningPart | None = None
    for place, part in enumerate(parts):
        where = f"messages[{position}].content[{place}]"
        if isinstance(part, TextPart):
            _add_text(items, part.text, is_only=len(parts) == 1)
        elif isinstance(part, ToolCallPart):
            items.append(_call_item(part, where, adaptations))
        elif isinstance(part, ReasoningPart):
            if _is_theirs(part, where, vendor, adaptations):
                _add_thought(items, part, thought)
                thought = part
        elif isinstance(part, ProviderToolPart):
            if part.vendor == vendor:
                items.append(dict(part.data))
            else:
                adaptations.dropped(where, f"what {part.vendor}'s own tool did is of no use to {vendor}.")
        elif not isinstance(part, CitationPart):
            raise _refused(part, where, "an answer of the model's")
    while items and items[-1].get("type") == "reasoning":
        items.pop()
        adaptations.dropped(f"messages[{position}].content", "reasoning is not taken without what came of it.")
    return items


def _add_text(items: list[dict[str, JsonValue]], text: str, *, is_only: bool) -> None:
    before = items[-1].get("content") if items and "role" in items[-1] else None
    if isinstance(before, str):
        items[-1]["content"] = before + text
    elif text or is_only:
        items.append({"role": "assistant", "content": text})


def _is_theirs(part: ReasoningPart, where: str, vendor: str, adaptations: Adaptations) -> bool:
    if part.vendor != vendor:
        adaptations.dropped(where, f"reasoning of {part.vendor}'s is of no use to {vendor}.")
        return False
    if part.signature is None and part.id is None:
        adaptations.dropped(where, "reasoning without id and signature cannot be sent back.")
        return False
    return True


def _add_thought(items: list[dict[str, JsonValue]], part: ReasoningPart, before: ReasoningPart | None) -> None:
    """One item for each thought; the further paragraphs of one have its id and no signature of their own."""
    pieces: list[JsonValue] = [{"type": "summary_text", "text": part.text}] if part.text else []
    last = items[-1] if items and items[-1].get("type") == "reasoning" else None
    if last is not None and before is not None and part.signature is None and part.id == before.id:
        told = last["summary"]
        last["summary"] = [*(told if isinstance(told, list) else ()), *pieces]
        return
    item: dict[str, JsonValue] = {"type": "reasoning", "summary": pieces}
    if part.id is not None:
        item["id"] = part.id
    if part.signature is not None:
        item["encrypted_content"] = part.signature
    items.append(item)


def _call_item(part: ToolCallPart, where: str, adaptations: Adaptations) -> dict[str, JsonValue]:
    if part.signature is not None:
        # No proof belongs to a call over this interface: it is another vendor's, or another interface's.
        adaptations.dropped(f"{where}.signature", f"only {part.vendor or 'its vendor'} can read it.")
    return {
        "type": "function_call",
        "call_id": _call_id(part.call_id),
        "name": part.name,
        "arguments": encode_arguments(part),
    }


def _call_id(call_id: str) -> str:
    """The id, or one in its place that is short enough: always the same for the same id."""
    return call_id if len(call_id) <= MAX_CALL_ID_CHARS else hashlib.sha256(call_id.encode()).hexdigest()


# --- what others said ------------------------------------------------------------------------------------------------


@frozen
class _Media:
    """What the encoding of pictures and documents looks at."""

    capabilities: ModelCapabilities
    adaptations: Adaptations
    image_details: Set[ImageDetail]


def _others_items(message: ChatMessage, role: str, position: int, media: _Media) -> list[dict[str, JsonValue]]:
    """Results of tools are items of their own; what else there is becomes one message."""
    results: list[dict[str, JsonValue]] = []
    content: list[JsonValue] = []
    is_named = False
    for place, part in enumerate(message.parts):
        where = f"messages[{position}].content[{place}]"
        if isinstance(part, ToolResultPart):
            output = ERROR_PREFIX + part.content if part.is_error else part.content
            results.append({"type": "function_call_output", "call_id": _call_id(part.call_id), "output": output})
        elif isinstance(part, TextPart) and message.role is not Role.TOOL:
            text = part.text if is_named else spoken(message, part.text)
            is_named = True
            content.append({"type": "input_text", "text": text})
        elif isinstance(part, ImagePart) and message.role is Role.USER:
            content.append(_image(part, where, media))
        elif isinstance(part, DocumentPart) and message.role is Role.USER:
            content.append(_document(part, where, media.capabilities))
        elif not isinstance(part, CitationPart):
            raise _refused(part, where, f"a message of the role {message.role.value!r}")
    if content and message.name and message.role is Role.USER and not is_named:
        content.insert(0, {"type": "input_text", "text": f"{message.name}:"})
    if content or not results:
        results.append({"role": role, "content": content or ""})
    return results


def _image(part: ImagePart, where: str, media: _Media) -> JsonObject:
    if not media.capabilities.takes_images:
        raise _refused(part, where, "a request to this model")
    if part.data is not None and part.media_type not in IMAGE_TYPES:
        raise _refused(part, where, f"with its type {part.media_type!r} a message", "Send PNG, JPEG, WebP or GIF.")
    detail = encode_detail(part, where, media.adaptations, taken=media.image_details)
    address = part.url or _data_url(part.media_type, part.data)
    return {"type": "input_image", "image_url": address, **({"detail": detail} if detail else {})}


def _document(part: DocumentPart, where: str, capabilities: ModelCapabilities) -> JsonObject:
    if not capabilities.takes_documents:
        raise _refused(part, where, "a request to this model")
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url}
    name = part.name or f"document{mimetypes.guess_extension(part.media_type) or ''}"
    return {"type": "input_file", "filename": name, "file_data": _data_url(part.media_type, part.data)}


def _data_url(media_type: str, data: bytes | None) -> str:
    return f"data:{media_type};base64,{b64encode(data or b'').decode()}"


def _refused(part: Part, where: str, what: str, suggestion: str = "") -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"{where} holds {type(part).__name__}, which {what} cannot hold over OpenAI's responses.",
        field=where,
        suggestion=suggestion or "Choose a model that takes it, or send text.",
    )
