"""How OpenAI's models are asked to remember the beginning of a request, over either interface.

Source of the fields: OpenAI's API reference of both interfaces, and its guide to prompt caching. From GPT-5.6 on,
`prompt_cache_options` asks for the least time; before, `prompt_cache_retention` asks for the most.
"""

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from dipeo.domain.completion import AdaptationAction
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.tools import PromptCache
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations


@frozen
class CacheWords:
    """The fields that ask for a wish; where they say less than was wished, `shortfall` says how."""

    fields: JsonObject
    shortfall: str = ""


Caches = tuple[tuple[re.Pattern[str], Mapping[PromptCache, CacheWords]], ...]
"""By model: the words for each wish. A short one without words needs none; a long one without words cannot be said."""

_HALF_AN_HOUR: Final = CacheWords({"prompt_cache_options": {"ttl": "30m"}})
_HALF_A_DAY: Final = CacheWords({"prompt_cache_options": {"ttl": "12h"}})
_A_DAY: Final = CacheWords({"prompt_cache_retention": "24h"})
_SOME_MINUTES: Final = CacheWords({"prompt_cache_retention": "in_memory"})
_NO_MORE_OVER_CHAT: Final = CacheWords(_HALF_AN_HOUR.fields, "chat completions take half an hour, and responses more.")


def _openai_caches(longest: CacheWords) -> Caches:
    return (
        (re.compile(r"gpt-(?:5\.(?:[6-9]|\d\d)|[6-9])"), {PromptCache.SHORT: _HALF_AN_HOUR, PromptCache.LONG: longest}),
        # It knows the long time alone, and takes it unasked.
        (re.compile(r"gpt-5\.5"), {PromptCache.LONG: _A_DAY}),
        (
            re.compile(r"gpt-4\.1(?:-\d|$)|gpt-5(?:-\d|-codex|$)|gpt-5\.[1-4](?!\d)"),
            {PromptCache.SHORT: _SOME_MINUTES, PromptCache.LONG: _A_DAY},
        ),
    )


OPENAI_CHAT_CACHES: Final = _openai_caches(_NO_MORE_OVER_CHAT)
OPENAI_RESPONSES_CACHES: Final = _openai_caches(_HALF_A_DAY)


def ask_for_cache(
    body: dict[str, JsonValue], caches: Caches, model: str, wish: PromptCache, adaptations: Adaptations
) -> None:
    """Puts the words for the wish into the body; what they cannot say is recorded."""
    words = next((known for pattern, known in caches if pattern.match(model)), {}).get(wish)
    if words is not None:
        body.update(words.fields)
        if words.shortfall:
            adaptations.note("prompt_cache", AdaptationAction.CLAMPED, words.shortfall)
    elif wish is PromptCache.LONG:
        reason = f"{model} is remembered as long as its provider likes."
        adaptations.note("prompt_cache", AdaptationAction.SUBSTITUTED, reason)
