"""Pictures, documents and sounds from files."""

import mimetypes
import os
from pathlib import Path
from typing import Final

from dipeo.domain.checks import check_identifier, check_number
from dipeo.domain.errors import ValidationError
from dipeo.domain.parts import AudioPart, DocumentPart, ImageDetail, ImagePart
from dipeo.infrastructure.documents.regular_file import read_regular_file

FilePath = str | os.PathLike[str]

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
"""What every provider takes at most in one request, more or less."""

_ANYTHING: Final = "application/octet-stream"
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
# Containers that say in the bytes after their own name what they hold.
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_FTYP: Final = {
    b"avif": "image/avif", b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"M4A ": "audio/mp4",
}  # fmt: skip


def part_from_file(
    path: FilePath, *, max_bytes: int = MAX_FILE_BYTES, field: str = "path"
) -> ImagePart | DocumentPart | AudioPart:
    """The file as a picture, a sound or a document, whichever it is: what it begins with says so, else its name.

    `max_bytes` is 20 MiB unless given. The file is read at once; in a coroutine, use `asyncio.to_thread`. Raises
    `ValidationError` naming the `field` for a file that cannot be read, is not regular, empty, or too large.
    """
    data = _content(path, max_bytes=max_bytes, field=field)
    media_type = _media_type(data, path)
    if media_type.startswith("image/"):
        return ImagePart(media_type=media_type, data=data)
    if media_type.startswith("audio/"):
        return AudioPart(media_type=media_type, data=data)
    return DocumentPart(media_type=media_type, data=data, name=_file_name(path))


def image_from_file(
    path: FilePath, *, media_type: str | None = None, detail: ImageDetail | str | None = None,
    max_bytes: int = MAX_FILE_BYTES,
) -> ImagePart:  # fmt: skip
    """The picture in a file; `media_type` says what it is where neither its first bytes nor its name do.

    Raises `ValidationError` as `part_from_file()`, and for a file that is no picture.
    """
    data = _content(path, max_bytes=max_bytes, field="path")
    found = media_type or _checked_type(data, path, "image/", "picture")
    return ImagePart(media_type=found, data=data, detail=detail)


def audio_from_file(path: FilePath, *, media_type: str | None = None, max_bytes: int = MAX_FILE_BYTES) -> AudioPart:
    """The sound in a file; `media_type` says what it is where neither its first bytes nor its name do.

    Raises `ValidationError` as `part_from_file()`, and for a file that is no sound.
    """
    data = _content(path, max_bytes=max_bytes, field="path")
    return AudioPart(media_type=media_type or _checked_type(data, path, "audio/", "sound"), data=data)


def document_from_file(
    path: FilePath, *, media_type: str | None = None, name: str | None = None, max_bytes: int = MAX_FILE_BYTES
) -> DocumentPart:
    """The document in a file, whatever it is; `name` is the file's own unless given.

    Raises `ValidationError` as `part_from_file()`.
    """
    data = _content(path, max_bytes=max_bytes, field="path")
    return DocumentPart(media_type=media_type or _media_type(data, path), data=data, name=name or _file_name(path))


def _content(path: FilePath, *, max_bytes: int, field: str) -> bytes:
    check_number("max_bytes", max_bytes, minimum=1, is_whole=True)
    return read_regular_file(path, max_bytes=max_bytes, field=field)


def _media_type(data: bytes, path: FilePath) -> str:
    if data[:4] == b"RIFF":
        known = _RIFF.get(data[8:12])
    elif data[4:8] == b"ftyp":
        known = _FTYP.get(data[8:12])
    else:
        known = next((media_type for beginning, media_type in _BEGINNINGS if data.startswith(beginning)), None)
    return known or mimetypes.guess_type(os.fspath(path))[0] or _ANYTHING


def _checked_type(data: bytes, path: FilePath, beginning: str, kind: str) -> str:
    media_type = _media_type(data, path)
    if not media_type.startswith(beginning):
        raise ValidationError(
            f"{os.fspath(path)!r} is of type {media_type!r}, which is no {kind}.",
            field="path",
            suggestion=f"If it is one all the same, say so: media_type='{beginning}...'.",
        )
    return media_type


def _file_name(path: FilePath) -> str | None:
    """The file's name, if it is one that can be sent."""
    name = Path(path).name
    try:
        return check_identifier("name", name)
    except ValidationError:
        return None
