"""What Gemini is told beside the conversation: generation settings, thinking, the answer's shape, and tools.

Source of the shapes: Google's API reference, "GenerationConfig" and "Tool", and its guides to thinking and to tools.
"""

import re
from collections.abc import Mapping
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.tools import DEFAULT_CACHE, PromptCache, ProviderTool, ResponseSchema, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.adapters._gemini_messages import TAKES_LEVEL
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations

TAKES_BUDGET = re.compile(r"(?:models/)?gemini-(?:2\.5|[3-9]|\d\d|(?:pro|flash|flash-lite)-latest)")
_TAKES_NO_THINKING = re.compile(r"(?:models/)?gemini-2\.5-flash")
_LEVELS: Final = {
    ReasoningEffort.NONE: ReasoningEffort.MINIMAL,
    ReasoningEffort.XHIGH: ReasoningEffort.HIGH,
    ReasoningEffort.MAX: ReasoningEffort.HIGH,
}

# The bounds that Google's guide gives, the most specific name first; later generations have none of their own.
_BUDGETS_TOKENS: Final = {
    "gemini-2.5-pro": (128, 32_768),
    "gemini-2.5-flash-lite": (512, 24_576),
    "gemini-2.5-flash": (1, 24_576),
}

PROVIDER_TOOLS: Final[Mapping[ProviderTool, str]] = {
    ProviderTool.WEB_SEARCH: "googleSearch",
    ProviderTool.CODE_EXECUTION: "codeExecution",
}


def encode_settings(request: CompletionRequest, adaptations: Adaptations) -> dict[str, JsonValue]:
    """The generation settings: how words are drawn, how long the model thinks, and the answer's shape."""
    sampling = request.sampling
    settings: dict[str, JsonValue] = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "maxOutputTokens": sampling.max_tokens,
        "stopSequences": list(sampling.stop) if sampling.stop else None,
        "seed": sampling.seed,
    }
    config: dict[str, JsonValue] = {name: value for name, value in settings.items() if value is not None}
    if thinking := encode_thinking(request.model, sampling, adaptations):
        config["thinkingConfig"] = thinking
    if request.response_schema is not None:
        config.update(encode_schema(request.response_schema))
    if request.prompt_cache is not DEFAULT_CACHE:
        _note_cache(request, adaptations)
    return config


def encode_thinking(model: str, sampling: Sampling, adaptations: Adaptations) -> dict[str, JsonValue] | None:
    """How much to think: a level from generation 3 on, or a budget, or no thinking at all where that is possible.

    Whoever asks for thought is shown what Google shows of it.
    """
    effort, budget = sampling.reasoning_effort, sampling.reasoning_budget_tokens
    if budget is not None:
        taken = _budget_taken(model, budget, effort, adaptations)
        if taken is not None:
            return {"thinkingBudget": taken, "includeThoughts": True}
    if effort is None:
        return None
    if not TAKES_LEVEL.match(model):
        if effort is ReasoningEffort.NONE and _TAKES_NO_THINKING.match(model):
            return {"thinkingBudget": 0}
        instead = "; it takes 'reasoning_budget_tokens'" if TAKES_BUDGET.match(model) else ""
        adaptations.dropped("reasoning_effort", f"{model} takes no thinking level{instead}.")
        return None
    level = _LEVELS.get(effort, effort)
    if level is not effort:
        reason = f"the nearest level that {model} takes is {level.value}."
        adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, reason)
    if effort is ReasoningEffort.NONE:
        return {"thinkingLevel": level.value}
    return {"thinkingLevel": level.value, "includeThoughts": True}


