"""What OpenAI's models take over chat completions."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.json_value import JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import ReasoningEffort as E  # a table of levels is read by its levels
from dipeo.domain.tools import ProviderTool, SchemaMode
from dipeo.infrastructure.llm.adapters._chat_dialect import CacheWish, ChatDialect
from dipeo.infrastructure.llm.adapters._prompt_cache import OPENAI_CHAT_CACHES
from dipeo.infrastructure.llm.drivers.image_detail import EVERY_DETAIL
from dipeo.infrastructure.llm.drivers.openai_roles import knows_developer

MAX_CALL_ID_CHARS: Final = 40


def provider_tool_fields(_model: str, tools: Sequence[ProviderTool]) -> Mapping[str, JsonValue]:
    """The models that search always do: the field says that they may."""
    return {"web_search_options": {}} if ProviderTool.WEB_SEARCH in tools else {}


DIALECT: Final = ChatDialect(
    vendor="openai",
    max_tokens_field="max_completion_tokens",
    serial_models=re.compile(r"(?:ft:)?o\d"),
    call_id=re.compile(rf".{{1,{MAX_CALL_ID_CHARS}}}", re.DOTALL),
    provider_tools=provider_tool_fields,
    image_details=EVERY_DETAIL,
    cache=CacheWish.BODY_KEY,
    caches=OPENAI_CHAT_CACHES,
)

_THINKS = re.compile(r"(?:o\d|gpt-[5-9])(?!.*-chat)")

# OpenAI's guide to reasoning: which levels each generation takes.
_EFFORTS: Final = (
    (re.compile(r"o\d"), frozenset({E.LOW, E.MEDIUM, E.HIGH})),
    (re.compile(r"gpt-5(?:-(?!chat)|$)"), frozenset({E.MINIMAL, E.LOW, E.MEDIUM, E.HIGH})),
    (re.compile(r"gpt-5\.(?!.*-chat)"), frozenset({E.NONE, E.LOW, E.MEDIUM, E.HIGH, E.XHIGH})),
    (re.compile(r"gpt-[6-9](?!.*-chat)"), frozenset(E)),
)

# OpenAI's page of each model: what goes in, and which features it has.
_SEARCHES: Final = re.compile(r".*-search-(?:preview|api)")
_TAKES_NO_TOOLS: Final = re.compile(r"o1-(?:mini|preview)|chatgpt-|.*-instruct")
_KEEPS_TO_SCHEMA: Final = re.compile(
    r"(?:ft:)?(?:gpt-4o(?!-2024-05-13|.*-audio)|gpt-4\.[15]|gpt-[5-9]|o1(?!-mini|-preview)|o[2-9])"
)
_SEES: Final = re.compile(
    r"(?:ft:)?(?:gpt-4o(?!.*-audio|.*-search)|gpt-4\.[15]|gpt-4-turbo(?!-preview)|gpt-[5-9](?!.*-search)|chatgpt-"
    r"|o1(?!-mini|-preview)|o3(?!-mini)|o[4-9])"
)
_READS: Final = re.compile(
    r"(?:ft:)?(?:gpt-4o(?!.*-audio|.*-search)|gpt-4\.1|gpt-[5-9](?!.*-search)|o1(?!-mini|-preview)|o3(?!-mini)|o[4-9])"
)
_HEARS: Final = re.compile(r"gpt-4o(?:-mini)?-audio|gpt-audio")

# Chat completions refuse functions to the newer models while they think: from GPT-5.2 on when an effort is asked for,
# from GPT-5.5 on also when none is, because they think unasked.
_CALLS_OR_THINKS: Final = re.compile(r"(?:ft:)?gpt-(?:5\.(?:[2-9]|\d\d)|[6-9])(?!.*-chat)")
_THINKS_UNASKED: Final = re.compile(r"(?:ft:)?gpt-(?:5\.(?:[5-9]|\d\d)|[6-9])(?!.*-chat)")


def is_to_call_and_think(request: CompletionRequest) -> bool:
    """Whether a model is offered functions and thinks, and takes both together in responses alone."""
    if not request.tooling.tools:
        return False
    effort = request.sampling.reasoning_effort
    refuses = _THINKS_UNASKED if effort is None else _CALLS_OR_THINKS
    return effort is not E.NONE and refuses.match(request.model) is not None


@lru_cache(maxsize=1024)
def capabilities_of(model: str) -> ModelCapabilities:
    """What an OpenAI model takes; the models that think take an effort instead of sampling settings and stop words.

    Those that search take neither.
    """
    searches = _SEARCHES.match(model) is not None
    is_drawn = not searches and _THINKS.match(model) is None
    takes_tools = not searches and _TAKES_NO_TOOLS.match(model) is None
    return ModelCapabilities(
        takes_temperature=is_drawn,
        takes_top_p=is_drawn,
        takes_stop=is_drawn,
        takes_seed=not searches,
        efforts=next((efforts for pattern, efforts in _EFFORTS if not searches and pattern.match(model)), frozenset()),
        takes_names=True,
        knows_developer=knows_developer(model),
        accepts_open_end=True,
        takes_tools=takes_tools,
        provider_tools=frozenset({ProviderTool.WEB_SEARCH}) if searches else frozenset(),
        schema_mode=_schema_mode(model, takes_tools=takes_tools),
        takes_images=_SEES.match(model) is not None,
        takes_documents=_READS.match(model) is not None,
        takes_audio=_HEARS.match(model) is not None,
    )


def _schema_mode(model: str, *, takes_tools: bool) -> SchemaMode:
    if _KEEPS_TO_SCHEMA.match(model):
        return SchemaMode.NATIVE
    return SchemaMode.TOOL if takes_tools else SchemaMode.PROMPT
