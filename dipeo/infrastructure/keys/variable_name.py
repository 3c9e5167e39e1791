"""Which environment variables hold the keys."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dipeo.domain.service import LLMService

USUAL_VARIABLES: Final[Mapping[LLMService, tuple[str, ...]]] = MappingProxyType(
    {
        LLMService.OPENAI: ("OPENAI_API_KEY",),
        LLMService.ANTHROPIC: ("ANTHROPIC_API_KEY",),
        LLMService.GOOGLE: ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        LLMService.OLLAMA: ("OLLAMA_API_KEY",),
        LLMService.XAI: ("XAI_API_KEY",),
        LLMService.GROQ: ("GROQ_API_KEY",),
        LLMService.MISTRAL: ("MISTRAL_API_KEY",),
        LLMService.DEEPSEEK: ("DEEPSEEK_API_KEY",),
        LLMService.OPENROUTER: ("OPENROUTER_API_KEY",),
        LLMService.OPENAI_COMPATIBLE: ("DIPEO_OPENAI_COMPATIBLE_API_KEY",),
    }
)

_PREFIX: Final = "DIPEO_KEY_"
# Not `_KEY` alone: an id from elsewhere must not fetch what is no key of a provider, such as a framework's SECRET_KEY.
_SUFFIX: Final = "_API_KEY"
# A setting that starts like a key: the path of the key file.
_NOT_A_KEY: Final = "DIPEO_KEY_FILE"
_NOT_ALPHANUMERIC: Final = re.compile(r"[^A-Z0-9]")


def may_hold_key(variable: str) -> bool:
    """Whether any look-up could ask for this variable."""
    return variable != _NOT_A_KEY and (variable.startswith(_PREFIX) or variable.endswith(_SUFFIX))


def variables_for(service: LLMService, api_key_id: str | None) -> tuple[str, ...]:
    """The variables that may hold the key, the first one first.

    An id stands for `DIPEO_KEY_` and the id in capitals with underscores, or for the variable of that very name where
    it ends in `_API_KEY`. No id: the usual variables of the service.
    """
    if api_key_id is None:
        return USUAL_VARIABLES[service]
    derived = _PREFIX + _NOT_ALPHANUMERIC.sub("_", api_key_id.upper())
    return (derived, api_key_id) if api_key_id.endswith(_SUFFIX) else (derived,)
