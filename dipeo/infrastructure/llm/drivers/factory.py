"""Makes the adapter for an endpoint."""

from collections.abc import Callable, Mapping
from typing import Protocol

from dipeo.domain.errors import UnknownServiceError
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint


class Adapter(ChatModelPort, Protocol):
    """A model that holds connections and can be closed."""

    async def aclose(self) -> None:
        """Closes the connections. Closing twice does nothing."""
        ...


AdapterBuilder = Callable[[Endpoint], Adapter]


class AdapterFactory:
    """Knows a builder for each service. A builder imports what it needs when it is called."""

    def __init__(self, builders: Mapping[LLMService, AdapterBuilder]) -> None:
        self._builders = builders

    async def create(self, endpoint: Endpoint) -> Adapter:
        """A new adapter. Raises `UnknownServiceError` for a service without a builder."""
        builder = self._builders.get(endpoint.service)
        if builder is None:
            raise UnknownServiceError(f"There is no adapter for {endpoint.service.value!r}.", field="service")
        return builder(endpoint)
