"""Who meets which fault: by name, with rates, or by a seed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from dipeo.testing.simulator.exchange import ParsedCall
from dipeo.testing.simulator.faults.entry import Dialect, FaultCase, Mode, Place

FaultWish: TypeAlias = int | str | Iterable[str] | Mapping[str, float] | None
"""A seed, names of faults, names with the share of calls that meet them, or nothing."""

_RATES = (0.02, 0.05, 0.1, 0.3)
_MOST_AT_ONCE = 12

_OF_SERVICE = {"anthropic": Dialect.ANTHROPIC, "google": Dialect.GOOGLE, "ollama": Dialect.OLLAMA}


def dialect_of(service: str, path: str) -> Dialect:
    """How a service is spoken to at this path."""
    if service in _OF_SERVICE:
        return _OF_SERVICE[service]
    return Dialect.RESPONSES if path.endswith("/responses") else Dialect.CHAT


def random_rates(seed: int) -> dict[str, float]:
    """A random choice of cases and how often each strikes, the same for the same seed."""
    from dipeo.testing.simulator.faults.catalogue import every_case

    chance = random.Random(f"faults/{seed}")
    dealt = [case.name for case in every_case() if case.place is Place.ANSWER and not case.is_heavy]
    chosen = chance.sample(dealt, chance.randint(1, min(_MOST_AT_ONCE, len(dealt))))
    return {name: chance.choice(_RATES) for name in chosen}


class FaultDealer:
    """Decides what each call meets, the same for the same wish and the same calls of a service to a model.

    Names alone strike every call, in turn; a call whose dialect has none of them is answered. Raises ValueError for an
    unknown name, one of what no answer shows, or a rate that is no share, and TypeError for a wish that is none.
    """

    def __init__(self, wish: FaultWish = None) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, str]] = Counter()
        self._seed = 0
        self._turns: tuple[FaultCase, ...] = ()
        self._rates: tuple[tuple[FaultCase, float], ...] = ()
        if isinstance(wish, bool) or not isinstance(wish, int | str | Iterable | None):
            raise TypeError(f"faults are a seed, names, or names with rates, not {type(wish).__name__}")
        if isinstance(wish, int):
            self._seed, wish = wish, random_rates(wish)
        if isinstance(wish, Mapping):
            self._rates = tuple(pair for name, rate in wish.items() for pair in _rated(name, rate))
        else:
            names = (wish,) if isinstance(wish, str) else tuple(wish or ())
            self._turns = tuple(case for name in names for case in _named(name))

    @property
    def rates(self) -> Mapping[str, float]:
        """The share of calls that each case strikes, of those that it can strike and that no earlier one has struck."""
        return {**dict.fromkeys((case.name for case in self._turns), 1.0), **{c.name: rate for c, rate in self._rates}}

    def deal(self, service: str, call: ParsedCall) -> FaultCase | None:
        """What this call meets, or None where it is answered."""
        if not self._turns and not self._rates:
            return None
        dialect = dialect_of(service, call.incoming.path)
        mode = Mode.STREAM if call.is_stream else Mode.UNARY
        with self._lock:
            number = self._calls[service, call.model]
            self._calls[service, call.model] += 1
        turns = [case for case in self._turns if dialect in case.wording(mode)]
        if turns:
            return turns[number % len(turns)]
        chance = random.Random(f"{self._seed}/{service}/{call.model}/{number}")
        for case, rate in self._rates:
            if dialect in case.wording(mode) and chance.random() < rate:
                return case
        return None


def _named(name: str) -> tuple[FaultCase, ...]:
    # Only here: whoever wants no faults does not wait for the rows to be made.
    from dipeo.testing.simulator.faults.catalogue import cases_named

    cases = cases_named(name)
    elsewhere = next((case.place for case in cases if case.place is not Place.ANSWER), None)
    if elsewhere is not None:
        raise ValueError(f"no answer shows the fault {name!r}: it takes an address where nobody answers ({elsewhere})")
    return cases


def _rated(name: str, rate: float) -> list[tuple[FaultCase, float]]:
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of {name!r} must be from 0 to 1, got {rate!r}")
    cases = _named(name)
    return [(case, rate / len(cases)) for case in cases]
