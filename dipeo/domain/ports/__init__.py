"""What the core needs from outside: one Protocol per file, each imported when it is first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dipeo.domain.ports.aliases import AliasPort as AliasPort
    from dipeo.domain.ports.catalog import ModelCatalogPort as ModelCatalogPort
    from dipeo.domain.ports.clock import ClockPort as ClockPort
    from dipeo.domain.ports.embeddings import EmbeddingPort as EmbeddingPort
    from dipeo.domain.ports.keys import APIKeyPort as APIKeyPort
    from dipeo.domain.ports.ledger import LedgerPort as LedgerPort
    from dipeo.domain.ports.listing import ModelListPort as ModelListPort
    from dipeo.domain.ports.llm import ChatModelPort as ChatModelPort
    from dipeo.domain.ports.llm import LLMServicePort as LLMServicePort
    from dipeo.domain.ports.prompt_size import PromptSizePort as PromptSizePort
    from dipeo.domain.ports.prompts import PromptPort as PromptPort
    from dipeo.domain.ports.tokens import TokenCounterPort as TokenCounterPort

_HOMES = {
    "APIKeyPort": "dipeo.domain.ports.keys",
    "AliasPort": "dipeo.domain.ports.aliases",
    "ChatModelPort": "dipeo.domain.ports.llm",
    "ClockPort": "dipeo.domain.ports.clock",
    "EmbeddingPort": "dipeo.domain.ports.embeddings",
    "LLMServicePort": "dipeo.domain.ports.llm",
    "LedgerPort": "dipeo.domain.ports.ledger",
    "ModelCatalogPort": "dipeo.domain.ports.catalog",
    "ModelListPort": "dipeo.domain.ports.listing",
    "PromptPort": "dipeo.domain.ports.prompts",
    "PromptSizePort": "dipeo.domain.ports.prompt_size",
    "TokenCounterPort": "dipeo.domain.ports.tokens",
}

__all__ = [
    "APIKeyPort",
    "AliasPort",
    "ChatModelPort",
    "ClockPort",
    "EmbeddingPort",
    "LLMServicePort",
    "LedgerPort",
    "ModelCatalogPort",
    "ModelListPort",
    "PromptPort",
    "PromptSizePort",
    "TokenCounterPort",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
