"""Which models fit what was asked for; what is not known of a model neither fits nor fails to."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

from attrs import frozen

from dipeo.domain.catalog import UNKNOWN, Modality, ModelFacts, NotKnown, TokenPrice
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.catalog.known_prices import PRICES_SOURCE


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

    @property
    def is_open(self) -> bool:
        """Whether every model fits."""
        return self == ModelFilter()

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


@frozen
class FoundModels:
    """The models that fit, and how many more might, or would but for how little is known of them."""

    shown: Sequence[ModelFacts]
    unknown: int
    little_known: int


def sorted_out(known: Iterable[ModelFacts], wanted: ModelFilter, *, has_unknown: bool, has_all: bool) -> FoundModels:
    """The models that fit; those of which little but a price is known are counted alone, unless all are wanted."""
    shown: list[ModelFacts] = []
    unknown = little_known = 0
    for facts in known:
        fits = wanted.fits(facts)
        is_taken = fits is True or (fits is UNKNOWN and has_unknown)
        if not has_all and _is_price_alone(facts):
            little_known += is_taken
        elif is_taken:
            shown.append(facts)
        elif fits is UNKNOWN:
            unknown += 1
    return FoundModels(shown, unknown, little_known)


def fitting_aliases(
    aliases: AliasPort, catalog: ModelCatalogPort, service: LLMService | None, wanted: ModelFilter, *, has_unknown: bool
) -> tuple[dict[str, ModelTarget], int]:
    """The aliases of models that fit, in order, and how many were left out because that is not known."""
    fitting: dict[str, ModelTarget] = {}
    unknown = 0
    for alias, target in sorted(aliases.aliases().items()):
        if service not in (None, target.service):
            continue
        # Without a wish nothing need be known, and the catalogue need not be read.
        fits = wanted.is_open or wanted.fits(catalog.facts(target.model, service=target.service))
        if fits is True or (fits is UNKNOWN and has_unknown):
            fitting[alias] = target
        unknown += fits is UNKNOWN and not has_unknown
    return fitting, unknown


def _is_price_alone(facts: ModelFacts) -> bool:
    return bool(facts.sources) and all(source.startswith(PRICES_SOURCE) for source in facts.sources)
