"""Who is not asked for now, and until when."""

import random
import threading
from collections import deque
from typing import Final

from attrs import frozen

from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import APIKeyRefusedError, DipeoError, ModelUnavailableError, RateLimitError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.service import LLMService
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.forks import renew_in_child
from dipeo.infrastructure.llm.drivers.ramps import Ramp, is_ramp_limit

DEFAULT_FAILURES: Final = 10
DEFAULT_COOL_DOWN_S: Final = 10.0
LATCH_S: Final = 60.0
LONGEST_COOL_DOWN_S: Final = 3600.0
LONGEST_SPREAD_S: Final = 1.0
PROBE_WAIT_S: Final = 1.0
FORGOTTEN_AFTER_S: Final = 60.0
SLOW_ATTEMPT_MS: Final = 10_000.0
MAX_CIRCUITS: Final = 1_000

_FAULTS: Final = frozenset(
    {
        Verdict.OVERLOADED,
        Verdict.PROVIDER_ERROR,
        Verdict.CONNECT_FAILED,
        Verdict.CONNECTION_LOST,
        Verdict.EMPTY_RESPONSE,
        Verdict.MALFORMED_RESPONSE,
        Verdict.INCOMPLETE_STREAM,
    }
)
"""What is the provider's fault, or the way's to it; never what we asked wrongly, nor a caller who leaves."""

_LATCHED: Final = frozenset({Verdict.QUOTA_EXHAUSTED, Verdict.ACCESS_DENIED})
"""What stays so until somebody does something about the account."""

Place = tuple[LLMService, str | None, str | None, str | None, str | None]
"""Service, base URL, key id, the key's fingerprint, and a model, or None for what concerns all models there."""


class Circuit:
    """What is known about one place: closed (asked), open (not asked before `until_s`), or half open (probed once).

    `failures` of the last twice as many attempts within a minute open it; so does `open()`. A `ramp` holds back some of
    those that a closed one lets pass.
    """

    __slots__ = ("_cool_down_s", "_failures", "_outcomes", "_refusal", "_shut_s", "is_probing", "ramp", "until_s")

    def __init__(self, *, failures: int, cool_down_s: float) -> None:
        self._failures = failures
        self._cool_down_s = self._shut_s = cool_down_s
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=2 * failures)
        self._refusal: _Refusal | None = None
        self.until_s: float | None = None
        self.is_probing = False
        self.ramp: Ramp | None = None

    def admits(self, now_s: float) -> bool:
        """Whether a request may pass. A pause that is over is over for all; anything else is probed first."""
        if self._is_pause and now_s >= (self.until_s or 0.0):
            self.until_s = self._refusal = None
        return self.until_s is None or (now_s >= self.until_s and not self.is_probing)

    def begin_probe(self) -> bool:
        """Takes the one place of a half-open circuit; whether it is one."""
        self.is_probing = self.until_s is not None
        return self.is_probing

    def refusal(self, request: CompletionRequest, now_s: float) -> DipeoError:
        """What a request that may not pass is told."""
        assert self._refusal is not None and self.until_s is not None  # noqa: S101, PT018  # both are set by open()
        return self._refusal.error_for(request, PROBE_WAIT_S if self.is_probing else self.until_s - now_s)

    def note_fault(self, error: DipeoError, now_s: float, *, is_probe: bool) -> None:
        """A failure that is the provider's. One that was under way when the circuit opened changes nothing."""
        if self.until_s is not None and not is_probe:
            return
        self._outcomes.append((now_s, True))
        recent = sum(is_fault and at_s > now_s - FORGOTTEN_AFTER_S for at_s, is_fault in self._outcomes)
        if is_probe or recent >= self._failures:
            self.open(error, now_s, at_least_s=self._cool_down_s, kind=ModelUnavailableError, is_probe=is_probe)

    def open(
        self, error: DipeoError, now_s: float, *, at_least_s: float, kind: type[DipeoError], is_probe: bool
    ) -> None:
        """Lets nobody pass for that long, or for as long as the provider says; longer each time a probe fails."""
        is_pause = error.verdict is Verdict.RATE_LIMITED
        if is_pause and self.until_s is not None and not self._is_pause and not is_probe:
            return  # the account is worse off than a late answer to an earlier request knows
        shut_s = max(self._shut_s * 2 if is_probe and not is_pause else at_least_s, error.retry_after_s or 0.0)
        self._shut_s = min(shut_s, LONGEST_COOL_DOWN_S)
        # One that was under way before does not end somebody else's probe: there would soon be two.
        self.is_probing = self.is_probing and not is_probe
        self.until_s = max(now_s + self._shut_s, self.until_s or 0.0)
        self._refusal = _Refusal(kind, error.verdict)

    def note_answer(self, now_s: float) -> bool:
        """The provider answered; whether nothing is held against it any more."""
        self._outcomes.append((now_s, False))
        return not any(is_fault and at_s > now_s - FORGOTTEN_AFTER_S for at_s, is_fault in self._outcomes)

    def close(self, now_s: float) -> bool:
        """Lets everybody pass whom the ramp does not hold back; whether nothing is left to be remembered."""
        self._outcomes.clear()
        self._shut_s, self._refusal, self.until_s, self.is_probing = self._cool_down_s, None, None, False
        if self.ramp is not None and self.ramp.is_forgotten(now_s):
            self.ramp = None
        return self.ramp is None

    @property
    def _is_pause(self) -> bool:
        return self._refusal is not None and self._refusal.is_pause


