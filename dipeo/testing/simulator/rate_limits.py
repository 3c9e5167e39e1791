"""Rate limits as providers enforce them: three kinds of rules, counted for each key and model."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeAlias

import attrs
from attrs import validators

from dipeo.domain.ports.clock import ClockPort
from dipeo.testing.simulator.answers import estimate_request_tokens
from dipeo.testing.simulator.exchange import ParsedCall
from dipeo.testing.simulator.request_log import fingerprint_credential

Measure: TypeAlias = Literal["requests", "tokens"]
RuleKind: TypeAlias = Literal["token_bucket", "fixed_window", "sliding_window"]

MINUTE_S: Final = 60.0
DAY_S: Final = 86_400.0

# Whole microseconds: the arithmetic of a limit is then exact, and the same everywhere.
_US_PER_S: Final = 1_000_000
# What a call is taken to generate where it names no limit.
_USUAL_OUTPUT_TOKENS: Final = 256


@attrs.frozen(slots=True, kw_only=True)
class RateLimit:
    """So many requests or tokens in `per_s` seconds, for each key and model.

    A fixed window begins anew at every multiple of `per_s`, a sliding one looks back `per_s` seconds from each moment,
    and a token bucket, full at first, is refilled steadily. `service` and `model` say for whom the limit holds; None
    means for all. A call costs the tokens of its prompt and those that it may generate at most; a refused call costs
    nothing. Raises ValueError for bad values.
    """

    measure: Measure = attrs.field(default="requests", validator=validators.in_(("requests", "tokens")))
    amount: int = attrs.field(validator=[validators.instance_of(int), validators.ge(1)])
    per_s: float = attrs.field(default=MINUTE_S, validator=[validators.ge(0.001), validators.lt(math.inf)])
    rule: RuleKind = attrs.field(
        default="sliding_window", validator=validators.in_(("token_bucket", "fixed_window", "sliding_window"))
    )
    service: str | None = None
    model: str | None = None

    @property
    def is_daily(self) -> bool:
        """Whether providers would call it a limit per day rather than per minute."""
        return self.per_s >= DAY_S

    def concerns(self, service: str, model: str) -> bool:
        """Whether it holds for this model of this service."""
        return self.service in (None, service) and self.model in (None, model)


@attrs.frozen(slots=True, kw_only=True)
class LimitState:
    """How far a limit is used: `reset_s` until nothing of it is; `wait_s` is None where waiting never helps."""

    limit: RateLimit
    units: int
    remaining: int
    reset_s: float
    wait_s: float | None = 0.0


@attrs.frozen(slots=True, kw_only=True)
class Admission:
    """What the limits say to one call; `refused_by` is the one that has to be waited for the longest."""

    states: tuple[LimitState, ...] = ()
    refused_by: LimitState | None = None
    now: datetime = attrs.field(factory=lambda: datetime.now(UTC))


class MachineClock(ClockPort):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        raise NotImplementedError("limits only look at the time")


class RateLimits:
    """Counts the calls of every key and model, and admits those that all limits have room for."""

    def __init__(self, limits: Sequence[RateLimit] = (), *, clock: ClockPort | None = None) -> None:
        self._limits = tuple(limits)
        self._clock = clock or MachineClock()
        self._meters: dict[tuple[int, str, str | None, str], _Meter] = {}

    def admit(self, service: str, credential: str | None, call: ParsedCall) -> Admission:
        """Counts the call if every limit has room for it; otherwise says which one has to be waited for."""
        costs: dict[Measure, int] = {"requests": 1, "tokens": _token_cost(call) if self._limits else 0}
        return self.admit_cost(service, credential, call.model, costs=costs)

    def admit_cost(self, service: str, credential: str | None, model: str, *, costs: dict[Measure, int]) -> Admission:
        """The same for a call that costs so much."""
        now_us = round(self._clock.monotonic_s() * _US_PER_S)
        found = [
            (limit, self._meter(index, limit, service, credential, model), costs[limit.measure])
            for index, limit in enumerate(self._limits)
            if limit.concerns(service, model)
        ]
        waits = [meter.wait_us(now_us, cost) for _, meter, cost in found]
        if not any(wait != 0 for wait in waits):
            for _, meter, cost in found:
                meter.take(now_us, cost)
        states = tuple(
            LimitState(
                limit=limit,
                units=cost,
                remaining=meter.remaining(now_us),
                reset_s=meter.reset_us(now_us) / _US_PER_S,
                wait_s=None if wait is None else wait / _US_PER_S,
            )
            for (limit, meter, cost), wait in zip(found, waits, strict=True)
        )
        refusing = [state for state in states if state.wait_s != 0]
        worst = max(refusing, key=lambda state: math.inf if state.wait_s is None else state.wait_s, default=None)
        return Admission(states=states, refused_by=worst, now=self._clock.now())

    def _meter(self, index: int, limit: RateLimit, service: str, credential: str | None, model: str) -> _Meter:
        key = (index, service, fingerprint_credential(credential), model)
        meter = self._meters.get(key)
        if meter is None:
            window_us = round(limit.per_s * _US_PER_S)
            meter = self._meters[key] = _METERS[limit.rule](limit.amount, window_us)
        return meter


def _token_cost(call: ParsedCall) -> int:
    return estimate_request_tokens(call) + (call.max_output_tokens or _USUAL_OUTPUT_TOKENS)


class _Meter(Protocol):
    """One limit's count for one key and model."""

    def __init__(self, amount: int, window_us: int) -> None: ...

    def wait_us(self, now_us: int, units: int) -> int | None:
        """How long until there is room for so many units; None where there never is."""
        ...

    def take(self, now_us: int, units: int) -> None:
        """Counts the units, for which there must be room."""
        ...

    def remaining(self, now_us: int) -> int:
        """How much room there is."""
        ...

    def reset_us(self, now_us: int) -> int:
        """How long until all of it is free."""
        ...


