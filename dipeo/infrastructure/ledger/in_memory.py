"""A ledger that lasts as long as the process."""

import sys
from collections import deque
from collections.abc import Sequence

from dipeo.domain.attempt import Attempt
from dipeo.domain.checks import check_number
from dipeo.domain.ports.ledger import LedgerPort


class InMemoryLedger(LedgerPort):
    """Keeps the newest attempts, 1,000 unless told otherwise; older ones are forgotten, so that memory is bounded.

    One that is written again counts twice until its first record is forgotten.
    """

    def __init__(self, *, max_attempts_kept: int = 1_000) -> None:
        check_number("max_attempts_kept", max_attempts_kept, minimum=1, maximum=sys.maxsize, is_whole=True)
        self._written: deque[Attempt] = deque(maxlen=max_attempts_kept)

    async def record(self, attempt: Attempt) -> None:
        self._written.append(attempt)

    async def attempts(self, *, call_id: str | None = None) -> Sequence[Attempt]:
        # What was written again is put in its first place here: every call writes, and few read.
        kept = {(attempt.call_id, attempt.number): attempt for attempt in self._written.copy()}
        return tuple(attempt for attempt in kept.values() if call_id is None or attempt.call_id == call_id)

    def __repr__(self) -> str:
        return f"<InMemoryLedger {len(self._written)} of at most {self._written.maxlen} attempts>"
