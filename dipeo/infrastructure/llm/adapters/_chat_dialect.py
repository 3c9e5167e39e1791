"""What distinguishes one speaker of OpenAI's chat completions from another."""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from enum import Enum, auto
from typing import Final

from attrs import frozen

from dipeo.domain.json_value import JsonValue
from dipeo.domain.parts import ImageDetail
from dipeo.domain.tools import ProviderTool
from dipeo.infrastructure.llm.adapters._prompt_cache import Caches
from dipeo.infrastructure.llm.drivers.image_detail import LOW_TO_HIGH

EVERY: Final = re.compile(r"")
NONE: Final = re.compile(r"(?!)")
"""Patterns for the beginnings of models' names: all of them, and none."""

ANY_ID: Final = re.compile(r".+", re.DOTALL)


class ReasoningBack(Enum):
    """How a provider wants its own reasoning back: not at all, in fields, as details, or as pieces of the content."""

    NEVER = auto()
    FIELDS = auto()
    DETAILS = auto()
    PIECES = auto()


class CacheWish(Enum):
    """How a prompt cache is asked for: in no known way, not at all, with a key in body or header, with a mark."""

    UNKNOWN = auto()
    AUTOMATIC = auto()
    BODY_KEY = auto()
    HEADER_KEY = auto()
    MARK = auto()


class DocumentStyle(Enum):
    """How a document is sent: bytes alone, bytes or address in the same field, or Mistral's own piece."""

    FILE_DATA = auto()
    FILE_DATA_OR_URL = auto()
    DOCUMENT_URL = auto()


ProviderToolFields = Callable[[str, Sequence[ProviderTool]], Mapping[str, JsonValue]]
"""Says for a model, in its provider's words, that the provider's own tools may be used: fields of the body; what is
under `tools` stands beside the caller's tools."""


def no_provider_tools(_model: str, _tools: Sequence[ProviderTool]) -> Mapping[str, JsonValue]:
    """The provider has none: capabilities refuse them before."""
    return {}


@frozen(kw_only=True)
class ChatDialect:
    """One speaker of chat completions.

    `vendor` is the name that its reasoning parts carry. `max_tokens_field` and `seed_field` are the names of the
    parameters. `asks_for_stream_usage` says whether usage in a stream must be asked for; `demands_end_marker` whether
    a stream without `[DONE]` is incomplete. `required_word` is the tool choice that demands a call, `takes_strict`
    whether schemas can be kept to the letter, `serial_models` which models take no word on parallel calls.
    `call_id` is the shape that the ids of calls must have: those that other vendors made are replaced alike in calls
    and results. `splits_tool_and_user` says whether the assistant must speak between a result and a user.
    `disables_thinking` says whether the effort 'none' is a field of its own. `image_details` are the levels of detail
    that a picture can be looked at with. `caches` are the words for a cache beside a key in the body, `long_cache`
    which models can be marked to be remembered for long.
    """

    vendor: str
    max_tokens_field: str = "max_tokens"
    seed_field: str = "seed"
    asks_for_stream_usage: bool = True
    demands_end_marker: bool = True
    required_word: str = "required"
    takes_strict: bool = True
    serial_models: re.Pattern[str] = NONE
    call_id: re.Pattern[str] = ANY_ID
    splits_tool_and_user: bool = False
    reasoning_back: ReasoningBack = ReasoningBack.NEVER
    reasoning_fields: tuple[str, ...] = ()
    disables_thinking: bool = False
    image_details: Set[ImageDetail] = LOW_TO_HIGH
    document_style: DocumentStyle = DocumentStyle.FILE_DATA
    takes_any_audio: bool = False
    audio_is_plain: bool = False
    provider_tools: ProviderToolFields = no_provider_tools
    cache: CacheWish = CacheWish.UNKNOWN
    caches: Caches = ()
    long_cache: re.Pattern[str] = NONE
