"""Parts of a message in chat completions."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text
from dipeo.testing.simulator.media import decode_base64, read_data_url, sniff_media_type
from dipeo.testing.simulator.wishes import Attachment

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_KINDS = ("text", "image_url", "input_audio", "refusal", "audio", "file")
# What Mistral and OpenRouter know besides.
_FOREIGN_KINDS = ("thinking", "document_url", "reference", "video_url")
_SOUNDS = ("wav", "mp3")


def read_parts(message: JsonObject, place: str, *, is_openai: bool) -> tuple[Attachment, ...]:
    """The attachments of a message; raises RefusalError for a part that OpenAI would not take."""
    found = []
    for index, part in enumerate(as_list(message.get("content"))):
        attachment = _read_part(as_object(part), f"{place}.content[{index}]", is_openai=is_openai)
        if attachment is None:
            continue
        role = as_text(message.get("role"))
        if role != "user" and is_openai:
            text = (
                f"Invalid '{place}'. Image URLs are only allowed for messages with role 'user', "
                f"but this message with role '{role}' contains an image URL."
            )
            raise refuse(400, text, code="invalid_value", param=place)
        found.append(attachment)
    return tuple(found)


def _read_part(part: JsonObject, place: str, *, is_openai: bool) -> Attachment | None:
    kind = as_text(part.get("type"))
    if kind not in _KINDS and (is_openai or kind not in _FOREIGN_KINDS):
        text = f"Invalid value: '{kind}'. Supported values are: {', '.join(repr(name) for name in _KINDS)}."
        raise refuse(400, text, code="invalid_value", param=f"{place}.type")
    if kind == "image_url":
        return read_image(_url_of(part.get("image_url")), f"{place}.image_url.url")
    if kind == "input_audio":
        sound = part.get("input_audio")
        return read_audio(as_object(sound), f"{place}.input_audio") if is_openai else _foreign_audio(sound, place)
    if kind == "file":
        file = as_object(part.get("file"))
        if not is_openai and _is_address(as_text(file.get("file_data"))):
            return Attachment(kind="document", media_type="application/pdf")
        return read_file(file, f"{place}.file")
    if kind == "document_url":
        return Attachment(kind="document", media_type="application/pdf")
    if kind == "text" and not isinstance(part.get("text"), str):
        param = f"{place}.text"
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    return None


def read_image(url: str, param: str) -> Attachment:
    """A picture by its address or as a `data:` URL."""
    if _is_address(url):
        return Attachment(kind="image", media_type=_type_by_name(url))
    data = read_data_url(url)
    if data is None:
        text = f"Invalid '{param}'. Expected a valid URL, but got a value with an invalid format."
        raise refuse(400, text, code="invalid_value", param=param)
    if data.content is None:
        raise refuse(400, f"Invalid '{param}'. The base64 data is not valid.", code="invalid_base64", param=param)
    if data.media_type not in _PICTURES or sniff_media_type(data.content) == "application/pdf":
        text = (
            "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
            "['png', 'jpeg', 'gif', 'webp']."
        )
        raise refuse(400, text, code="invalid_image_format", param=param)
    return Attachment(kind="image", media_type=data.media_type, size_bytes=len(data.content))


def read_audio(fields: JsonObject, place: str) -> Attachment:
    """A sound in base64."""
    sound_format = as_text(fields.get("format"))
    if sound_format not in _SOUNDS:
        text = f"Invalid value: '{sound_format}'. Supported values are: 'wav' and 'mp3'."
        raise refuse(400, text, code="invalid_value", param=f"{place}.format")
    content = decode_base64(as_text(fields.get("data")))
    if content is None:
        text = f"Invalid '{place}.data'. The base64 data is not valid."
        raise refuse(400, text, code="invalid_base64", param=f"{place}.data")
    return Attachment(kind="audio", media_type=f"audio/{sound_format}", size_bytes=len(content))


def read_file(fields: JsonObject, place: str) -> Attachment:
    """A file by its id or address, or as a `data:` URL with its name."""
    if fields.get("file_id") or fields.get("file_url"):
        return Attachment(kind="document", media_type="application/pdf")
    data = read_data_url(as_text(fields.get("file_data")))
    if not fields.get("file_data"):
        param = f"{place}.file_id"
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    if data is None or data.content is None:
        param = f"{place}.file_data"
        text = (
            f"Invalid '{param}'. Expected a base64-encoded data URL with an application/pdf MIME type "
            "(e.g. 'data:application/pdf;base64,aGVsbG8gd29ybGQ='), but got a value without the 'data:' prefix."
        )
        raise refuse(400, text, code="invalid_value", param=param)
    if not as_text(fields.get("filename")):
        param = f"{place}.filename"
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    return Attachment(kind="document", media_type=data.media_type, size_bytes=len(data.content))


def _foreign_audio(sound: JsonValue, place: str) -> Attachment:
    """A sound of any form; Mistral takes its address or its base64 in place of an object."""
    fields = {"data": sound} if isinstance(sound, str) else as_object(sound)
    if _is_address(as_text(fields.get("data"))):
        return Attachment(kind="audio", media_type="audio")
    content = decode_base64(as_text(fields.get("data")))
    if content is None:
        param = f"{place}.input_audio"
        raise refuse(400, f"Invalid '{param}'. The base64 data is not valid.", code="invalid_base64", param=param)
    form = as_text(fields.get("format"))
    return Attachment(kind="audio", media_type=f"audio/{form}" if form else "audio", size_bytes=len(content))


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _url_of(value: JsonValue) -> str:
    # Mistral takes the address itself in place of an object.
    return value if isinstance(value, str) else as_text(as_object(value).get("url"))


def _type_by_name(url: str) -> str:
    ending = url.partition("?")[0].rpartition(".")[2].lower()
    return {
        "png": "image/png",
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "webp": "image/webp",
    }.get(ending, "image")
