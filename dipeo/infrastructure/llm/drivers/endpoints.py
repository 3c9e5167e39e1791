"""Finds the endpoint of a request."""

import threading
from collections.abc import Mapping
from typing import Final
from weakref import WeakValueDictionary

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import ConfigurationError, MissingAPIKeyError
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.forks import renew_in_child
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint, check_base_url

KEYLESS_SERVICES: Final = frozenset({LLMService.OLLAMA, LLMService.OPENAI_COMPATIBLE})
"""Services that answer without a key; one that is configured is sent all the same."""

_MAX_REMEMBERED: Final = 1_000


class EndpointDirectory:
    """Knows the base URL and the key of every service."""

    def __init__(self, base_urls: Mapping[LLMService, str], keys: APIKeyPort) -> None:
        self._base_urls = base_urls
        self._keys = keys
        self._current: dict[_Address, Endpoint] = {}
        self._shared: WeakValueDictionary[tuple[LLMService, str, Secret | None], Endpoint] = WeakValueDictionary()
        self._lock = threading.Lock()
        renew_in_child(self)
        self.replacements = 0
        """How often a key was replaced by another; whoever keeps something by endpoint looks when this has grown."""

    def find(self, request: CompletionRequest) -> Endpoint:
        """Where this request goes.

        Raises `MissingAPIKeyError`, `MalformedAPIKeyError`, or `ConfigurationError` for a service without a usable
        base URL.
        """
        address = (request.service, request.base_url, request.api_key_id)
        key = self._keys.find(request.service, request.api_key_id)
        endpoint = self._current.get(address)
        # Most sources give the same object every time, and keys are compared in constant time, which takes its time.
        if endpoint is None or (endpoint.key is not key and endpoint.key != key):
            with self._lock:
                endpoint = self._current[address] = self._endpoint(request, key, replaces=endpoint is not None)
        return endpoint

    def begin_in_child(self) -> None:
        """Takes a new lock: another thread may have held this one when the process was forked."""
        self._lock = threading.Lock()

    def is_current(self, endpoint: Endpoint) -> bool:
        """Whether any request still goes there, as far as is known."""
        with self._lock:
            return any(endpoint is each for each in self._current.values())

    def _endpoint(self, request: CompletionRequest, key: Secret | None, *, replaces: bool) -> Endpoint:
        service = request.service
        base_url = request.base_url or self._base_urls.get(service)
        if base_url is None:
            raise ConfigurationError(
                f"No base URL is set for {service.value!r}.",
                field="base_url",
                suggestion=f"Set DIPEO_{service.name}_BASE_URL or pass base_url=...",
            )
        if key is None and (service not in KEYLESS_SERVICES or request.api_key_id is not None):
            where = self._keys.where(service, request.api_key_id)
            raise MissingAPIKeyError(
                f"No API key for {service.value!r} was found.",
                provider=service.value,
                field="api_key_id",
                suggestion=f"Looked for: {where}.",
            )
        field = "base_url" if request.base_url else f"DIPEO_{service.name}_BASE_URL"
        checked = check_base_url(base_url, field=field, has_key=key is not None)
        if len(self._current) >= _MAX_REMEMBERED:
            self._current.clear()
        self.replacements += replaces
        # One object for equal endpoints: whoever keeps something by endpoint compares by identity.
        found = self._shared.get((service, checked, key))
        if found is None:
            found = self._shared[(service, checked, key)] = Endpoint(service=service, base_url=checked, key=key)
        return found


_Address = tuple[LLMService, str | None, str | None]
"""What a request names: service, base URL and key id."""
