"""Parts and turns of a generateContent request: calls and responses, signatures, attachments."""

from __future__ import annotations

import json

from dipeo.testing.simulator.dialects._gemini_fields import pick
from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, as_list, as_object, as_text
from dipeo.testing.simulator.media import decode_base64
from dipeo.testing.simulator.signatures import unseal
from dipeo.testing.simulator.wishes import Attachment, AttachmentKind, ToolAnswer

SERVICE = "google"
# Gemini's documentation names these for calls that another model made.
_FREE_SIGNATURES = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")
_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
_ERROR_KEYS = ("error", "errors")


def parts_of(content: JsonObject) -> list[JsonObject]:
    """The parts of a content; a single one may stand without an array."""
    parts = content.get("parts")
    return [as_object(part) for part in (as_list(parts) or [parts])]


def check_turns(contents: list[JsonObject], model: str) -> None:
    """Raise RefusalError for calls and responses that do not fit each other, and for changed signatures."""
    expected = 0
    for index, content in enumerate(contents):
        parts = parts_of(content)
        for number, part in enumerate(parts):
            _check_part(part, index, number)
        responses = sum(pick(part, "functionResponse") is not None for part in parts)
        if responses and not expected:
            raise refuse(400, "Please ensure that function response turn comes immediately after a function call turn.")
        if expected != responses:
            text = (
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
            raise refuse(400, text)
        expected = sum(pick(part, "functionCall") is not None for part in parts)
        if expected and (index == 0 or contents[index - 1].get("role") == "model"):
            text = (
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
            raise refuse(400, text)
    if expected:
        raise refuse(400, "Please ensure that function response turn comes immediately after a function call turn.")
    if model.startswith("gemini-3"):
        _check_signed(contents)


def _check_part(part: JsonObject, index: int, number: int) -> None:
    place = f"contents[{index}].parts[{number}]"
    signature = pick(part, "thoughtSignature")
    if signature is not None and not _is_good_signature(as_text(signature)):
        raise refuse(400, "Corrupted thought signature.")
    call, response = pick(part, "functionCall"), pick(part, "functionResponse")
    if call is not None and not as_text(as_object(call).get("name")):
        raise refuse(400, f"* GenerateContentRequest.{place}.function_call.name: Name cannot be empty.\n")
    if response is None:
        return
    fields = as_object(response)
    if not as_text(fields.get("name")):
        raise refuse(400, f"* GenerateContentRequest.{place}.function_response.name: Name cannot be empty.\n")
    if not isinstance(fields.get("response"), dict):
        raise refuse(
            400, f"Invalid value at '{place}.function_response.response' (type.googleapis.com/google.protobuf.Struct)"
        )


def _is_good_signature(signature: str) -> bool:
    decoded = decode_base64(signature.replace("-", "+").replace("_", "/")) or b""
    return (
        signature in _FREE_SIGNATURES
        or decoded.decode("ascii", "ignore") in _FREE_SIGNATURES
        or unseal(SERVICE, signature) is not None
    )


def _check_signed(contents: list[JsonObject]) -> None:
    # Only the turn that goes on is held to it: the first call of each step after the last question.
    for index in range(_last_question(contents), len(contents)):
        calls = [part for part in parts_of(contents[index]) if pick(part, "functionCall") is not None]
        if calls and pick(calls[0], "thoughtSignature") is None:
            name = as_object(pick(calls[0], "functionCall")).get("name")
            text = (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}` , position {index + 1}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )
            raise refuse(400, text)


def _last_question(contents: list[JsonObject]) -> int:
    asked = [
        index
        for index, content in enumerate(contents)
        if content.get("role") != "model" and any(pick(part, "functionResponse") is None for part in parts_of(content))
    ]
    return asked[-1] if asked else 0


def read_results(contents: list[JsonObject]) -> tuple[ToolAnswer, ...]:
    """The function responses after the last question."""
    found = []
    for content in contents[_last_question(contents) :]:
        for part in parts_of(content):
            response = as_object(pick(part, "functionResponse"))
            if response:
                found.append(_answer(response))
    return tuple(found)


def _answer(response: JsonObject) -> ToolAnswer:
    said = as_object(response.get("response"))
    is_error = bool(said) and all(key in _ERROR_KEYS for key in said)
    values = list(said.values())
    only = values[0] if len(values) == 1 else said
    text = only if isinstance(only, str) else json.dumps(only, ensure_ascii=False)
    return ToolAnswer(name=as_text(response.get("name")), text=text, is_error=is_error)


def read_attachments(contents: list[JsonObject]) -> tuple[Attachment, ...]:
    """Check all attachments and give those of the last question."""
    last: tuple[Attachment, ...] = ()
    for index, content in enumerate(contents):
        found = [
            _read_attachment(part, f"contents[{index}].parts[{number}]")
            for number, part in enumerate(parts_of(content))
        ]
        if content.get("role") != "model":
            last = tuple(one for one in found if one is not None)
    return last


def _read_attachment(part: JsonObject, place: str) -> Attachment | None:
    stored, inline = as_object(pick(part, "fileData")), as_object(pick(part, "inlineData"))
    if stored:
        if not as_text(pick(stored, "fileUri")):
            raise refuse(400, f"* GenerateContentRequest.{place}.file_data.file_uri: File URI cannot be empty.\n")
        media_type = as_text(pick(stored, "mimeType")) or "application/octet-stream"
        return Attachment(kind=_kind_of(media_type), media_type=media_type)
    if not inline:
        return None
    media_type = as_text(pick(inline, "mimeType"))
    if not media_type:
        raise refuse(400, f"* GenerateContentRequest.{place}.inline_data.mime_type: MIME type cannot be empty.\n")
    data = as_text(inline.get("data"))
    content = decode_base64(data.replace("-", "+").replace("_", "/"))
    if content is None:
        raise refuse(
            400, f"Invalid value at '{place}.inline_data.data' (TYPE_BYTES), Base64 decoding failed for \"{data[:20]}\""
        )
    if media_type not in (*_PICTURES, "application/pdf") and not media_type.startswith(("text/", "audio/", "video/")):
        raise refuse(400, f"Unsupported MIME type: {media_type}")
    return Attachment(kind=_kind_of(media_type), media_type=media_type, size_bytes=len(content))


def _kind_of(media_type: str) -> AttachmentKind:
    family = media_type.partition("/")[0]
    kinds: dict[str, AttachmentKind] = {"image": "image", "audio": "audio", "video": "video"}
    return kinds.get(family, "document")
