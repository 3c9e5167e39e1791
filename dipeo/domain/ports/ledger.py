"""The record of what was asked of providers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from dipeo.domain.attempt import Attempt


@runtime_checkable
class LedgerPort(Protocol):
    """Remembers every attempt: the successful, the failed, and the cancelled."""

    async def record(self, attempt: Attempt) -> None:
        """Writes down one attempt. Must not lose it once it has returned.

        The same attempt (of one call id and number) written again takes the place of the first.
        """
        ...

    async def attempts(self, *, call_id: str | None = None) -> Sequence[Attempt]:
        """The attempts, oldest first; of one call, where an id is given."""
        ...
