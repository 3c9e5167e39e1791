"""What the breaker promises, written down once more and as plainly as can be: a model to hold the real one against."""

from collections.abc import Iterator
from typing import Final

from attrs import define, field, frozen

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import APIKeyRefusedError, DipeoError, ModelUnavailableError
from dipeo.domain.verdict import Verdict

LATCH_S: Final = 60.0
REMEMBERED_S: Final = 60.0
LONGEST_S: Final = 3600.0
PATIENCE_S: Final = 10.0
"""A deadline is held against a provider who had so much time, and no less."""
PROBE_WAIT_S: Final = 1.0
FAULTS: Final = frozenset(
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
"""What is the provider's fault; written down here once more, so that the product is compared with something."""

PlaceName = tuple[str, str | None, str | None, str | None]
"""Service, base URL, the key's fingerprint, and a model or None for all of them."""


@define(eq=False)
class ModelledCall:
    """One call that passed, and the places where it is the probe."""

    request: CompletionRequest
    fingerprint: str | None
    began_at_s: float
    probes: "list[Place]" = field(factory=list)


@define(eq=False)
class Place:
    """Who is left alone, until when and why. `prober` is the one call that may look whether it has passed."""

    outcomes: list[tuple[float, bool]] = field(factory=list)
    until_s: float | None = None
    shut_s: float = 0.0
    kind: type[DipeoError] = ModelUnavailableError
    is_pause: bool = False
    prober: ModelledCall | None = None

    def forget(self) -> None:
        """Nothing is held against it any more."""
        self.outcomes.clear()
        self.until_s, self.is_pause, self.prober = None, False, None


@frozen
class Refusal:
    """What a call that may not pass is to be told: the error, and the bounds of the wait in seconds."""

    kind: type[DipeoError]
    at_least_s: float
    at_most_s: float
    is_retryable: bool


class BreakerModelled:
    """The promises, over all places."""

    def __init__(self, failures: int, cool_down_s: float) -> None:
        self.failures = failures
        self.cool_down_s = cool_down_s
        self.places: dict[PlaceName, Place] = {}

    def enter(self, call: ModelledCall, now_s: float) -> Refusal | None:
        """Lets a call pass, as a probe where one is due, or says how it is refused."""
        places = list(self._places(call))
        for place in places:
            if place.is_pause and place.until_s is not None and now_s >= place.until_s:
                place.until_s, place.is_pause = None, False
            if place.until_s is not None and (now_s < place.until_s or place.prober is not None):
                return _refusal(place, place.until_s - now_s)
        for place in places:
            if place.until_s is not None:
                place.prober = call
                call.probes.append(place)
        return None

    def answered(self, call: ModelledCall, now_s: float, *, but: Place | None = None) -> None:
        """Somebody was there, and said something."""
        for place in self._places(call):
            if place is but:
                continue
            if place.prober is call:
                place.forget()
            elif place.until_s is None:
                self._note(place, now_s, is_fault=False)
                if not self._recent(place, now_s):
                    place.forget()

    def failed(self, call: ModelledCall, error: DipeoError, now_s: float) -> None:
        """A call came to nothing."""
        everything, model = self._places(call)
        if self._is_fault(call, error, now_s):
            if everything.until_s is None or everything.prober is call:
                self._note(everything, now_s, is_fault=True)
                if everything.prober is call or self._recent(everything, now_s) >= self.failures:
                    self._open(everything, call, error, now_s, self.cool_down_s, ModelUnavailableError)
        elif isinstance(error, APIKeyRefusedError):
            self._open(everything, call, error, now_s, LATCH_S, type(error))
            self.answered(call, now_s, but=everything)
        elif error.verdict in {Verdict.QUOTA_EXHAUSTED, Verdict.ACCESS_DENIED}:
            self._open(model, call, error, now_s, LATCH_S, type(error))
            self.answered(call, now_s, but=model)
        elif error.verdict is Verdict.RATE_LIMITED and error.retry_after_s:
            self._open(model, call, error, now_s, 0.0, type(error))
            self.answered(call, now_s, but=model)
        elif error.status is not None:
            self.answered(call, now_s)
        self.left(call)

    def left(self, call: ModelledCall) -> None:
        """Whatever it learned or did not: it probes no longer."""
        for place in call.probes:
            if place.prober is call:
                place.prober = None
        call.probes.clear()

    def _places(self, call: ModelledCall) -> Iterator[Place]:
        request = call.request
        for model in (None, request.model):
            name = (request.service.value, request.base_url, call.fingerprint, model)
            yield self.places.setdefault(name, Place())

    def _note(self, place: Place, now_s: float, *, is_fault: bool) -> None:
        place.outcomes.append((now_s, is_fault))
        del place.outcomes[: -2 * self.failures]

    def _recent(self, place: Place, now_s: float) -> int:
        return sum(is_fault and at_s > now_s - REMEMBERED_S for at_s, is_fault in place.outcomes)

    def _open(
        self,
        place: Place,
        call: ModelledCall,
        error: DipeoError,
        now_s: float,
        at_least_s: float,
        kind: type[DipeoError],
    ) -> None:
        is_probe = place.prober is call
        asks_to_wait = error.verdict is Verdict.RATE_LIMITED
        if asks_to_wait and not is_probe and place.until_s is not None and not place.is_pause:
            return  # a late answer: what the place is shut for is worse
        doubled_s = place.shut_s * 2 if is_probe and not asks_to_wait else at_least_s
        shut_s = max(doubled_s, error.retry_after_s or 0.0)
        place.shut_s = min(shut_s, LONGEST_S)
        place.until_s = max(now_s + place.shut_s, place.until_s or 0.0)
        place.kind, place.is_pause = kind, error.verdict is Verdict.RATE_LIMITED
        if is_probe:
            place.prober = None

    def _is_fault(self, call: ModelledCall, error: DipeoError, now_s: float) -> bool:
        if error.verdict is Verdict.DEADLINE_EXCEEDED:
            return now_s - call.began_at_s >= PATIENCE_S
        return error.verdict in FAULTS and not 400 <= (error.status or 0) < 500


def _refusal(place: Place, left_s: float) -> Refusal:
    wait_s = PROBE_WAIT_S if place.prober is not None else left_s
    # Those who wait for the end of the same pause are spread over a second.
    spread_s = min(wait_s, 1.0) if place.is_pause else 0.0
    return Refusal(place.kind, wait_s, wait_s + spread_s, place.is_pause)
