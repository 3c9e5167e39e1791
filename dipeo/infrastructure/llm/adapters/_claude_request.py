"""A request in the words of Anthropic's messages interface."""

from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import ToolCallPart
from dipeo.domain.sampling import Sampling
from dipeo.domain.tools import (
    DEFAULT_CACHE,
    NO_TOOLS,
    PromptCache,
    ProviderTool,
    SchemaMode,
    Tooling,
    ToolSpec,
    ToolUse,
)
from dipeo.infrastructure.llm.adapters._claude_parts import (
    encode_turns,
    is_paused,
    sent_name,
    why_left_out_by,
    without_last_thoughts,
)
from dipeo.infrastructure.llm.adapters._claude_schema import bounds_in, closed_schema, is_closable
from dipeo.infrastructure.llm.adapters._claude_thinking import (
    MIN_TOP_P_WHILE_THINKING,
    NOTHING_ASKED,
    Thinking,
    thinking_after,
    thinking_for,
)
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import EncodedRequest
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.turns import (
    Turn,
    as_part_turns,
    as_turns,
    check_calls_are_answered,
    is_all_text,
    split_instructions,
)
from dipeo.infrastructure.llm.drivers.wire import WireRequest

API_VERSION: Final = "2026-10-21"
SAMPLING_API_VERSION: Final = "2023-06-01"
"""The newer version refuses every sampling setting; the models that take them are asked under the older one."""

DEFAULT_MAX_TOKENS: Final = 4096
"""The interface demands a bound; this one is within what every current model may write."""

THINKING_MAX_TOKENS: Final = 16_384
"""The bound where the model decides how long it thinks: thoughts count, and every such model may write more."""

PROVIDER_TOOLS: Final[Mapping[ProviderTool, JsonObject]] = {
    ProviderTool.WEB_SEARCH: {"type": "web_search_20250305", "name": "web_search"},
    ProviderTool.CODE_EXECUTION: {"type": "code_execution_20250825", "name": "code_execution"},
}
"""The versions that every model with such a tool takes; for a later one use `provider_options`."""

_USES: Final = {ToolUse.AUTO: "auto", ToolUse.NONE: "none", ToolUse.REQUIRED: "any", ToolUse.NAMED: "tool"}
_CACHE_CONTROLS: Final[Mapping[PromptCache, JsonObject]] = {
    PromptCache.SHORT: {"type": "ephemeral", "ttl": "5m"},
    PromptCache.LONG: {"type": "ephemeral", "ttl": "1h"},
}
_MARKABLE: Final = frozenset({"text", "image", "document", "tool_use", "tool_result"})


def encode_request(request: CompletionRequest, capabilities: ModelCapabilities, *, is_stream: bool) -> EncodedRequest:
    """The request body and headers, and what had to be adapted."""
    if request.previous_response_id is not None:
        raise UnsupportedParameterError(
            "Anthropic keeps no answers to go on from.",
            field="previous_response_id",
            suggestion="Send the conversation in 'messages'.",
        )
    adaptations = Adaptations(request)
    sampling = request.sampling
    thinking = NOTHING_ASKED
    if sampling.reasoning_effort is not None or sampling.reasoning_budget_tokens is not None:
        thinking = thinking_for(request, capabilities, adaptations)
    body: dict[str, JsonValue] = {"model": request.model}
    if is_all_text(request.messages):
        _encode_texts(body, request, capabilities, adaptations, is_thinking=thinking.is_on)
    else:
        thinking = _encode_parts(body, request, capabilities, thinking, adaptations)
    if capabilities.accepts_open_end and request.messages[-1].role is Role.ASSISTANT:
        _trim_open_end(body, adaptations)
    body["max_tokens"] = sampling.max_tokens or DEFAULT_MAX_TOKENS
    if thinking is not NOTHING_ASKED:
        _encode_thinking(body, thinking, sampling)
    version = encode_sampling(body, request.model, sampling, capabilities, adaptations, is_thinking=thinking.is_on)
    if request.tooling is not NO_TOOLS or "tools" in body:
        _encode_tooling(body, request.tooling, capabilities, adaptations)
    if request.response_schema is not None and request.response_schema.schema is not None:
        _encode_schema(body, request.response_schema.schema, adaptations)
    if is_stream:
        body["stream"] = True
    if request.prompt_cache is not DEFAULT_CACHE:
        _mark_for_cache(body, _CACHE_CONTROLS[request.prompt_cache])
    with_provider_options(body, request.provider_options)
    exchange = WireRequest(path="/v1/messages", body=body, headers={"anthropic-version": version})
    return exchange, adaptations.made


