"""Several sources of keys, one after the other."""

from typing import Final

from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService


class ChainedKeys(APIKeyPort):
    """The keys of several sources; the first source that has one wins."""

    def __init__(self, *sources: APIKeyPort) -> None:
        self._sources: Final = sources

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        """The key of the first source that has it. Raises what that source, or one before it, raises."""
        for source in self._sources:
            secret = source.find(service, api_key_id)
            if secret is not None:
                return secret
        return None

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        """The words of every source."""
        return " or ".join(source.where(service, api_key_id) for source in self._sources) or "no source of keys"

    def __repr__(self) -> str:
        return f"ChainedKeys({', '.join(map(repr, self._sources))})"
