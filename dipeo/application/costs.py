"""What answers cost, by the catalogue."""

from dipeo.application.tool_limits import CostOf
from dipeo.domain.catalog import UNKNOWN
from dipeo.domain.completion import Completion
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.tools import PromptCache


def cost_from(catalog: ModelCatalogPort, *, prompt_cache: PromptCache = PromptCache.DEFAULT) -> CostOf:
    """What an answer cost in US dollars by this catalogue, for a `ToolLoop`; None where nobody knows.

    `prompt_cache` is what the requests ask for, and counts where a provider does not say how long it keeps what was
    written: to be remembered for long costs more.
    dipeo.facade.wired().catalog() is one that knows the usual models.
    """

    def cost_of(completion: Completion) -> float | None:
        usd = catalog.cost(
            completion.usage, completion.model, service=completion.service, prompt_cache=prompt_cache
        ).usd
        return None if usd is UNKNOWN else float(usd)

    return cost_of
