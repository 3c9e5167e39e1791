"""Makes the adapter for an endpoint."""

import asyncio
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
    """Knows a builder for each service. A builder imports what it needs when it is called.

    `modules_for` names what is imported in a thread before the first adapter of a service is made: an HTTP client takes
    some 100 ms, an SDK seconds, and nothing else on the event loop should wait for that.
    """

    def __init__(
        self,
        builders: Mapping[LLMService, AdapterBuilder],
        *,
        modules_for: Callable[[LLMService], Sequence[str]] = lambda _service: (),
    ) -> None:
        self._builders = builders
        self._modules_for = modules_for

    async def create(self, endpoint: Endpoint) -> Adapter:
        """A new adapter. Raises `UnknownServiceError` for a service without a builder."""
        builder = self._builders.get(endpoint.service)
        if builder is None:
            raise UnknownServiceError(f"There is no adapter for {endpoint.service.value!r}.", field="service")
        for module in self._modules_for(endpoint.service):
            if module not in sys.modules:
                # What is missing is told by the builder, which knows what it was needed for.
                with suppress(ImportError):
                    await asyncio.to_thread(importlib.import_module, module)
        return builder(endpoint)