def _budget_taken(
    model: str, budget_tokens: int, effort: ReasoningEffort | None, adaptations: Adaptations
) -> int | None:
    name = "reasoning_budget_tokens"
    if not TAKES_BUDGET.match(model):
        adaptations.dropped(name, f"{model} takes no thinking budget.")
        return None
    if effort is not None:
        if TAKES_LEVEL.match(model):
            adaptations.dropped(name, f"{model} takes a thinking level or a budget, and the level was asked for too.")
            return None
        adaptations.dropped("reasoning_effort", f"{model} takes no thinking level; the budget is sent.")
    bare = model.removeprefix("models/")
    lowest, highest = next(
        (bounds for beginning, bounds in _BUDGETS_TOKENS.items() if bare.startswith(beginning)), (1, budget_tokens)
    )
    taken = min(max(budget_tokens, lowest), highest)
    if taken != budget_tokens:
        adaptations.note(name, AdaptationAction.CLAMPED, f"{model} takes {lowest} to {highest}; {taken} is sent.")
    return taken


def encode_schema(asked: ResponseSchema) -> dict[str, JsonValue]:
    """The answer's shape; a description goes into the schema, where Google has room for it."""
    config: dict[str, JsonValue] = {"responseMimeType": "application/json"}
    if asked.schema is not None:
        is_described = asked.description and "description" not in asked.schema
        config["responseJsonSchema"] = (
            {**asked.schema, "description": asked.description} if is_described else asked.schema
        )
    return config


def _note_cache(request: CompletionRequest, adaptations: Adaptations) -> None:
    # From generation 2.5 on Google remembers beginnings without being asked, for a short time.
    if request.prompt_cache is PromptCache.LONG:
        adaptations.dropped("prompt_cache", "Google says itself how long it remembers the beginning of a request.")
    elif not TAKES_BUDGET.match(request.model):
        adaptations.dropped("prompt_cache", f"{request.model} is not known to remember the beginning of a request.")


def encode_tools(request: CompletionRequest, adaptations: Adaptations) -> dict[str, JsonValue]:
    """The body's `tools` and `toolConfig`, as far as there are any.

    Raises `UnsupportedParameterError` where the model takes either Google's own tools or others.
    """
    tooling = request.tooling
    # Not to call anything includes what Google calls itself, which its own setting would not reach.
    own = () if tooling.use is ToolUse.NONE else tooling.provider_tools
    if tooling.tools and own and not TAKES_LEVEL.match(request.model):
        raise UnsupportedParameterError(
            f"{request.model} takes Google's own tools or yours, not both in one request.",
            field="provider_tools",
            suggestion="Leave one kind out, or choose a model of generation 3 or later.",
        )
    if tooling.is_parallel is False and tooling.tools:
        adaptations.dropped("parallel_tool_calls", "Google has no switch against several calls in one answer.")
    tools: list[JsonValue] = []
    if tooling.tools:
        tools.append({"functionDeclarations": [_declaration(tool) for tool in tooling.tools]})
    tools.extend({PROVIDER_TOOLS[tool]: {}} for tool in own)
    body: dict[str, JsonValue] = {"tools": tools} if tools else {}
    config: dict[str, JsonValue] = {}
    if calling := _calling(tooling):
        config["functionCallingConfig"] = calling
    if tooling.tools and own:
        config["includeServerSideToolInvocations"] = True
    if config:
        body["toolConfig"] = config
    return body


def _declaration(tool: ToolSpec) -> JsonObject:
    said: dict[str, JsonValue] = {"name": tool.name, "parametersJsonSchema": tool.parameters}
    if tool.description:
        said["description"] = tool.description
    return said


def _calling(tooling: Tooling) -> dict[str, JsonValue] | None:
    if not tooling.tools:
        return None
    match tooling.use:
        case ToolUse.NONE:
            return {"mode": "NONE"}
        case ToolUse.REQUIRED:
            return {"mode": "ANY"}
        case ToolUse.NAMED:
            return {"mode": "ANY", "allowedFunctionNames": [tooling.named_tool]}
        case ToolUse.AUTO:
            # A call that must come keeps to its schema anyway; one that may come does so in this mode.
            return {"mode": "VALIDATED"} if any(tool.is_strict for tool in tooling.tools) else None
