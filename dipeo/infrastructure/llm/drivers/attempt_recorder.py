"""Writes attempts down, whatever becomes of the ledger or of the caller meanwhile."""

import asyncio
import logging

from dipeo.domain.attempt import Attempt
from dipeo.domain.ports.ledger import LedgerPort

_LOG = logging.getLogger("dipeo.ledger")


class AttemptRecorder:
    """Records attempts in a ledger; one that fails is logged, and costs nobody an answer that was paid for."""

    def __init__(self, ledger: LedgerPort) -> None:
        self._ledger = ledger

    async def record(self, attempt: Attempt) -> None:
        """Records the attempt. Raises `CancelledError` alone, and only for a caller who was told to leave."""
        try:
            await self._ledger.record(attempt)
        except asyncio.CancelledError:
            if await self.record_once_more(attempt):
                raise
        except Exception:  # noqa: BLE001  # whatever a ledger raises
            self.log_failure(attempt)

    async def record_once_more(self, attempt: Attempt) -> bool:
        """Records to the end what the ledger was interrupted in, and returns whether the caller was told to leave.

        A ledger may be cancelled from within too: then the answer goes on to the caller.
        """
        # In a task of its own, so that a caller who is cancelled again leaves at once, and it is written all the same.
        await asyncio.shield(self._record_to_the_end(attempt))
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0

    def log_failure(self, attempt: Attempt) -> None:
        """Says in the log which call was not written down, and by the exception that is being handled, why."""
        _LOG.exception("An attempt of call %s could not be recorded.", attempt.call_id)

    async def _record_to_the_end(self, attempt: Attempt) -> None:
        try:
            await self._ledger.record(attempt)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001  # nobody is left who could be told
            self.log_failure(attempt)
