"""Which adapter speaks for which service, over which wire."""

from collections.abc import Mapping
from typing import Final

from dipeo.config import RESPONSES
from dipeo.container.wires import open_http_wire
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.base import WireOpener
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.factory import Adapter, AdapterBuilder

COMPATIBLE_SERVICES = (
    LLMService.XAI,
    LLMService.GROQ,
    LLMService.MISTRAL,
    LLMService.DEEPSEEK,
    LLMService.OPENROUTER,
    LLMService.OPENAI_COMPATIBLE,
)

_USUAL_APIS: Final[Mapping[LLMService, str]] = {}


def adapter_builders(
    open_wire: WireOpener = open_http_wire, *, apis: Mapping[LLMService, str] = _USUAL_APIS
) -> Mapping[LLMService, AdapterBuilder]:
    """A builder for each service; each imports its adapter when it is called.

    `apis` says which services are asked over OpenAI's responses rather than chat completions, where they have both.
    """

    def prefers_responses(endpoint: Endpoint) -> bool:
        return apis.get(endpoint.service) == RESPONSES

    def openai(endpoint: Endpoint) -> Adapter:
        from dipeo.infrastructure.llm.adapters.openai import ChatGPTAdapter

        return ChatGPTAdapter(endpoint, open_wire, prefers_responses=prefers_responses(endpoint))

    def anthropic(endpoint: Endpoint) -> Adapter:
        from dipeo.infrastructure.llm.adapters.claude import ClaudeAdapter

        return ClaudeAdapter(endpoint, open_wire)

    def google(endpoint: Endpoint) -> Adapter:
        from dipeo.infrastructure.llm.adapters.gemini import GeminiAdapter

        return GeminiAdapter(endpoint, open_wire)

    def ollama(endpoint: Endpoint) -> Adapter:
        from dipeo.infrastructure.llm.adapters.ollama import OllamaAdapter

        return OllamaAdapter(endpoint, open_wire)

    def compatible(endpoint: Endpoint) -> Adapter:
        from dipeo.infrastructure.llm.adapters.openai_compatible import OpenAICompatibleAdapter

        return OpenAICompatibleAdapter(endpoint, open_wire, prefers_responses=prefers_responses(endpoint))

    return {
        LLMService.OPENAI: openai,
        LLMService.ANTHROPIC: anthropic,
        LLMService.GOOGLE: google,
        LLMService.OLLAMA: ollama,
        **dict.fromkeys(COMPATIBLE_SERVICES, compatible),
    }
