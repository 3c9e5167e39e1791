"""The models that a service has."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from dipeo.domain.catalog import ModelFacts
from dipeo.domain.service import LLMService


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
    ) -> Sequence[ModelFacts]:
        """Its models by name, with what it says of each; raises a `DipeoError` where it cannot be asked."""
        ...
