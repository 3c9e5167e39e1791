"""What each generation of Claude takes, as Anthropic's list of models and its guides say it."""

import re
from functools import lru_cache
from typing import Final

from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import ReasoningEffort
from dipeo.domain.tools import ProviderTool, SchemaMode

Generation = tuple[int, int]

UNKNOWN: Final[Generation] = (0, 0)
NEWEST: Final[Generation] = (99, 0)
"""A Claude whose name tells no number: a preview of something to come."""

# The last generation that takes temperature, top_p and an open end; see the guide to migrating to version 2026-10-21.
_TAKES_SAMPLING: Final = re.compile(
    r"claude-(?:[23]|instant|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:-\d{8}|-latest)?$)",
)
# Up to generation 3 the number stands before the family's name, since then behind it; a date is no minor number.
_OLD_NAME: Final = re.compile(r"claude-(?:instant-)?(\d)(?:[.-](\d)(?!\d))?")
_NEW_NAME: Final = re.compile(r"claude-[a-z]+-(\d{1,2})(?:-(\d{1,2})(?!\d))?")
_ALWAYS_THINKS: Final = re.compile(r"claude-mythos")
_RUNS_CODE: Final = re.compile(r"claude-(?:opus|sonnet)-4-5")

_LEVELS: Final = frozenset({ReasoningEffort.LOW, ReasoningEffort.MEDIUM, ReasoningEffort.HIGH})


@lru_cache(maxsize=1024)
def capabilities_of(model: str) -> ModelCapabilities:
    """What a model takes. One whose name is not Claude's is asked for text and tools alone."""
    generation = generation_of(model)
    takes_sampling = _TAKES_SAMPLING.match(model) is not None
    return ModelCapabilities(
        takes_temperature=takes_sampling,
        takes_top_p=takes_sampling,
        efforts=_efforts_of(model, generation),
        accepts_open_end=takes_sampling,
        max_temperature=1.0,
        takes_reasoning_budget=(3, 7) <= generation <= (4, 6),
        takes_tools=generation == UNKNOWN or generation >= (3, 0),
        provider_tools=_provider_tools_of(model, generation),
        schema_mode=SchemaMode.NATIVE if generation >= (4, 1) else SchemaMode.TOOL,
        takes_images=generation >= (3, 0),
        takes_documents=generation >= (3, 5),
    )


@lru_cache(maxsize=1024)
def thinks_as_it_sees_fit(model: str) -> bool:
    """Whether the model decides itself when and how long to think (`adaptive`)."""
    return generation_of(model) >= (4, 6)


def generation_of(model: str) -> Generation:
    """The generation that a model's name tells, such as (4, 5); `UNKNOWN` for a name that is not Claude's."""
    found = _NEW_NAME.match(model) if not model.startswith("claude-instant") else None
    found = found or _OLD_NAME.match(model)
    if found is None:
        return NEWEST if model.startswith("claude-") else UNKNOWN
    return int(found[1]), int(found[2] or 0)


def _efforts_of(model: str, generation: Generation) -> frozenset[ReasoningEffort]:
    if model.startswith("claude-opus-4-5"):
        return _LEVELS | {ReasoningEffort.NONE}
    if generation < (4, 6):
        return frozenset()
    efforts = _LEVELS | {ReasoningEffort.MAX}
    if generation >= (4, 7):
        efforts |= {ReasoningEffort.XHIGH}
    return efforts if _ALWAYS_THINKS.match(model) else efforts | {ReasoningEffort.NONE}


def _provider_tools_of(model: str, generation: Generation) -> frozenset[ProviderTool]:
    tools = set[ProviderTool]()
    if generation >= (3, 7):
        tools.add(ProviderTool.WEB_SEARCH)
    if generation >= (4, 6) or _RUNS_CODE.match(model):
        tools.add(ProviderTool.CODE_EXECUTION)
    return frozenset(tools)
