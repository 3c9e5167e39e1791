"""What the core needs from outside: one Protocol per file."""

from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.embeddings import EmbeddingPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.listing import ModelListPort
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.ports.prompt_size import PromptSizePort
from dipeo.domain.ports.prompts import PromptPort
from dipeo.domain.ports.tokens import TokenCounterPort

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
