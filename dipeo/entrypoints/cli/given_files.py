"""Files and functions that are named on the command line."""

import importlib
import json
import mimetypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.parts import AudioPart, DocumentPart, ImagePart, Part

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
"""What every provider takes at most in one request, more or less."""

_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)


def read_part(path: str, *, option: str) -> Part:
    """The file as a part: a picture, a sound or a document, by what it begins with, else by its name.

    Raises `ValidationError` naming the option for a file that cannot be read, is empty, or is too large.
    """
    data = _bytes_of(path, option=option)
    media_type = _media_type(data, path)
    if media_type.startswith("image/"):
        return ImagePart(media_type=media_type, data=data)
    if media_type.startswith("audio/"):
        return AudioPart(media_type=media_type, data=data)
    return DocumentPart(media_type=media_type, data=data, name=Path(path).name)


def _media_type(data: bytes, path: str) -> str:
    if data[:4] == b"RIFF" and data[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if data[8:12] == b"WEBP" else "audio/wav"
    known = next((media_type for beginning, media_type in _BEGINNINGS if data.startswith(beginning)), None)
    return known or mimetypes.guess_type(path)[0] or "application/octet-stream"


def read_schema(path: str, *, option: str) -> JsonObject:
    """The JSON schema in a file. Raises `ValidationError` naming the option for anything else."""
    try:
        schema = json.loads(_bytes_of(path, option=option))
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise ValidationError(f"{path!r} holds no JSON schema, which is a JSON object.", field=option)
    return schema


def _bytes_of(path: str, *, option: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        raise ValidationError(f"{path!r} cannot be read: {problem.strerror}.", field=option) from None
    if not data or len(data) > MAX_FILE_BYTES:
        size = "is empty" if not data else f"is larger than {MAX_FILE_BYTES // 1024**2} MB"
        raise ValidationError(f"{path!r} {size}.", field=option)
    return data


def load_functions(names: Sequence[str], *, option: str) -> list[object]:
    """The functions that `module:function` names, from the working directory too.

    Their modules are run, as by any import. Raises `ValidationError` naming the option for what is not there.
    """
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return [_load(name, option=option) for name in names]
    finally:
        sys.path.remove(here)


def _load(name: str, *, option: str) -> object:
    module_name, colon, function_name = name.partition(":")
    if not (colon and module_name and function_name):
        raise ValidationError(f"{name!r} must be written as module:function.", field=option)
    try:
        module = importlib.import_module(module_name)
    except ImportError as problem:
        raise ValidationError(f"The module {module_name!r} cannot be imported: {problem}.", field=option) from None
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ValidationError(f"The module {module_name!r} has no function {function_name!r}.", field=option)
    return function
