"""How each vendor is asked and how it answers; every dialect is pure."""

from __future__ import annotations

from dipeo.testing.simulator.dialects.anthropic import AnthropicDialect
from dipeo.testing.simulator.dialects.flavours import FLAVOURS
from dipeo.testing.simulator.dialects.gemini import GeminiDialect
from dipeo.testing.simulator.dialects.ollama import OllamaDialect
from dipeo.testing.simulator.dialects.openai_chat import OpenAIChatDialect
from dipeo.testing.simulator.exchange import Dialect


def all_dialects() -> dict[str, Dialect]:
    """Every dialect under the name of its service."""
    dialects: list[Dialect] = [
        OpenAIChatDialect(),
        AnthropicDialect(),
        GeminiDialect(),
        OllamaDialect(),
        *(OpenAIChatDialect(flavour) for flavour in FLAVOURS),
    ]
    return {dialect.service: dialect for dialect in dialects}
