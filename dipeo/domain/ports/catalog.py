"""What is known about models."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache
from dipeo.domain.usage import Usage

if TYPE_CHECKING:
    # Named, not needed: every program imports the ports, and few ask for facts and prices.
    from dipeo.domain.catalog import Cost, ModelFacts


@runtime_checkable
class ModelCatalogPort(Protocol):
    """Facts and prices of models, known without asking anybody. It must not block on a network."""

    def facts(self, model: str, *, service: LLMService | str | None = None, at: datetime | None = None) -> "ModelFacts":
        """What is known about this model, with the prices of that time (now, unless given).

        `model` is a name or an alias. A model that nobody knows has facts that are all unknown. Raises
        `UnknownServiceError` where no service is given and none can be told from the name.
        """
        ...

    def models(self, *, service: LLMService | str | None = None) -> "Sequence[ModelFacts]":
        """Every model that something is known about, by service and name."""
        ...

    def cost(
        self,
        usage: Usage,
        model: str,
        *,
        service: LLMService | str | None = None,
        at: datetime | None = None,
        prompt_cache: PromptCache = PromptCache.DEFAULT,
    ) -> "Cost":
        """What this usage cost at that time: an amount, or unknown for a reason; never zero for want of a price.

        `prompt_cache` is what the request asked for, and counts where the provider did not say how long it keeps what
        was written: to be remembered for long costs more.
        """
        ...
