"""How long first events take, and how many calls may be asked for twice."""

import math
import threading
from collections import deque
from typing import Final

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.service import LLMService
from dipeo.infrastructure.forks import renew_in_child

MIN_SAMPLES: Final = 20
MAX_SAMPLES: Final = 100
QUANTILE: Final = 0.95
SHORTEST_DELAY_S: Final = 0.05
HALVED_AT_CALLS: Final = 10_000
MAX_TARGETS: Final = 1_000


class LatencyBook:
    """Remembers the latest waits for a first event, for each model at each address, unary calls and streams apart.

    `share` bounds how many of a target's calls may be hedged. One book serves all event loops and threads; a forked
    process begins with an empty one.
    """

    def __init__(self, *, share: float) -> None:
        self._share = share
        self.begin_in_child()
        renew_in_child(self)

    def begin_in_child(self) -> None:
        """Begins anew: another thread may have held the lock when the process was forked."""
        self._targets: dict[_Target, _Samples] = {}
        self._lock = threading.Lock()

    def delay_s(self, request: CompletionRequest, *, is_stream: bool) -> float | None:
        """Counts a call, and says after how many seconds it is slow; None while too little is known."""
        with self._lock:
            samples = self._samples(request, is_stream=is_stream)
            samples.count_call()
            return samples.delay_s()

    def may_hedge(self, request: CompletionRequest, *, is_stream: bool) -> bool:
        """Whether one more call may be hedged; if so, it is counted."""
        with self._lock:
            samples = self._samples(request, is_stream=is_stream)
            if samples.hedges + 1 > self._share * samples.calls:
                return False
            samples.hedges += 1
            return True

    def note(self, request: CompletionRequest, waited_s: float, *, is_stream: bool) -> None:
        """A first event came after so many seconds."""
        with self._lock:
            self._samples(request, is_stream=is_stream).waits_s.append(waited_s)

    def _samples(self, request: CompletionRequest, *, is_stream: bool) -> "_Samples":
        target = (request.service, request.model, request.base_url, request.api_key_id, is_stream)
        samples = self._targets.get(target)
        if samples is None:
            if len(self._targets) >= MAX_TARGETS:
                del self._targets[next(iter(self._targets))]
            samples = self._targets[target] = _Samples()
        return samples

    def __repr__(self) -> str:
        return f"<LatencyBook {len(self._targets)} targets, at most {self._share:.0%} hedged>"


class _Samples:
    """The latest waits of one target."""

    __slots__ = ("calls", "hedges", "waits_s")

    def __init__(self) -> None:
        self.waits_s: deque[float] = deque(maxlen=MAX_SAMPLES)
        self.calls = self.hedges = 0.0

    def count_call(self) -> None:
        self.calls += 1
        if self.calls >= HALVED_AT_CALLS:
            # A long quiet time must not pay for many hedges at once.
            self.calls, self.hedges = self.calls / 2, self.hedges / 2

    def delay_s(self) -> float | None:
        if len(self.waits_s) < MIN_SAMPLES:
            return None
        place = math.ceil(len(self.waits_s) * QUANTILE) - 1
        return max(sorted(self.waits_s)[place], SHORTEST_DELAY_S)


_Target = tuple[LLMService, str, str | None, str | None, bool]
"""Service, model, base URL, key id, and whether it is a stream."""
