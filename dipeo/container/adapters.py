"""Which adapter speaks for which service, over which wire."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from attrs import frozen

from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.base import WireOpener
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.factory import Adapter, AdapterBuilder
from dipeo.infrastructure.llm.drivers.wire import Wire

COMPATIBLE_SERVICES = (
    LLMService.XAI,
    LLMService.GROQ,
    LLMService.MISTRAL,
    LLMService.DEEPSEEK,
    LLMService.OPENROUTER,
    LLMService.OPENAI_COMPATIBLE,
)


@frozen
class ImportedWire:
    """Opens wires of a module that is imported when the first one is needed."""

    module: str

    def __call__(self, endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
        opened: Wire = import_module(self.module).open_wire(endpoint, credentials)
        return opened


open_http_wire: Final = ImportedWire("dipeo.infrastructure.llm.wires.http")
"""The default wire of every service."""


def modules_of(open_wire: WireOpener) -> Sequence[str]:
    """What is worth importing before a wire is opened: it takes too long for an event loop to wait for it."""
    return (open_wire.module,) if isinstance(open_wire, ImportedWire) else ()


def adapter_builders(open_wire: WireOpener = open_http_wire) -> Mapping[LLMService, AdapterBuilder]:
    """A builder for each service; each imports its adapter when it is called."""

    def openai(endpoint: Endpoint) -> Adapter:
        from dipeo.infrastructure.llm.adapters.openai import ChatGPTAdapter

        return ChatGPTAdapter(endpoint, open_wire)

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

        return OpenAICompatibleAdapter(endpoint, open_wire)

    return {
        LLMService.OPENAI: openai,
        LLMService.ANTHROPIC: anthropic,
        LLMService.GOOGLE: google,
        LLMService.OLLAMA: ollama,
        **dict.fromkeys(COMPATIBLE_SERVICES, compatible),
    }
