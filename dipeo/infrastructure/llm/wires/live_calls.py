"""The lock on real calls: inside `forbid_live_calls()` wires reach this machine and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from dipeo.domain.errors import DipeoUsageError


class LiveCallForbiddenError(DipeoUsageError):
    """A wire was to be opened to another machine while real calls are forbidden; `host` names it."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"A wire to {host!r} was refused: real calls are forbidden here. "
            "Let provider_settings or scripted_model answer; or allow the test to call out with @pytest.mark.live, "
            "all tests with --dipeo-live."
        )
        self.host = host

    def __reduce__(self) -> tuple[type["LiveCallForbiddenError"], tuple[str]]:
        return type(self), (self.host,)


class _OpenBlocks:
    """Counts the blocks that forbid real calls, of all threads together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, change: int) -> None:
        with self._lock:
            self._count += change


_FORBIDDING: Final = _OpenBlocks()


@contextmanager
def forbid_live_calls() -> Iterator[None]:
    """Inside the block, `HttpWire` is opened to loopback addresses alone.

    It holds for the whole process, whatever thread or event loop opens the wire: a guard that a background thread slips
    past guards nothing. Blocks may be nested and may overlap; calls are forbidden until the last one has ended. A wire
    that is open already stays open.
    """
    _FORBIDDING.add(1)
    try:
        yield
    finally:
        _FORBIDDING.add(-1)


def check_live_call(base_url: str) -> None:
    """Raises `LiveCallForbiddenError` if the address is not on this machine while real calls are forbidden."""
    if not _FORBIDDING:
        return
    # Only where a wire is opened: the guard itself stands in projects that use nothing of dipeo, and must load nothing.
    from dipeo.infrastructure.llm.drivers.endpoint import is_loopback

    host = urlsplit(base_url).hostname or ""
    if not is_loopback(host):
        raise LiveCallForbiddenError(host)
