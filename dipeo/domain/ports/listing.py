"""The models that a service has."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dipeo.domain.service import LLMService

if TYPE_CHECKING:
    # Named, not needed: every program imports the ports, and few ask for lists of models.
    from dipeo.domain.catalog import ModelFacts


@runtime_checkable
class ModelListPort(Protocol):
    """Asks a service for its models. Asking is free."""

    async def list_models(
        self,
        service: LLMService | str,
        *,
        api_key_id: str | None = None,
        base_url: str | None = None,
        timeout_s: float | None = None,
    ) -> "Sequence[ModelFacts]":
        """Its models by name, with what it says of each; raises a `DipeoError` where it cannot be asked."""
        ...
