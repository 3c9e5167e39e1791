"""What is particular about each provider that speaks chat completions without being OpenAI."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from attrs import frozen

from dipeo.domain.json_value import JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import ReasoningEffort as E  # a table of levels is read by its levels
from dipeo.domain.service import LLMService
from dipeo.domain.tools import ProviderTool, SchemaMode
from dipeo.infrastructure.llm.adapters._chat_dialect import (
    EVERY,
    NONE,
    CacheWish,
    ChatDialect,
    DocumentStyle,
    ReasoningBack,
)
from dipeo.infrastructure.llm.drivers.image_detail import EVERY_DETAIL, NO_DETAILS


@frozen(kw_only=True)
class Profile:
    """What is particular about one compatible provider; the patterns say for which models something holds.

    Of `efforts`, `schema_modes` and `provider_tools`, the first entry whose pattern fits counts. `sees`, `reads` and
    `hears`: which models take pictures, documents and sounds; `budgets`: which take a number of tokens to think with.
    """

    dialect: ChatDialect
    takes_names: bool = False
    knows_developer: bool = False
    takes_seed: bool = True
    max_temperature: float = 2.0
    accepts_open_end: bool = True
    efforts: tuple[tuple[re.Pattern[str], frozenset[E]], ...] = ()
    budgets: re.Pattern[str] = NONE
    calls_tools: re.Pattern[str] = EVERY
    provider_tools: tuple[tuple[re.Pattern[str], frozenset[ProviderTool]], ...] = ()
    schema_modes: tuple[tuple[re.Pattern[str], SchemaMode], ...] = ()
    sees: re.Pattern[str] = NONE
    reads: re.Pattern[str] = NONE
    hears: re.Pattern[str] = NONE


_SEARCH: Final = frozenset({ProviderTool.WEB_SEARCH})
_SEARCH_AND_CODE: Final = frozenset({ProviderTool.WEB_SEARCH, ProviderTool.CODE_EXECUTION})

_LOW_HIGH: Final = frozenset({E.LOW, E.HIGH})
_LOW_TO_HIGH: Final = frozenset({E.LOW, E.MEDIUM, E.HIGH})

_GROQ_COMPOUND: Final = re.compile(r"(?:groq/)?compound")
_GROQ_OSS: Final = re.compile(r"(?:openai/)?gpt-oss")
_GROQ_NAMES: Final = {ProviderTool.WEB_SEARCH: "web_search", ProviderTool.CODE_EXECUTION: "code_interpreter"}
_GROQ_TYPES: Final = {ProviderTool.WEB_SEARCH: "browser_search", ProviderTool.CODE_EXECUTION: "code_interpreter"}


def groq_tools(model: str, tools: Sequence[ProviderTool]) -> Mapping[str, JsonValue]:
    """Compound systems switch their tools on; models are offered them beside the caller's."""
    if _GROQ_COMPOUND.match(model):
        return {"compound_custom": {"tools": {"enabled_tools": [_GROQ_NAMES[tool] for tool in tools]}}}
    return {"tools": [{"type": _GROQ_TYPES[tool]} for tool in tools]}


def openrouter_tools(_model: str, tools: Sequence[ProviderTool]) -> Mapping[str, JsonValue]:
    """OpenRouter's own tools are offered beside the caller's."""
    return {"tools": [{"type": f"openrouter:{tool.value}"} for tool in tools]}


_MISTRAL_SEES: Final = re.compile(
    r"pixtral|(?:mistral-(?:small|medium|large)|(?:mini|magi)stral-\w+)-(?:latest|25(?:0[3-9]|1\d)|2[6-9]|[3-9])"
)
_OPENROUTER_NATIVE: Final = re.compile(
    r"openai/(?:gpt-4o|gpt-4\.1|gpt-[5-9]|gpt-oss|o[13-9])|google/gemini|x-ai/|mistralai/"
    r"|anthropic/claude-(?:sonnet|opus|haiku)-(?:4\.[5-9]|[5-9])"
)
_OPENROUTER_CALLS: Final = re.compile(r"(?:anthropic|openai|deepseek|qwen|moonshotai|z-ai)/(?!.*:free$)")

