"""Looking at attachments: what base64 holds, and what its first bytes say it is."""

from __future__ import annotations

import base64
import binascii
import re

import attrs

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.-]+)*;base64,(.*)", re.DOTALL)
_SIGNS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


@attrs.frozen(slots=True)
class DataUrl:
    """The media type of a `data:` URL and its bytes, None where they are no base64."""

    media_type: str
    content: bytes | None


def read_data_url(url: str) -> DataUrl | None:
    """What a `data:` URL holds, or None for any other text."""
    found = _DATA_URL.fullmatch(url)
    return DataUrl(found.group(1).lower(), decode_base64(found.group(2))) if found else None


def decode_base64(text: str) -> bytes | None:
    """The bytes, or None where the text is empty or no base64."""
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def sniff_media_type(content: bytes) -> str | None:
    """What the first bytes say, or None where they say nothing that is known here."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for sign, media_type in _SIGNS if content.startswith(sign)), None)
