"""What went wrong so far in one call."""

from collections.abc import Iterator

from attrs import evolve

from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.verdict import EARLY_RETRY_LIMITS, RETRY_LIMITS, Verdict


class RetryHistory:
    """The attempts of one call and what they came to; begins with the first failure. `paid` came from the budget."""

    __slots__ = ("attempts", "began_at_s", "paid", "verdicts", "waits")

    def __init__(self, began_at_s: float, waits: Iterator[float]) -> None:
        self.began_at_s = began_at_s
        self.waits = waits
        self.attempts: tuple[Attempt, ...] = ()
        self.verdicts: list[Verdict | None] = []
        self.paid = 0

    def add(self, error: DipeoError, decision: str) -> None:
        """One more failure, and what was decided then."""
        self.attempts += tuple(
            evolve(attempt, decision=_joined(attempt.decision, decision)) for attempt in error.attempts
        )
        self.verdicts.append(error.verdict)

    def has_exhausted(self, request: CompletionRequest, error: DipeoError) -> int | None:
        """The limit of retries for such a failure, where it is reached."""
        limits = EARLY_RETRY_LIMITS if request.fallbacks else RETRY_LIMITS
        limit = limits.get(error.verdict) if error.verdict else None
        return limit if limit is not None and self.verdicts.count(error.verdict) >= limit else None


def _joined(*decisions: str) -> str:
    return "; ".join(each for each in decisions if each)
