"""Requests in the words of OpenAI's responses: the pure half that goes out.

Source of the shapes: OpenAI's API reference, "Create a model response".
"""

from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import NO_SAMPLING, ReasoningEffort
from dipeo.domain.tools import DEFAULT_CACHE, NO_TOOLS, ProviderTool, ResponseSchema, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.adapters._chat_request import cache_key
from dipeo.infrastructure.llm.adapters._chat_tools import is_closed
from dipeo.infrastructure.llm.adapters._prompt_cache import ask_for_cache
from dipeo.infrastructure.llm.adapters._responses_dialect import ResponsesDialect
from dipeo.infrastructure.llm.adapters._responses_input import encode_input
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import EncodedRequest
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.schema_request import ANY_JSON_PROMPT
from dipeo.infrastructure.llm.drivers.wire import WireRequest

PATH: Final = "/responses"
ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"
OUTPUTS_OF_CODE: Final = "code_interpreter_call.outputs"


def encode_request(
    request: CompletionRequest, dialect: ResponsesDialect, capabilities: ModelCapabilities, *, is_stream: bool
) -> EncodedRequest:
    """The request body, and what had to be adapted.

    The provider is asked to keep nothing, unless the request goes on from an answer that it has kept.
    """
    adaptations = Adaptations(request)
    body: dict[str, JsonValue] = {
        "model": request.model,
        "input": encode_input(
            request.messages,
            vendor=dialect.vendor,
            capabilities=capabilities,
            adaptations=adaptations,
            image_details=dialect.image_details,
        ),
        "store": request.previous_response_id is not None,
    }
    if request.previous_response_id is not None:
        body["previous_response_id"] = request.previous_response_id
    if include := _included(request, dialect):
        body["include"] = include
    if request.sampling is not NO_SAMPLING:
        encode_sampling(body, request, capabilities, adaptations)
    if request.tooling is not NO_TOOLS:
        encode_tooling(body, request.tooling, dialect)
    if request.response_schema is not None:
        encode_schema(body, request, request.response_schema, adaptations)
    if request.prompt_cache is not DEFAULT_CACHE:
        encode_cache(body, request, dialect, adaptations)
    if is_stream:
        body["stream"] = True
    if request.provider_options:
        _put_options(body, request.provider_options)
    return WireRequest(path=PATH, body=body), adaptations.made


def _included(request: CompletionRequest, dialect: ResponsesDialect) -> list[JsonValue]:
    """What comes with the answer only when it is asked for."""
    include: list[JsonValue] = []
    # Sent whether the answer is kept or not: the caller may go on elsewhere. Models that do not think refuse it.
    if dialect.thinks.match(request.model):
        include.append(ENCRYPTED_REASONING)
    if dialect.names_container and ProviderTool.CODE_EXECUTION in request.tooling.provider_tools:
        include.append(OUTPUTS_OF_CODE)
    return include


def _put_options(body: dict[str, JsonValue], options: JsonObject) -> None:
    """The options on top; what they want included and their tools come beside ours."""
    ours = {name: body[name] for name in ("include", "tools") if name in body}
    with_provider_options(body, options)
    for name, before in ours.items():
        theirs = options.get(name)
        if isinstance(before, list) and isinstance(theirs, list | tuple):
            body[name] = [*before, *(item for item in theirs if item not in before)]


def encode_sampling(
    body: dict[str, JsonValue], request: CompletionRequest, capabilities: ModelCapabilities, adaptations: Adaptations
) -> None:
    """Puts the sampling parameters into the body; what the model or the interface does not take is recorded."""
    sampling = request.sampling
    temperature = sampling.temperature
    if temperature is not None and temperature > capabilities.max_temperature and capabilities.takes_temperature:
        reason = f"{request.model} takes temperatures up to {capabilities.max_temperature:g}."
        adaptations.note("temperature", AdaptationAction.CLAMPED, reason)
        temperature = capabilities.max_temperature
    wanted: tuple[tuple[str, str, JsonValue, bool], ...] = (
        ("temperature", "temperature", temperature, capabilities.takes_temperature),
        ("top_p", "top_p", sampling.top_p, capabilities.takes_top_p),
        ("max_tokens", "max_output_tokens", sampling.max_tokens, True),
    )
    for parameter, name, value, is_taken in wanted:
        if value is not None and is_taken:
            body[name] = value
        elif value is not None:
            adaptations.dropped(parameter, f"{request.model} does not take it.")
    for parameter in ("stop", "seed", "reasoning_budget_tokens"):
        if getattr(sampling, parameter) is not None:
            adaptations.dropped(parameter, "OpenAI's responses have no such parameter.")
    if sampling.reasoning_effort is not None:
        encode_effort(body, request.model, sampling.reasoning_effort, capabilities, adaptations)


