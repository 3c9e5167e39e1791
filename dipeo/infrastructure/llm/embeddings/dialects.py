"""Which service is asked to embed in which words."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingDialect
from dipeo.infrastructure.llm.embeddings.gemini import GEMINI
from dipeo.infrastructure.llm.embeddings.ollama import OLLAMA
from dipeo.infrastructure.llm.embeddings.openai_style import COMPATIBLE, MISTRAL, OPENAI

_DIALECTS: Final[Mapping[LLMService, EmbeddingDialect]] = {
    LLMService.OPENAI: OPENAI,
    LLMService.GOOGLE: GEMINI,
    LLMService.OLLAMA: OLLAMA,
    LLMService.MISTRAL: MISTRAL,
    **dict.fromkeys(
        (LLMService.XAI, LLMService.GROQ, LLMService.DEEPSEEK, LLMService.OPENROUTER, LLMService.OPENAI_COMPATIBLE),
        COMPATIBLE,
    ),
}


def dialect_of(service: LLMService) -> EmbeddingDialect:
    """How this service is asked. Raises `UnsupportedParameterError` for one that embeds nothing."""
    dialect = _DIALECTS.get(service)
    if dialect is None:
        raise UnsupportedParameterError(
            f"{service.value!r} offers no embeddings.",
            field="service",
            provider=service.value,
            suggestion="Ask a service that does, such as openai, google, mistral or ollama.",
        )
    return dialect
