"""How many retries a provider that keeps failing is sent."""

import threading
from typing import Final

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.forks import renew_in_child

DEFAULT_SHARE: Final = 0.2
FLOOR: Final = 3
HALF_LIFE_S: Final = 60.0
MAX_TARGETS: Final = 1_000


class RetryBudget:
    """At most this share of a target's calls may be retries that come to nothing, and at least three may.

    A retry that leads to an answer is given back: only those that do not help are counted. What is older counts less,
    half after a minute. A target is a service, base URL and key id, as a request names them. One budget serves all
    event loops and threads; a forked process begins anew.
    """

    def __init__(self, clock: ClockPort, *, share: float = DEFAULT_SHARE) -> None:
        self._clock = clock
        self.share = share
        self.begin_in_child()
        renew_in_child(self)

    def begin_in_child(self) -> None:
        """Begins anew: another thread may have held the lock when the process was forked."""
        self._targets: dict[_Target, _Account] = {}
        self._lock = threading.Lock()

    def note_call(self, request: CompletionRequest) -> None:
        """Counts the first attempt of a call."""
        # Without the lock: two threads may count one call less, which costs a fifth of a retry.
        target = (request.service, request.base_url, request.api_key_id)
        account = self._targets.get(target) or self._open(target)
        account.calls += 1

    def take(self, request: CompletionRequest) -> bool:
        """Whether one more retry may be made; if so, it is counted."""
        target = (request.service, request.base_url, request.api_key_id)
        account, now_s = self._targets.get(target) or self._open(target), self._clock.monotonic_s()
        with self._lock:
            account.age_to(now_s)
            if account.retries + 1 > max(FLOOR, self.share * account.calls):
                return False
            account.retries += 1
            return True

    def give_back(self, request: CompletionRequest, retries: int) -> None:
        """The retries that led to an answer do not count."""
        account = self._targets.get((request.service, request.base_url, request.api_key_id))
        if account is not None:
            with self._lock:
                account.retries = max(account.retries - retries, 0)

    def _open(self, target: "_Target") -> "_Account":
        with self._lock:
            if len(self._targets) >= MAX_TARGETS:
                del self._targets[next(iter(self._targets))]
            return self._targets.setdefault(target, _Account(self._clock.monotonic_s()))

    def __repr__(self) -> str:
        return f"<RetryBudget {self.share:.0%} of the calls to {len(self._targets)} targets>"


class _Account:
    """Calls and retries of one target, both fading with time."""

    __slots__ = ("aged_at_s", "calls", "retries")

    def __init__(self, now_s: float) -> None:
        self.aged_at_s = now_s
        self.calls = self.retries = 0.0

    def age_to(self, now_s: float) -> None:
        remains = 0.5 ** ((now_s - self.aged_at_s) / HALF_LIFE_S)
        self.calls, self.retries, self.aged_at_s = self.calls * remains, self.retries * remains, now_s


_Target = tuple[LLMService, str | None, str | None]