# Read in each provider's own reference. Where a provider refuses unknown fields (Mistral answers 422), what it does not
# document is not sent.
PROFILES: Final[Mapping[LLMService, Profile]] = {
    LLMService.XAI: Profile(
        # Searching, and reasoning that goes back, are in xAI's responses alone.
        dialect=ChatDialect(vendor="xai", cache=CacheWish.HEADER_KEY),
        takes_names=True,
        efforts=(
            (re.compile(r"grok-3-mini"), _LOW_HIGH),
            (re.compile(r"grok-(?:4\.[3-9]|[5-9])"), _LOW_TO_HIGH),
        ),
        schema_modes=((EVERY, SchemaMode.NATIVE),),
        sees=re.compile(r"grok-(?:2-vision|vision|4|[5-9])"),
    ),
    LLMService.GROQ: Profile(
        dialect=ChatDialect(
            vendor="groq",
            reasoning_back=ReasoningBack.FIELDS,
            reasoning_fields=("reasoning",),
            provider_tools=groq_tools,
            cache=CacheWish.AUTOMATIC,
        ),
        takes_names=True,
        efforts=((_GROQ_OSS, _LOW_TO_HIGH),),
        calls_tools=re.compile(r"(?!(?:groq/)?compound|.*guard)"),
        provider_tools=((_GROQ_COMPOUND, _SEARCH_AND_CODE), (_GROQ_OSS, _SEARCH_AND_CODE)),
        # Its structured outputs know neither streams nor tools; a forced tool knows the one and leaves nothing open.
        schema_modes=((re.compile(r"(?!(?:groq/)?compound|.*guard)"), SchemaMode.TOOL),),
        sees=re.compile(r"meta-llama/llama-4|.*vision|.*-vl"),
    ),
    LLMService.MISTRAL: Profile(
        dialect=ChatDialect(
            vendor="mistral",
            seed_field="random_seed",
            asks_for_stream_usage=False,
            required_word="any",
            call_id=re.compile(r"[A-Za-z0-9]{9}"),
            splits_tool_and_user=True,
            reasoning_back=ReasoningBack.PIECES,
            document_style=DocumentStyle.DOCUMENT_URL,
            audio_is_plain=True,
            cache=CacheWish.BODY_KEY,
        ),
        max_temperature=1.5,
        accepts_open_end=False,
        efforts=((re.compile(r"mistral-(?:small|medium)-(?:latest|2[6-9]|[3-9])"), frozenset({E.NONE, E.HIGH})),),
        schema_modes=((EVERY, SchemaMode.NATIVE),),
        sees=_MISTRAL_SEES,
        reads=_MISTRAL_SEES,
        hears=re.compile(r"voxtral"),
    ),
    LLMService.DEEPSEEK: Profile(
        dialect=ChatDialect(
            vendor="deepseek",
            image_details=NO_DETAILS,
            takes_strict=False,
            serial_models=EVERY,
            reasoning_back=ReasoningBack.FIELDS,
            reasoning_fields=("reasoning_content",),
            disables_thinking=True,
            cache=CacheWish.AUTOMATIC,
        ),
        takes_names=True,
        takes_seed=False,
        efforts=((re.compile(r"deepseek-(?!chat)"), frozenset({E.NONE, E.LOW, E.HIGH, E.MAX})),),
        # A model that thinks cannot be made to call a certain tool.
        schema_modes=((re.compile(r"deepseek-chat"), SchemaMode.TOOL),),
        sees=re.compile(r"deepseek-flash"),
    ),
    LLMService.OPENROUTER: Profile(
        dialect=ChatDialect(
            vendor="openrouter",
            reasoning_back=ReasoningBack.DETAILS,
            reasoning_fields=("reasoning",),
            document_style=DocumentStyle.FILE_DATA_OR_URL,
            takes_any_audio=True,
            provider_tools=openrouter_tools,
            cache=CacheWish.MARK,
            long_cache=re.compile(r"~?anthropic/"),
        ),
        takes_names=True,
        knows_developer=True,
        efforts=((EVERY, frozenset(E) - {E.MAX}),),
        budgets=EVERY,
        provider_tools=((EVERY, _SEARCH),),
        schema_modes=((_OPENROUTER_NATIVE, SchemaMode.NATIVE), (_OPENROUTER_CALLS, SchemaMode.TOOL)),
        sees=EVERY,
        reads=EVERY,
        hears=EVERY,
    ),
    # A server we know nothing of: the careful choice is a stream that may end without `[DONE]` once it said why. What a
    # caller gives is sent, because only the server knows whether it can take it; reasoning goes back under both names.
    LLMService.OPENAI_COMPATIBLE: Profile(
        dialect=ChatDialect(
            vendor="openai_compatible",
            image_details=EVERY_DETAIL,
            demands_end_marker=False,
            reasoning_back=ReasoningBack.FIELDS,
            reasoning_fields=("reasoning", "reasoning_content"),
            document_style=DocumentStyle.FILE_DATA_OR_URL,
            takes_any_audio=True,
        ),
        sees=EVERY,
        reads=EVERY,
        hears=EVERY,
    ),
}


@lru_cache(maxsize=1024)
def capabilities_of(service: LLMService, model: str) -> ModelCapabilities:
    """What a model of a compatible provider takes, as far as its profile tells."""
    profile = PROFILES[service]
    return ModelCapabilities(
        takes_seed=profile.takes_seed,
        takes_names=profile.takes_names,
        knows_developer=profile.knows_developer,
        efforts=next((efforts for pattern, efforts in profile.efforts if pattern.match(model)), frozenset()),
        max_temperature=profile.max_temperature,
        accepts_open_end=profile.accepts_open_end,
        takes_reasoning_budget=_fits(profile.budgets, model),
        takes_tools=_fits(profile.calls_tools, model),
        provider_tools=next((tools for pattern, tools in profile.provider_tools if pattern.match(model)), frozenset()),
        schema_mode=next((mode for pattern, mode in profile.schema_modes if pattern.match(model)), SchemaMode.PROMPT),
        takes_images=_fits(profile.sees, model),
        takes_documents=_fits(profile.reads, model),
        takes_audio=_fits(profile.hears, model),
    )


def _fits(pattern: re.Pattern[str], model: str) -> bool:
    return pattern.match(model) is not None
