"""How fast a provider's load may grow again after it said that it had grown too fast."""

from math import log2
from typing import Final

from dipeo.domain.errors import DipeoError

RAMP_CODES: Final = frozenset({"slow_down", "ramp_limit_exceeded"})
"""What OpenAI and Anthropic call it; no other provider limits growth under a name of its own."""

FIRST_DOUBLING_S: Final = 1.0
LONGEST_DOUBLING_S: Final = 60.0
LONGEST_WAIT_S: Final = 3600.0
DOUBLINGS: Final = 10
REMEMBERED_S: Final = 900.0
EARLY_S: Final = 0.001
"""Whoever comes so much before its turn came in time: timers are not exact, and neither are logarithms."""


def is_ramp_limit(error: DipeoError) -> bool:
    """Whether a provider refused because of how fast usage grows, rather than because of how much it is."""
    return error.provider_code in RAMP_CODES


class Ramp:
    """The way back to full load: after a pause one request may pass, and then twice as many in each doubling time.

    The first doubling takes one second. Each further refusal of the kind halves the growth, down to a doubling a
    minute. After ten doublings, a thousand requests, nothing is held back any more; that it had to be is remembered
    for a quarter of an hour, in which a new refusal halves the growth again.
    """

    __slots__ = ("_begins_at_s", "_doubling_s", "_passed", "_promised")

    def __init__(self) -> None:
        self._begins_at_s = 0.0
        self._doubling_s = 0.0
        self._passed = self._promised = 0

    def begin(self, now_s: float, wait_s: float) -> None:
        """Takes note of a refusal, and lets nobody pass for as long as the provider says: a second to an hour.

        What was under way already is refused in that time, and says nothing new.
        """
        wait_s = min(max(wait_s, FIRST_DOUBLING_S), LONGEST_WAIT_S)
        if now_s < self._begins_at_s:
            self._begins_at_s = max(self._begins_at_s, now_s + wait_s)
            self._promised = 0  # whoever holds a turn comes too early for it now, and is given another
            return
        self._doubling_s = min(self._doubling_s * 2 or FIRST_DOUBLING_S, LONGEST_DOUBLING_S)
        self._begins_at_s = now_s + wait_s
        self._passed = self._promised = 0

    def enter(self, now_s: float) -> float:
        """Lets a request pass, and gives 0, or the seconds to its turn. Each who has to wait is given another turn."""
        if now_s >= self._ends_at_s:
            return 0.0
        due = self._due(now_s)
        if self._passed < due:
            self._passed += 1
            return 0.0
        self._promised = max(self._promised, due) + 1
        return max(0.0, self._begins_at_s + self._doubling_s * log2(self._promised) - now_s)

    def is_forgotten(self, now_s: float) -> bool:
        """Whether it is so long over that a new refusal has nothing to do with it."""
        return now_s >= self._ends_at_s + REMEMBERED_S

    @property
    def _ends_at_s(self) -> float:
        return self._begins_at_s + self._doubling_s * DOUBLINGS

    def _due(self, now_s: float) -> int:
        """How many may have passed by now: the first at once, as many again in each doubling time."""
        elapsed_s = now_s + EARLY_S - self._begins_at_s
        return int(2 ** (elapsed_s / self._doubling_s)) if elapsed_s >= 0 else 0
