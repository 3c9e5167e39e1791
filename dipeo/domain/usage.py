"""What an answer consumed."""

from typing import Final

from attrs import asdict, frozen

from dipeo.domain.errors import ValidationError
from dipeo.domain.unchecked import unchecked


@frozen(kw_only=True)
class Usage:
    """Token counts of one answer, alike for every provider.

    `input_tokens` is the whole input, whether cached or not: `cached_tokens` (read from the provider's prompt cache)
    and `cache_write_tokens` are parts of it. Of those, `cache_write_short_tokens` were written for some minutes, and
    `cache_write_long_tokens` for an hour or more; of the rest the provider did not say.

    `output_tokens` is the whole output; `reasoning_tokens` are part of it. `is_reported` is False where the provider
    did not say, or said what cannot be: the counts are then a floor and no statement.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    is_reported: bool = True
    cache_write_short_tokens: int = 0
    cache_write_long_tokens: int = 0

    def __attrs_post_init__(self) -> None:
        counts = (
            self.input_tokens,
            self.output_tokens,
            self.cached_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
            self.cache_write_short_tokens,
            self.cache_write_long_tokens,
        )
        for count in counts:
            if type(count) is not int or count < 0:
                name = COUNT_NAMES[counts.index(count)]
                raise ValidationError(f"{name!r} must be a whole number from 0, not {count!r}.", field=name)
        if self.cache_write_short_tokens + self.cache_write_long_tokens > self.cache_write_tokens:
            raise ValidationError(
                "'cache_write_tokens' must not be fewer than were written for a short and for a long time.",
                field="cache_write_tokens",
            )

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            is_reported=self.is_reported and other.is_reported,
            cache_write_short_tokens=self.cache_write_short_tokens + other.cache_write_short_tokens,
            cache_write_long_tokens=self.cache_write_long_tokens + other.cache_write_long_tokens,
        )

    def to_dict(self) -> dict[str, int | bool]:
        """The counts as JSON values."""
        return asdict(self)


COUNT_NAMES: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cache_write_short_tokens",
    "cache_write_long_tokens",
)
new_usage = unchecked(Usage)

UNREPORTED_USAGE = Usage(is_reported=False)
