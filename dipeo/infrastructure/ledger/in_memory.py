"""A ledger that lasts as long as the process."""

from collections import OrderedDict
from collections.abc import Sequence

from dipeo.domain.attempt import Attempt
from dipeo.domain.checks import check_number
from dipeo.domain.ports.ledger import LedgerPort


class InMemoryLedger(LedgerPort):
    """Keeps the newest attempts, 1,000 unless told otherwise; older ones are forgotten, so that memory is bounded."""

    def __init__(self, *, max_attempts_kept: int = 1_000) -> None:
        check_number("max_attempts_kept", max_attempts_kept, minimum=1, is_whole=True)
        self._max_attempts_kept = max_attempts_kept
        # Ordered: a plain dict finds its first entry slowly once many before it were deleted.
        self._attempts: OrderedDict[tuple[str, int], Attempt] = OrderedDict()

    async def record(self, attempt: Attempt) -> None:
        self._attempts[(attempt.call_id, attempt.number)] = attempt
        if len(self._attempts) > self._max_attempts_kept:
            self._attempts.popitem(last=False)

    async def attempts(self, *, call_id: str | None = None) -> Sequence[Attempt]:
        kept = self._attempts.values()
        return tuple(attempt for attempt in kept if call_id is None or attempt.call_id == call_id)

    def __repr__(self) -> str:
        return f"<InMemoryLedger {len(self._attempts)} of at most {self._max_attempts_kept} attempts>"