class _TokenBucket:
    """Filled at a steady rate up to the amount; the level is kept in amounts times microseconds, to stay whole."""

    def __init__(self, amount: int, window_us: int) -> None:
        self._amount = amount
        self._window_us = window_us
        self._level = amount * window_us
        self._seen_us: int | None = None

    def wait_us(self, now_us: int, units: int) -> int | None:
        if units > self._amount:
            return None
        return max(-(-(units * self._window_us - self._filled(now_us)) // self._amount), 0)

    def take(self, now_us: int, units: int) -> None:
        self._level = self._filled(now_us) - units * self._window_us

    def remaining(self, now_us: int) -> int:
        return self._filled(now_us) // self._window_us

    def reset_us(self, now_us: int) -> int:
        return -(-(self._amount * self._window_us - self._filled(now_us)) // self._amount)

    def _filled(self, now_us: int) -> int:
        elapsed_us = 0 if self._seen_us is None else max(now_us - self._seen_us, 0)
        self._seen_us = now_us if self._seen_us is None else max(now_us, self._seen_us)
        self._level = min(self._level + elapsed_us * self._amount, self._amount * self._window_us)
        return self._level


class _FixedWindow:
    """Counts from nothing at every multiple of the window."""

    def __init__(self, amount: int, window_us: int) -> None:
        self._amount = amount
        self._window_us = window_us
        self._window = 0
        self._used = 0

    def wait_us(self, now_us: int, units: int) -> int | None:
        if units > self._amount:
            return None
        return 0 if units <= self.remaining(now_us) else self._left_us(now_us)

    def take(self, now_us: int, units: int) -> None:
        self._turn(now_us)
        self._used += units

    def remaining(self, now_us: int) -> int:
        self._turn(now_us)
        return self._amount - self._used

    def reset_us(self, now_us: int) -> int:
        self._turn(now_us)
        return self._left_us(now_us) if self._used else 0

    def _left_us(self, now_us: int) -> int:
        return self._window_us - now_us % self._window_us

    def _turn(self, now_us: int) -> None:
        window = now_us // self._window_us
        if window != self._window:
            self._window, self._used = window, 0


class _SlidingWindow:
    """Remembers what was taken during the last window, a moment for each call."""

    def __init__(self, amount: int, window_us: int) -> None:
        self._amount = amount
        self._window_us = window_us
        self._used = 0
        self._taken: deque[tuple[int, int]] = deque()

    def wait_us(self, now_us: int, units: int) -> int | None:
        if units > self._amount:
            return None
        missing = units - self.remaining(now_us)
        for moment_us, taken in self._taken:
            if missing <= 0:
                break
            missing -= taken
            freed_us = moment_us + self._window_us - now_us
            if missing <= 0:
                return freed_us
        return 0

    def take(self, now_us: int, units: int) -> None:
        self._taken.append((now_us, units))
        self._used += units

    def remaining(self, now_us: int) -> int:
        while self._taken and self._taken[0][0] <= now_us - self._window_us:
            self._used -= self._taken.popleft()[1]
        return self._amount - self._used

    def reset_us(self, now_us: int) -> int:
        self.remaining(now_us)
        return self._taken[-1][0] + self._window_us - now_us if self._taken else 0


_METERS: Final[dict[RuleKind, type[_Meter]]] = {
    "token_bucket": _TokenBucket,
    "fixed_window": _FixedWindow,
    "sliding_window": _SlidingWindow,
}