def encode_turn(turn: Turn) -> JsonObject:
    """One turn of texts; a block for each message that was said in it."""
    if len(turn.texts) == 1:
        return {"role": turn.role.value, "content": turn.texts[0]}
    return {"role": turn.role.value, "content": [{"type": "text", "text": text} for text in turn.texts]}


def encode_sampling(
    body: dict[str, JsonValue],
    model: str,
    sampling: Sampling,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
    *,
    is_thinking: bool = False,
) -> str:
    """Puts the sampling settings into the body and returns the API version under which they are taken."""
    version = API_VERSION
    temperature, top_p = sampling.temperature, sampling.top_p
    if temperature is not None or top_p is not None:
        if capabilities.takes_temperature:
            if is_thinking:
                temperature, top_p = _while_thinking(temperature, top_p, adaptations)
            _encode_temperature(body, temperature, top_p, capabilities, adaptations)
            if "temperature" in body or "top_p" in body:
                version = SAMPLING_API_VERSION
        else:
            asked = {"temperature": temperature, "top_p": top_p}
            for parameter in (name for name, value in asked.items() if value is not None):
                adaptations.dropped(parameter, f"{model} takes no sampling settings.")
    if sampling.stop:
        body["stop_sequences"] = list(sampling.stop)
    if sampling.seed is not None:
        adaptations.dropped("seed", "Anthropic's interface has none.")
    return version


def encode_tool(tool: ToolSpec, *, is_strict: bool) -> dict[str, JsonValue]:
    """One tool that the caller runs."""
    encoded: dict[str, JsonValue] = {"name": tool.name, "input_schema": tool.parameters}
    if tool.description:
        encoded["description"] = tool.description
    if is_strict:
        encoded |= {"input_schema": closed_schema(tool.parameters), "strict": True}
    return encoded


def _encode_texts(
    body: dict[str, JsonValue],
    request: CompletionRequest,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
    *,
    is_thinking: bool,
) -> None:
    instructions, conversation = split_instructions(request.messages, adaptations)
    is_open_end_taken = capabilities.accepts_open_end and not is_thinking and request.response_schema is None
    turns = as_turns(conversation, adaptations, is_open_end_taken=is_open_end_taken)
    body["messages"] = [encode_turn(turn) for turn in turns]
    if instructions:
        body["system"] = "\n\n".join(instructions)


def _encode_parts(
    body: dict[str, JsonValue],
    request: CompletionRequest,
    capabilities: ModelCapabilities,
    thinking: Thinking,
    adaptations: Adaptations,
) -> Thinking:
    """Puts the conversation into the body and returns the thinking that can go on behind it."""
    can_be_open = capabilities.accepts_open_end and not thinking.is_on and request.response_schema is None
    instructions, turns = as_part_turns(
        without_last_thoughts(request.messages, adaptations),
        adaptations,
        why_left_out=why_left_out_by(capabilities),
        is_open_end_taken=can_be_open or is_paused(request.messages),
    )
    check_calls_are_answered(turns)
    body["messages"] = encode_turns(turns, request.model, capabilities, adaptations)
    if instructions:
        body["system"] = "\n\n".join(instructions)
    calls = [placed.part.name for turn in turns for placed in turn.parts if isinstance(placed.part, ToolCallPart)]
    if calls and not request.tooling.tools:
        # A conversation that holds calls is refused where no tool is described at all.
        adaptations.note("tools", AdaptationAction.INSERTED, "Anthropic wants the tools that were called described.")
        names = dict.fromkeys(sent_name(call) for call in calls)
        body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    return thinking_after(turns, thinking, request.sampling, adaptations)


def _trim_open_end(body: dict[str, JsonValue], adaptations: Adaptations) -> None:
    """Takes the space from the end of words that the model is to go on from: the interface refuses it."""
    messages = body["messages"]
    last = messages[-1] if isinstance(messages, list) else {}
    content = last.get("content")
    if last.get("role") == Role.ASSISTANT.value and isinstance(content, str) and content != content.rstrip():
        last["content"] = content.rstrip()
        reason = "Anthropic goes on from no words that end in white space."
        adaptations.note("messages", AdaptationAction.SUBSTITUTED, reason)


def _while_thinking(
    temperature: float | None, top_p: float | None, adaptations: Adaptations
) -> tuple[float | None, float | None]:
    if temperature is not None and temperature != 1:
        adaptations.dropped("temperature", "Anthropic takes none but 1 while the model thinks.")
        temperature = None
    if top_p is not None and top_p < MIN_TOP_P_WHILE_THINKING:
        adaptations.dropped("top_p", f"Anthropic takes {MIN_TOP_P_WHILE_THINKING} and more while the model thinks.")
        top_p = None
    return temperature, top_p


