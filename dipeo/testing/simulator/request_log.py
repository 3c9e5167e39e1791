"""What the simulator was asked, without the credentials it was asked with."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Mapping

import attrs

from dipeo.testing.simulator.json_value import JsonValue

REDACTED = "***"
_SECRET_HEADERS = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization"}
)
_SECRET_PARAMETERS = frozenset({"key", "api_key", "access_token"})


@attrs.frozen(slots=True)
class SimulatedMessage:
    """One message of a request, its role in the vendor's own word."""

    role: str
    name: str | None
    text: str


@attrs.frozen(slots=True, kw_only=True)
class SimulatedRequest:
    """One request as the vendor would have read it.

    `path` begins after the service's own prefix. `status` is None while, or because, nothing was answered.
    `credential_fingerprint` tells keys apart without holding them; None without a key. `number` counts from 1.
    """

    number: int
    service: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    credential_fingerprint: str | None
    body: JsonValue
    model: str | None
    is_stream: bool
    messages: tuple[SimulatedMessage, ...]
    status: int | None


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names in lower case, credentials replaced."""
    lowered = ((name.lower(), value) for name, value in headers.items())
    return {name: REDACTED if name in _SECRET_HEADERS else value for name, value in lowered}


def redact_query(query: Mapping[str, str]) -> dict[str, str]:
    """Query parameters, credentials replaced."""
    return {name: REDACTED if name in _SECRET_PARAMETERS else value for name, value in query.items()}


def fingerprint_credential(credential: str | None) -> str | None:
    """Twelve hexadecimal digits that tell one credential from another."""
    if credential is None:
        return None
    return hashlib.blake2b(credential.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()


class RequestLog:
    """The newest requests, oldest first; safe to read from any thread."""

    def __init__(self, capacity: int) -> None:
        self._lock = threading.Lock()
        self._entries: deque[SimulatedRequest] = deque(maxlen=capacity)

    def add(self, entry: SimulatedRequest) -> None:
        """Append one entry; the oldest makes room when the log is full."""
        with self._lock:
            self._entries.append(entry)

    @property
    def entries(self) -> tuple[SimulatedRequest, ...]:
        """A copy of the log."""
        with self._lock:
            return tuple(self._entries)
