"""What distinguishes one speaker of OpenAI's responses from another, and which models want to be asked that way."""

import re
from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Final

from attrs import evolve, frozen

from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import ImageDetail
from dipeo.domain.service import LLMService
from dipeo.domain.tools import ProviderTool, SchemaMode
from dipeo.infrastructure.llm.adapters._prompt_cache import OPENAI_RESPONSES_CACHES, Caches
from dipeo.infrastructure.llm.drivers.image_detail import EVERY_DETAIL, LOW_TO_HIGH

_NO_MODEL: Final = re.compile(r"(?!)")
_ANY_MODEL: Final = re.compile(r"")
_OPENAIS_TOOLS: Final = frozenset({ProviderTool.WEB_SEARCH, ProviderTool.CODE_EXECUTION})


# Compared by identity: there is one of each, and what is remembered of them is looked up by it.
@frozen(kw_only=True, eq=False)
class ResponsesDialect:
    """One speaker of responses; the patterns say for which models something holds.

    `needs_responses`: the model has no other interface. `has_chat_alone`: it cannot be asked this way. `thinks`: its
    reasoning can be had in encrypted form, to be sent back where the provider keeps nothing. `sees`, `keeps_to_schema`:
    it takes pictures, schemas, though chat completions do not have it. `names_container`: running code wants a
    container named. `has_cache`: a prompt cache can be asked for; `caches`: in which words, beside a key.
    """

    vendor: str
    needs_responses: re.Pattern[str] = _NO_MODEL
    has_chat_alone: re.Pattern[str] = _NO_MODEL
    thinks: re.Pattern[str] = _NO_MODEL
    sees: re.Pattern[str] = _NO_MODEL
    keeps_to_schema: re.Pattern[str] = _NO_MODEL
    provider_tools: frozenset[ProviderTool] = frozenset()
    image_details: Set[ImageDetail] = EVERY_DETAIL
    names_container: bool = False
    has_cache: bool = False
    caches: Caches = ()

    def capabilities(self, model: str, chat: ModelCapabilities) -> ModelCapabilities:
        """What the model takes when it is asked this way, where `chat` is what it takes over chat completions.

        The interface has no stop words, no seed, no names and no sound.
        """
        return evolve(
            chat,
            takes_stop=False,
            takes_seed=False,
            takes_names=False,
            takes_audio=False,
            takes_reasoning_budget=False,
            takes_images=chat.takes_images or self.sees.match(model) is not None,
            schema_mode=SchemaMode.NATIVE if self.keeps_to_schema.match(model) else chat.schema_mode,
            provider_tools=self.provider_tools,
        )


@lru_cache(maxsize=1024)
def has_responses_alone(dialect: ResponsesDialect, model: str) -> bool:
    """Whether the model can be asked in no other way. Remembered, because every call wants to know."""
    return dialect.needs_responses.match(model) is not None


# The models' own pages and the guide to reasoning.
_OPENAI: Final = ResponsesDialect(
    vendor=LLMService.OPENAI.value,
    needs_responses=re.compile(
        r"(?:o\d|gpt-[5-9][\d.]*)-pro(?:-|$)|(?:gpt-[5-9].*-)?codex|o\d.*-deep-research|computer-use"
    ),
    has_chat_alone=re.compile(r".*(?:-search-preview|-search-api|audio|gpt-3\.5-turbo-instruct)"),
    thinks=re.compile(r"(?:ft:)?(?:o\d|gpt-[5-9](?!.*-chat)|codex|computer-use)"),
    sees=re.compile(r"codex|computer-use"),
    keeps_to_schema=re.compile(r"codex"),
    provider_tools=_OPENAIS_TOOLS,
    names_container=True,
    has_cache=True,
    caches=OPENAI_RESPONSES_CACHES,
)

_XAI: Final = ResponsesDialect(
    vendor=LLMService.XAI.value,
    needs_responses=re.compile(r".*multi-agent"),
    thinks=_ANY_MODEL,
    keeps_to_schema=_ANY_MODEL,
    image_details=LOW_TO_HIGH,
    provider_tools=_OPENAIS_TOOLS,
    has_cache=True,
)

RESPONSES_DIALECTS: Final[Mapping[LLMService, ResponsesDialect]] = {
    LLMService.OPENAI: _OPENAI,
    LLMService.XAI: _XAI,
    # A server we know nothing of: only what every one of them has.
    LLMService.OPENAI_COMPATIBLE: ResponsesDialect(vendor=LLMService.OPENAI_COMPATIBLE.value),
}
"""The services that speak responses beside chat completions."""
