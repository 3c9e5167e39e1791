"""Which models fit what was asked for; what is not known of a model neither fits nor fails to."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

from attrs import frozen

from dipeo.domain.catalog import UNKNOWN, Modality, ModelFacts, NotKnown, TokenPrice


class Ability(StrEnum):
    """What a model may be asked to be able to do."""

    TOOLS = "tools"
    SCHEMA = "schema"
    SAMPLING = "sampling"
    REASONING = "reasoning"
    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"


_FLAGS: Final[dict[Ability, Callable[[ModelFacts], bool | NotKnown]]] = {
    Ability.TOOLS: lambda facts: facts.takes_tools,
    Ability.SCHEMA: lambda facts: facts.takes_schema,
    Ability.SAMPLING: lambda facts: facts.takes_sampling,
    Ability.REASONING: lambda facts: facts.reasons,
}


def has(facts: ModelFacts, ability: Ability) -> bool | NotKnown:
    """Whether the model can do this."""
    flag = _FLAGS.get(ability)
    return facts.takes(Modality(ability)) if flag is None else flag(facts)


@frozen(kw_only=True)
class ModelFilter:
    """What a model is asked for. Prices are US dollars for a million tokens, of the shortest requests."""

    abilities: Sequence[Ability] = ()
    min_window_tokens: int | None = None
    max_input_usd: Decimal | None = None
    max_output_usd: Decimal | None = None

    def fits(self, facts: ModelFacts) -> bool | NotKnown:
        """Whether it fits: no, where one thing is known not to; unknown, where all else fits and one is not known."""
        window = facts.context_window_tokens
        answers = [has(facts, ability) for ability in self.abilities]
        if self.min_window_tokens is not None:
            answers.append(UNKNOWN if window is UNKNOWN else window >= self.min_window_tokens)
        answers += [
            _costs_at_most(facts.prices.input, self.max_input_usd),
            _costs_at_most(facts.prices.output, self.max_output_usd),
        ]
        if any(answer is False for answer in answers):
            return False
        return UNKNOWN if any(answer is UNKNOWN for answer in answers) else True


def _costs_at_most(price: TokenPrice | NotKnown, limit_usd: Decimal | None) -> bool | NotKnown:
    if limit_usd is None:
        return True
    return UNKNOWN if price is UNKNOWN else price.usd <= limit_usd
