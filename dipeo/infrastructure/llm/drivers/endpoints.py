"""Finds the endpoint of a request."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import ConfigurationError, MissingAPIKeyError
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint, check_base_url

KEYLESS_SERVICES: Final = frozenset({LLMService.OLLAMA, LLMService.OPENAI_COMPATIBLE})
"""Services that answer without a key; one that is configured is sent all the same."""

_MAX_REMEMBERED: Final = 1_000


class EndpointDirectory:
    """Knows the base URL and the key of every service."""

    def __init__(self, base_urls: Mapping[LLMService, str], keys: APIKeyPort) -> None:
        self._base_urls = base_urls
        self._keys = keys
        self._known: dict[tuple[LLMService, str, Secret | None], Endpoint] = {}

    def find(self, request: CompletionRequest) -> Endpoint:
        """Where this request goes.

        Raises `MissingAPIKeyError`, `MalformedAPIKeyError`, or `ConfigurationError` for a service without a usable
        base URL.
        """
        service = request.service
        base_url = request.base_url or self._base_urls.get(service)
        if base_url is None:
            raise ConfigurationError(
                f"No base URL is set for {service.value!r}.",
                field="base_url",
                suggestion=f"Set DIPEO_{service.name}_BASE_URL or pass base_url=...",
            )
        key = self._keys.find(service, request.api_key_id)
        endpoint = self._known.get((service, base_url, key))
        return endpoint or self._check(request, service, base_url, key)

    def _check(self, request: CompletionRequest, service: LLMService, base_url: str, key: Secret | None) -> Endpoint:
        is_needed = service not in KEYLESS_SERVICES or request.api_key_id is not None
        if key is None and is_needed:
            where = self._keys.where(service, request.api_key_id)
            raise MissingAPIKeyError(
                f"No API key for {service.value!r} was found.",
                provider=service.value,
                field="api_key_id",
                suggestion=f"Looked for: {where}.",
            )
        checked = check_base_url(base_url, field="base_url", has_key=key is not None)
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        endpoint = self._known[(service, base_url, key)] = Endpoint(service=service, base_url=checked, key=key)
        return endpoint
