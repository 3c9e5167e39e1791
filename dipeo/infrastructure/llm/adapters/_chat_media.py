"""Pictures, documents and sounds as pieces of a chat message."""

import mimetypes
from base64 import b64encode
from collections.abc import Mapping
from typing import Final

from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import AudioPart, DocumentPart, ImagePart, Part
from dipeo.infrastructure.llm.adapters._chat_dialect import ChatDialect, DocumentStyle
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.image_detail import encode_detail

AUDIO_FORMATS: Final[Mapping[str, str]] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def encode_media(
    part: Part, where: str, dialect: ChatDialect, capabilities: ModelCapabilities, adaptations: Adaptations
) -> JsonObject:
    """The piece for a part. Raises `UnsupportedParameterError` naming the part that the model does not take."""
    if isinstance(part, ImagePart) and capabilities.takes_images:
        detail = encode_detail(part, where, adaptations, taken=dialect.image_details)
        return {"type": "image_url", "image_url": {"url": _address(part), **({"detail": detail} if detail else {})}}
    if isinstance(part, DocumentPart) and capabilities.takes_documents:
        return _document(part, where, dialect)
    if isinstance(part, AudioPart) and capabilities.takes_audio:
        return _sound(part, where, dialect)
    raise refused(part, where)


def refused(part: Part, where: str, suggestion: str = "Choose a model that takes it.") -> UnsupportedParameterError:
    """The error for a part that cannot be sent as it is."""
    name = type(part).__name__
    return UnsupportedParameterError(
        f"{where} holds {name}, which the model does not take there.", field=where, suggestion=suggestion
    )


def _document(part: DocumentPart, where: str, dialect: ChatDialect) -> JsonObject:
    if dialect.document_style is DocumentStyle.DOCUMENT_URL:
        piece: dict[str, str] = {"type": "document_url", "document_url": _address(part)}
        return {**piece, "document_name": part.name} if part.name else piece
    if part.url is not None and dialect.document_style is DocumentStyle.FILE_DATA:
        raise refused(part, where, "Send the document's bytes: the provider fetches none here.")
    name = part.name or f"document{mimetypes.guess_extension(part.media_type) or ''}"
    return {"type": "file", "file": {"filename": name, "file_data": _address(part)}}


def _sound(part: AudioPart, where: str, dialect: ChatDialect) -> JsonObject:
    if dialect.audio_is_plain:
        return {"type": "input_audio", "input_audio": part.url or b64encode(part.data or b"").decode()}
    if part.data is None:
        raise refused(part, where, "Send the sound's bytes: the provider fetches none here.")
    form = AUDIO_FORMATS.get(part.media_type)
    if form is None and dialect.takes_any_audio:
        form = part.media_type.rpartition("/")[2].removeprefix("x-")
    if form is None:
        raise refused(part, where, "Send WAV or MP3.")
    return {"type": "input_audio", "input_audio": {"data": b64encode(part.data).decode(), "format": form}}


def _address(part: ImagePart | DocumentPart) -> str:
    return part.url or f"data:{part.media_type};base64,{b64encode(part.data or b'').decode()}"
