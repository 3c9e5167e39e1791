"""The services that answer."""

from enum import StrEnum
from typing import Self

from dipeo.domain.errors import UnknownServiceError


class LLMService(StrEnum):
    """A provider's interface; `OPENAI_COMPATIBLE` is any base URL that speaks OpenAI's chat completions."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OLLAMA = "ollama"
    XAI = "xai"
    GROQ = "groq"
    MISTRAL = "mistral"
    DEEPSEEK = "deepseek"
    OPENROUTER = "openrouter"
    OPENAI_COMPATIBLE = "openai_compatible"

    @classmethod
    def from_name(cls, name: str) -> Self:
        """The service of this name, also by its everyday names (`claude`, `gemini`, `grok`, ...).

        Raises `UnknownServiceError`.
        """
        if isinstance(name, cls):
            return name
        lowered = str(name).strip().lower()
        try:
            return cls(_EVERYDAY_NAMES.get(lowered, lowered))
        except ValueError:
            known = ", ".join(cls)
            raise UnknownServiceError(
                f"There is no service {name!r}.", field="service", suggestion=f"Known services: {known}."
            ) from None


_EVERYDAY_NAMES = {
    "claude": "anthropic",
    "gemini": "google",
    "grok": "xai",
    "chatgpt": "openai",
    "gpt": "openai",
    "local": "ollama",
    "openai-compatible": "openai_compatible",
}
