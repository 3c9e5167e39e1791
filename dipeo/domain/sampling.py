"""How an answer is drawn from the model."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from attrs import field, fields, frozen

from dipeo.domain.checks import check_number, check_text
from dipeo.domain.errors import ValidationError


class ReasoningEffort(StrEnum):
    """How hard a model that can think should think."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


def _as_stop(stop: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if stop is None:
        return None
    if not isinstance(stop, Iterable):
        raise ValidationError(f"'stop' must be text or a list of texts, not {stop!r}.", field="stop")
    words = (stop,) if isinstance(stop, str) else tuple(stop)
    if not all(check_text("stop", word) for word in words):
        raise ValidationError("'stop' must hold no empty text.", field="stop")
    return words or None


def _as_effort(effort: str | None) -> ReasoningEffort | None:
    if effort is None:
        return None
    try:
        return ReasoningEffort(effort)
    except ValueError:
        known = ", ".join(ReasoningEffort)
        raise ValidationError(
            f"'reasoning_effort' must be one of {known}, not {effort!r}.", field="reasoning_effort"
        ) from None


@frozen(kw_only=True)
class Sampling:
    """The settings of one answer; None leaves the choice to the model.

    `temperature` is 0 to 2 and `top_p` above 0 to 1, the widest ranges that any supported provider takes;
    `max_tokens` bounds the output. Raises `ValidationError` naming the field for NaN, infinities, booleans, negatives.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = field(default=None, converter=_as_stop)
    seed: int | None = None
    reasoning_effort: ReasoningEffort | None = field(default=None, converter=_as_effort)
    reasoning_budget_tokens: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.temperature is not None:
            check_number("temperature", self.temperature, minimum=0, maximum=2)
        if self.top_p is not None:
            check_number("top_p", self.top_p, minimum=0, maximum=1)
            if self.top_p == 0:
                raise ValidationError("'top_p' must be above 0: at 0 nothing could be said.", field="top_p")
        if self.max_tokens is not None:
            check_number("max_tokens", self.max_tokens, minimum=1, maximum=2**31 - 1, is_whole=True)
        if self.reasoning_budget_tokens is not None:
            check_number(
                "reasoning_budget_tokens", self.reasoning_budget_tokens, minimum=1, maximum=2**31 - 1, is_whole=True
            )
        if self.seed is not None:
            check_number("seed", self.seed, minimum=-(2**63), maximum=2**63 - 1, is_whole=True)

    def over(self, other: Self) -> Self:
        """These settings where they are given, else the other's."""
        if other == NO_SAMPLING:
            return self
        if self == NO_SAMPLING:
            return other
        chosen = {
            name: getattr(other, name) if getattr(self, name) is None else getattr(self, name)
            for name in SAMPLING_NAMES
        }
        return type(self)(**chosen)


NO_SAMPLING = Sampling()
SAMPLING_NAMES: tuple[str, ...] = tuple(attribute.name for attribute in fields(Sampling))
