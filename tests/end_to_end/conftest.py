"""A simulator and settings that point every service at it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from dipeo import Settings
from dipeo.testing import ProviderSimulator

KEY = "sk-canary-4711-do-not-show"
SERVICES_WITH_KEYS = ("OPENAI", "ANTHROPIC", "GEMINI", "XAI", "GROQ", "MISTRAL", "DEEPSEEK", "OPENROUTER")
ENVIRON = {
    "DIPEO_OPENAI_COMPATIBLE_API_KEY": KEY,
    **{f"{name}_API_KEY": KEY for name in SERVICES_WITH_KEYS},
}


@pytest.fixture
async def simulator() -> AsyncIterator[ProviderSimulator]:
    async with ProviderSimulator(seed=11) as running:
        yield running


@pytest.fixture
def thread_simulator() -> Iterator[ProviderSimulator]:
    with ProviderSimulator(seed=11) as running:
        yield running


@pytest.fixture
def settings(simulator: ProviderSimulator) -> Settings:
    return Settings(base_urls=simulator.base_urls, environ=ENVIRON)
