"""What the simulator counts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import attrs


@attrs.frozen(slots=True, kw_only=True)
class SimulatorCounters:
    """What went over the wire since the simulator was made.

    Bytes are those of bodies. `credentials` counts the requests of each key by the key's fingerprint, `faults` those
    that met each case of the catalogue by its name.
    """

    requests: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    open_connections: int = 0
    peak_connections: int = 0
    credentials: Mapping[str, int] = MappingProxyType({})
    faults: Mapping[str, int] = MappingProxyType({})


class Tally:
    """Adds up; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._received_bytes = self._sent_bytes = 0
        self._credentials: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()

    def add_request(self, *, size_bytes: int, fingerprint: str | None, fault: str | None) -> None:
        """Count one request."""
        with self._lock:
            self._requests += 1
            self._received_bytes += size_bytes
            if fingerprint is not None:
                self._credentials[fingerprint] += 1
            if fault is not None:
                self._faults[fault] += 1

    def add_sent(self, size_bytes: int) -> None:
        """Count bytes of an answer."""
        with self._lock:
            self._sent_bytes += size_bytes

    def counters(self, *, open_connections: int, peak_connections: int) -> SimulatorCounters:
        """All of it, as it is now."""
        with self._lock:
            return SimulatorCounters(
                requests=self._requests,
                received_bytes=self._received_bytes,
                sent_bytes=self._sent_bytes,
                open_connections=open_connections,
                peak_connections=peak_connections,
                credentials=MappingProxyType(dict(self._credentials)),
                faults=MappingProxyType(dict(self._faults)),
            )
