"""Signatures of reasoning, made so that a changed one is noticed when it comes back."""

from __future__ import annotations

import base64
import binascii
import hashlib

_KEY = b"a simulator has no secrets"
_DIGEST_BYTES = 16


def sign_text(service: str, text: str) -> str:
    """A signature that fits this text of this service and no other."""
    return base64.b64encode(b"\x12\x2a" + _digest(service, text.encode("utf-8", "replace")) * 2).decode()


def is_signature_of(service: str, text: str, signature: str) -> bool:
    """Whether the signature was made for this text."""
    return signature == sign_text(service, text)


def seal(service: str, text: str) -> str:
    """The text in a form that only its maker is meant to open."""
    payload = text.encode("utf-8", "replace")
    return base64.urlsafe_b64encode(b"\x80\x00" + _digest(service, payload) + payload).decode()


def unseal(service: str, sealed: str) -> str | None:
    """The text that was sealed, or None where something was changed."""
    try:
        raw = base64.b64decode(sealed.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    payload = raw[2 + _DIGEST_BYTES :]
    if raw[:2] != b"\x80\x00" or raw[2 : 2 + _DIGEST_BYTES] != _digest(service, payload):
        return None
    return payload.decode("utf-8", "replace")


def _digest(service: str, payload: bytes) -> bytes:
    return hashlib.blake2b(service.encode() + b"\0" + payload, key=_KEY, digest_size=_DIGEST_BYTES).digest()
