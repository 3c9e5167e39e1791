"""What is known about models: sizes, abilities and prices, where not knowing is a state of its own."""

from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Final, Literal, NoReturn, TypeAlias

from attrs import field, fields, frozen

from dipeo.domain.errors import ValidationError
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache
from dipeo.domain.usage import Usage

TOKENS_PER_PRICE: Final = 1_000_000
"""A price is for a million tokens."""


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"

    def __bool__(self) -> NoReturn:
        # Taken for False it would become a statement, and one that nobody made.
        raise TypeError("'unknown' is neither true nor false: compare with 'is True', 'is False' or 'is UNKNOWN'.")

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __str__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""What is not known. It is neither false nor zero, and refuses to be taken for either."""

NotKnown: TypeAlias = Literal[Unknown.UNKNOWN]


class Modality(StrEnum):
    """A kind of thing that a model takes."""

    TEXT = "text"
    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"


@frozen(kw_only=True)
class TokenPrice:
    """US dollars for a million tokens.

    `steps` are prices for longer requests: from more than so many input tokens on, all tokens of the class cost that
    much. They are in rising order.
    """

    usd: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def __attrs_post_init__(self) -> None:
        for usd in (self.usd, *(price for _, price in self.steps)):
            if not isinstance(usd, Decimal) or not usd.is_finite() or usd < 0:
                raise ValidationError(f"A price must be a decimal number from 0, not {usd!r}.", field="usd")
        starts = [start for start, _ in self.steps]
        if any(type(start) is not int or start < 0 for start in starts) or starts != sorted(set(starts)):
            raise ValidationError("'steps' must begin at whole numbers in rising order.", field="steps")

    def usd_for(self, input_tokens: int) -> Decimal:
        """The price where the whole input has so many tokens."""
        return next((usd for start, usd in reversed(self.steps) if input_tokens > start), self.usd)


@frozen(kw_only=True)
class Prices:
    """What each class of tokens costs.

    `cached` are read from the provider's prompt cache, `cache_write` written to it for a short time, `cache_write_long`
    for a long one.
    """

    input: TokenPrice | NotKnown = UNKNOWN
    output: TokenPrice | NotKnown = UNKNOWN
    cached: TokenPrice | NotKnown = UNKNOWN
    cache_write: TokenPrice | NotKnown = UNKNOWN
    cache_write_long: TokenPrice | NotKnown = UNKNOWN


NO_PRICES: Final = Prices()


@frozen(kw_only=True)
class ModelFacts:
    """What is known about a model of a service; whatever is not known is `UNKNOWN`.

    `takes_schema`: whether answers of a given JSON schema are a feature of the model; `takes_sampling`: whether
    temperature and the like can be set; `reasons`: whether it thinks before it answers. `retires_on` is None where the
    provider has named no day. `as_of` is the day on which the facts were looked up, `sources` say where.
    """

    service: LLMService
    model: str
    context_window_tokens: int | NotKnown = UNKNOWN
    max_output_tokens: int | NotKnown = UNKNOWN
    inputs: frozenset[Modality] | NotKnown = UNKNOWN
    takes_tools: bool | NotKnown = UNKNOWN
    takes_schema: bool | NotKnown = UNKNOWN
    takes_sampling: bool | NotKnown = UNKNOWN
    reasons: bool | NotKnown = UNKNOWN
    is_deprecated: bool | NotKnown = UNKNOWN
    released_on: date | NotKnown = UNKNOWN
    retires_on: date | NotKnown | None = UNKNOWN
    prices: Prices = NO_PRICES
    as_of: date | NotKnown = UNKNOWN
    sources: tuple[str, ...] = ()

    def takes(self, modality: Modality) -> bool | NotKnown:
        """Whether the model takes this as input."""
        return UNKNOWN if self.inputs is UNKNOWN else modality in self.inputs

    def over(self, other: "ModelFacts") -> "ModelFacts":
        """These facts where they are known, else the other's; prices class by class, and the sources of both."""
        return ModelFacts(
            **_first_known(self, other, skip=("service", "model", "prices", "sources")),
            service=self.service,
            model=self.model,
            prices=Prices(**_first_known(self.prices, other.prices)),
            sources=tuple(dict.fromkeys((*self.sources, *other.sources))),
        )


@frozen(kw_only=True)
class Cost:
    """What an answer costs: so many US dollars, or `UNKNOWN` and the reason why."""

    usd: Decimal | NotKnown
    reason: str = field(default="")

    def __attrs_post_init__(self) -> None:
        if (self.usd is UNKNOWN) is not bool(self.reason):
            raise ValidationError("A cost is an amount, or unknown for a reason.", field="reason")


def unknown_cost(reason: str) -> Cost:
    """A cost that is not known because of this."""
    return Cost(usd=UNKNOWN, reason=reason)


def cost_at(prices: Prices, usage: Usage, *, model: str, prompt_cache: PromptCache = PromptCache.DEFAULT) -> Cost:
    """What the usage costs at these prices: each token once, in its own class; never zero for want of a price.

    `prompt_cache` is what the request asked for: it decides for written tokens of which the provider did not say for
    how long they are kept.
    """
    if not usage.is_reported:
        return unknown_cost("the provider did not say how many tokens were used")
    fresh_tokens = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    if fresh_tokens < 0:
        return unknown_cost("more tokens were cached than the input had")
    short_tokens, long_tokens = usage.cache_write_short_tokens, usage.cache_write_long_tokens
    if PromptCache(prompt_cache) is PromptCache.LONG:
        long_tokens = usage.cache_write_tokens - short_tokens
    else:
        short_tokens = usage.cache_write_tokens - long_tokens
    classes = (
        ("input", prices.input, fresh_tokens),
        ("cached input", prices.cached, usage.cached_tokens),
        ("cache write", prices.cache_write, short_tokens),
        ("long cache write", prices.cache_write_long, long_tokens),
        ("output", prices.output, usage.output_tokens),
    )
    total_usd = Decimal(0)
    for name, price, tokens in classes:
        if not tokens:
            continue
        if price is UNKNOWN:
            return unknown_cost(f"no price is known for {name} tokens of {model}")
        total_usd += price.usd_for(usage.input_tokens) * tokens
    if not usage.total_tokens and prices.input is UNKNOWN:
        return unknown_cost(f"no price is known for {model}")
    return Cost(usd=total_usd / TOKENS_PER_PRICE)


# Each value has the type of its own field, which no type of a mapping can say.
def _first_known(
    facts: ModelFacts | Prices, other: ModelFacts | Prices, *, skip: tuple[str, ...] = ()
) -> dict[str, Any]:
    names = [attribute.name for attribute in fields(type(facts)) if attribute.name not in skip]
    pairs = ((name, getattr(facts, name), getattr(other, name)) for name in names)
    return {name: theirs if ours is UNKNOWN else ours for name, ours, theirs in pairs}