@frozen
class _Refusal:
    kind: type[DipeoError]
    verdict: Verdict | None

    @property
    def is_pause(self) -> bool:
        return self.verdict is Verdict.RATE_LIMITED

    def error_for(self, request: CompletionRequest, left_s: float) -> DipeoError:
        why = self.verdict.value if self.verdict else "failing"
        # All who wait for the end of the same pause would otherwise come back in the same instant.
        spread_s = random.uniform(0, min(left_s, LONGEST_SPREAD_S)) if self.is_pause else 0.0
        return self.kind(
            f"{request.service.value} is not asked for another {left_s:.1f} s ({why} before); nothing was sent.",
            suggestion="Wait, or name others to ask instead with fallbacks=[...].",
            provider=request.service.value,
            model=request.model,
            retry_after_s=left_s + spread_s,
            is_retryable=self.is_pause,
            sent=False,
        )


class Circuits:
    """Every circuit there is, by place; a place that nothing is held against has none.

    One object serves all event loops and threads. A forked process begins with nothing.
    """

    def __init__(
        self,
        keys: APIKeyPort,
        clock: ClockPort,
        *,
        failures: int = DEFAULT_FAILURES,
        cool_down_s: float = DEFAULT_COOL_DOWN_S,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._failures = failures
        self._cool_down_s = cool_down_s
        self.begin_in_child()
        renew_in_child(self)

    def begin_in_child(self) -> None:
        """Begins anew: another thread may have held the lock when the process was forked."""
        self.by_place: dict[Place, Circuit] = {}
        self._lock = threading.Lock()

    def enter(self, request: CompletionRequest) -> tuple[Circuit, ...]:
        """Lets a request pass, and gives the circuits that it probes. Raises the error of one that it may not pass."""
        places, now_s = self._places(request), self._clock.monotonic_s()
        with self._lock:
            held = [circuit for place in places if (circuit := self.by_place.get(place)) is not None]
            for circuit in held:
                if not circuit.admits(now_s):
                    raise circuit.refusal(request, now_s)
            for circuit in held:
                if circuit.ramp is not None and (wait_s := circuit.ramp.enter(now_s)):
                    raise _held_back(request, wait_s)
            return tuple(circuit for circuit in held if circuit.begin_probe())

    def leave(self, probed: tuple[Circuit, ...]) -> None:
        """Nothing was learned: the next request probes instead."""
        with self._lock:
            for circuit in probed:
                circuit.is_probing = False

    def answered(
        self,
        request: CompletionRequest,
        probed: tuple[Circuit, ...] = (),
        *,
        attempts: tuple[Attempt, ...] = (),
        but: Place | None = None,
    ) -> None:
        """The provider answered, well or not: it is there. `but` is the place that the answer is held against."""
        places, now_s = self._places(request, attempts), self._clock.monotonic_s()
        with self._lock:
            for place in places:
                circuit = self.by_place.get(place)
                if circuit is None or place == but or (circuit.until_s is not None and circuit not in probed):
                    continue
                if (circuit in probed or circuit.note_answer(now_s)) and circuit.close(now_s):
                    del self.by_place[place]

    def failed(self, request: CompletionRequest, error: DipeoError, probed: tuple[Circuit, ...] = ()) -> None:
        """Takes note of a failure, and of whose fault it was."""
        everything, model = self._places(request, error.attempts)
        if _is_fault(error):
            with self._lock:
                circuit = self._circuit(everything)
                circuit.note_fault(error, self._clock.monotonic_s(), is_probe=circuit in probed)
        elif isinstance(error, APIKeyRefusedError):
            self._open(request, error, probed, everything, at_least_s=LATCH_S)
        elif error.verdict in _LATCHED:
            self._open(request, error, probed, model, at_least_s=LATCH_S)
        elif is_ramp_limit(error):
            self._slow_down(request, error, probed, model)
        elif error.verdict is Verdict.RATE_LIMITED and error.retry_after_s:
            self._open(request, error, probed, model, at_least_s=0.0)
        elif error.status is not None:
            self.answered(request, probed, attempts=error.attempts)

    def _open(
        self,
        request: CompletionRequest,
        error: DipeoError,
        probed: tuple[Circuit, ...],
        place: Place,
        *,
        at_least_s: float,
    ) -> None:
        with self._lock:
            now_s = self._clock.monotonic_s()
            circuit = self._circuit(place)
            circuit.open(error, now_s, at_least_s=at_least_s, kind=type(error), is_probe=circuit in probed)
        self.answered(request, probed, attempts=error.attempts, but=place)

    def _slow_down(
        self, request: CompletionRequest, error: DipeoError, probed: tuple[Circuit, ...], place: Place
    ) -> None:
        self.answered(request, probed, attempts=error.attempts)
        with self._lock:
            circuit = self._circuit(place)
            circuit.ramp = circuit.ramp or Ramp()
            circuit.ramp.begin(self._clock.monotonic_s(), error.retry_after_s or 0.0)

    def _circuit(self, place: Place) -> Circuit:
        circuit = self.by_place.get(place)
        if circuit is None:
            if len(self.by_place) >= MAX_CIRCUITS:
                del self.by_place[next(iter(self.by_place))]
            circuit = self.by_place[place] = Circuit(failures=self._failures, cool_down_s=self._cool_down_s)
        return circuit

    def _places(self, request: CompletionRequest, attempts: tuple[Attempt, ...] = ()) -> tuple[Place, Place]:
        """The place for all models, and that of this model alone. A replaced key makes other places of them.

        Where an attempt was made its own key counts: one that was replaced meanwhile is not the one that was refused.
        """
        fingerprint = attempts[-1].key_fingerprint if attempts else self._fingerprint(request)
        service, base_url, key_id = request.service, request.base_url, request.api_key_id
        return (service, base_url, key_id, fingerprint, None), (service, base_url, key_id, fingerprint, request.model)

    def _fingerprint(self, request: CompletionRequest) -> str | None:
        try:
            key = self._keys.find(request.service, request.api_key_id)
        except DipeoError:
            return None  # the pool will meet the same failure, and raise it
        return key.fingerprint if key else None

    def __repr__(self) -> str:
        shut = sum(circuit.until_s is not None for circuit in self.by_place.values())
        return f"<Circuits {len(self.by_place)} with failures, {shut} of them open>"


def _held_back(request: CompletionRequest, wait_s: float) -> DipeoError:
    return RateLimitError(
        f"{request.service.value} asked for slower growth: this call's turn is in {wait_s:.1f} s; nothing was sent.",
        suggestion="Wait, or name others to ask instead with fallbacks=[...].",
        provider=request.service.value,
        model=request.model,
        retry_after_s=wait_s,
        sent=False,
    )


def _is_fault(error: DipeoError) -> bool:
    if error.verdict is Verdict.DEADLINE_EXCEEDED:
        # A caller in a hurry is no fault of the provider's: only an attempt that had its time counts.
        return bool(error.attempts) and error.attempts[-1].latency_ms >= SLOW_ATTEMPT_MS
    return error.verdict in _FAULTS and not 400 <= (error.status or 0) < 500