def encode_effort(
    body: dict[str, JsonValue],
    model: str,
    effort: ReasoningEffort,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    """Puts the effort into the body, or the nearest level that the model takes; that is recorded."""
    level = capabilities.nearest_effort(effort)
    if level is not None:
        body["reasoning"] = {"effort": level.value}
        if level is not effort:
            reason = f"the nearest level that {model} takes is {level.value}."
            adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, reason)
    elif effort is not ReasoningEffort.NONE:
        adaptations.dropped("reasoning_effort", f"{model} does not take it.")


# --- tools and the answer's shape ------------------------------------------------------------------------------------


def encode_tooling(body: dict[str, JsonValue], tooling: Tooling, dialect: ResponsesDialect) -> None:
    """Puts the tools into the body, and how they may be used; what is the provider's default is not said."""
    tools: list[JsonValue] = [encode_tool(tool) for tool in tooling.tools]
    tools += [encode_provider_tool(tool, dialect) for tool in tooling.provider_tools]
    if not tools:
        return
    body["tools"] = tools
    if tooling.use is ToolUse.NAMED:
        body["tool_choice"] = {"type": "function", "name": tooling.named_tool}
    elif tooling.use is not ToolUse.AUTO:
        body["tool_choice"] = tooling.use.value
    if tooling.is_parallel is not None:
        body["parallel_tool_calls"] = tooling.is_parallel


def encode_tool(tool: ToolSpec) -> JsonObject:
    """A function; unlike in chat completions, one is strict unless the request says that it is not."""
    encoded: dict[str, JsonValue] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters,
        "strict": tool.is_strict,
    }
    if tool.description:
        encoded["description"] = tool.description
    return encoded


def encode_provider_tool(tool: ProviderTool, dialect: ResponsesDialect) -> JsonObject:
    """A tool that the provider runs."""
    if tool is ProviderTool.WEB_SEARCH:
        return {"type": "web_search"}
    if dialect.names_container:
        return {"type": "code_interpreter", "container": {"type": "auto"}}
    return {"type": "code_interpreter"}


def encode_schema(
    body: dict[str, JsonValue], request: CompletionRequest, schema: ResponseSchema, adaptations: Adaptations
) -> None:
    """Puts the shape of the answer into the body.

    A schema that leaves something open cannot be kept to the letter; that is recorded. Where any JSON object will do,
    the provider insists that the messages speak of JSON.
    """
    if schema.schema is None:
        body["text"] = {"format": {"type": "json_object"}}
        if not any("json" in message.text.lower() for message in request.messages):
            items = body["input"]
            said = items if isinstance(items, list) else []
            body["input"] = [{"role": "system", "content": ANY_JSON_PROMPT}, *said]
            adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the messages to speak of JSON.")
        return
    is_strict = schema.is_strict and is_closed(schema.schema)
    if schema.is_strict and not is_strict:
        reason = "a schema is kept to the letter where it requires every property and allows no other."
        adaptations.note("response_schema.is_strict", AdaptationAction.SUBSTITUTED, reason)
    shape: dict[str, JsonValue] = {
        "type": "json_schema",
        "name": schema.name,
        "schema": schema.schema,
        "strict": is_strict,
    }
    if schema.description:
        shape["description"] = schema.description
    body["text"] = {"format": shape}


# --- the provider's memory -------------------------------------------------------------------------------------------


def encode_cache(
    body: dict[str, JsonValue], request: CompletionRequest, dialect: ResponsesDialect, adaptations: Adaptations
) -> None:
    """Asks the provider to remember the beginning of the request, and to look where the same was served before."""
    if not dialect.has_cache:
        adaptations.dropped("prompt_cache", "it is not known how this server is asked for it.")
        return
    body["prompt_cache_key"] = cache_key(request)
    ask_for_cache(body, dialect.caches, request.model, request.prompt_cache, adaptations)
