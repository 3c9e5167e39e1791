"""API keys."""

from typing import Protocol, runtime_checkable

from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService


@runtime_checkable
class APIKeyPort(Protocol):
    """Where keys come from. A look-up is made for every call: it must be fast and must not block."""

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        """The key under this id, or the service's usual key when the id is None; None where there is none.

        An id that is given never falls back to the service's usual key. Raises `MalformedAPIKeyError`, and
        `ConfigurationError` where a file of keys cannot be read.
        """
        ...

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        """Where such a key would be looked for, in words for an error message."""
        ...