def _encode_temperature(
    body: dict[str, JsonValue],
    temperature: float | None,
    top_p: float | None,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    if temperature is None:
        if top_p is not None:
            body["top_p"] = top_p
        return
    if temperature > capabilities.max_temperature:
        adaptations.note("temperature", AdaptationAction.CLAMPED, "Anthropic takes temperatures up to 1.")
    body["temperature"] = min(temperature, capabilities.max_temperature)
    if top_p is not None:
        adaptations.dropped("top_p", "Anthropic takes temperature or top_p, not both.")


def _encode_thinking(body: dict[str, JsonValue], thinking: Thinking, sampling: Sampling) -> None:
    if sampling.max_tokens is None and thinking.is_on:
        budget = thinking.budget_tokens
        body["max_tokens"] = budget + DEFAULT_MAX_TOKENS if budget else THINKING_MAX_TOKENS
    if thinking.config is not None:
        body["thinking"] = thinking.config
    if thinking.effort is not None:
        body["output_config"] = {"effort": thinking.effort}


def _encode_tooling(
    body: dict[str, JsonValue], tooling: Tooling, capabilities: ModelCapabilities, adaptations: Adaptations
) -> None:
    inserted = body.get("tools")
    tools: list[JsonValue] = list(inserted) if isinstance(inserted, Sequence) else []
    for index, tool in enumerate(tooling.tools):
        is_strict = tool.is_strict and _can_be_strict(tool, index, capabilities, adaptations)
        tools.append(encode_tool(tool, is_strict=is_strict))
    tools.extend(PROVIDER_TOOLS[tool] for tool in tooling.provider_tools)
    if not tools:
        return  # there is nothing to choose from
    body["tools"] = tools
    use = tooling.use
    if inserted and not tooling.provider_tools:
        use = ToolUse.NONE
    choice: dict[str, JsonValue] = {"type": _USES[use]}
    if use is ToolUse.NAMED:
        choice["name"] = tooling.named_tool
    if tooling.is_parallel is False and use is not ToolUse.NONE:
        choice["disable_parallel_tool_use"] = True
    if choice != {"type": "auto"}:
        body["tool_choice"] = choice


def _can_be_strict(tool: ToolSpec, index: int, capabilities: ModelCapabilities, adaptations: Adaptations) -> bool:
    where = f"tools[{index}].is_strict"
    if capabilities.schema_mode is not SchemaMode.NATIVE:
        adaptations.dropped(where, "the model does not hold itself to a schema.")
        return False
    if not is_closable(tool.parameters):
        adaptations.dropped(where, "Anthropic takes no open objects, recursion or unusual words in a strict schema.")
        return False
    _note_bounds(tool.parameters, f"tools[{index}].parameters", adaptations)
    return True


def _encode_schema(body: dict[str, JsonValue], schema: JsonObject, adaptations: Adaptations) -> None:
    _note_bounds(schema, "response_schema", adaptations)
    config = body.get("output_config")
    shape: JsonObject = {"type": "json_schema", "schema": closed_schema(schema)}
    body["output_config"] = {**(config if isinstance(config, Mapping) else {}), "format": shape}


def _note_bounds(schema: JsonObject, where: str, adaptations: Adaptations) -> None:
    if bounds := bounds_in(schema):
        reason = f"Anthropic holds no answer to {', '.join(bounds)}: the description tells the model of it."
        adaptations.note(where, AdaptationAction.SUBSTITUTED, reason)


def _mark_for_cache(body: dict[str, JsonValue], control: JsonObject) -> None:
    """Asks to remember all up to the end of the tools, of the instructions, and of the conversation."""
    tools, system, messages = body.get("tools"), body.get("system"), body["messages"]
    if isinstance(tools, list):
        body["tools"] = [*tools[:-1], {**tools[-1], "cache_control": control}]
    if isinstance(system, str):
        body["system"] = [{"type": "text", "text": system, "cache_control": control}]
    if isinstance(messages, list):
        body["messages"] = [*messages[:-1], {**messages[-1], "content": _marked(messages[-1]["content"], control)}]


def _marked(content: JsonValue, control: JsonObject) -> JsonValue:
    """The content with its last block marked that can be: a thought or a provider's own result cannot."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list):
        return content
    for place in range(len(blocks) - 1, -1, -1):
        if blocks[place]["type"] in _MARKABLE:
            return [*blocks[:place], {**blocks[place], "cache_control": control}, *blocks[place + 1 :]]
    return content
