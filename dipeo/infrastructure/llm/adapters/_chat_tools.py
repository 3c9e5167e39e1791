"""Tools, and the shape of the answer, in a request to chat completions."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest
from dipeo.domain.json_value import JsonValue
from dipeo.domain.tools import ResponseSchema, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.adapters._chat_dialect import ChatDialect
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.schema_request import ANY_JSON_PROMPT

Body = dict[str, JsonValue]

OPEN_SCHEMA: Final = "a schema is kept to the letter where it requires every property and allows no other."

_INNER_SCHEMAS: Final = ("properties", "$defs", "definitions")


def encode_tooling(body: Body, request: CompletionRequest, dialect: ChatDialect, adaptations: Adaptations) -> None:
    """Puts the tools and how they may be used into the body."""
    tooling = request.tooling
    tools: list[JsonValue] = [_tool(tool, place, dialect, adaptations) for place, tool in enumerate(tooling.tools)]
    if tooling.provider_tools:
        fields = dict(dialect.provider_tools(request.model, tooling.provider_tools))
        theirs = fields.pop("tools", None)
        if isinstance(theirs, list):
            tools += theirs
        body.update(fields)
    if tools:
        body["tools"] = tools
    if not tooling.tools:
        return
    choice = _choice(tooling, dialect)
    if choice is not None:
        body["tool_choice"] = choice
    if tooling.is_parallel is not None:
        if dialect.serial_models.match(request.model):
            adaptations.dropped("parallel_tool_calls", f"{request.model} does not take it.")
        else:
            body["parallel_tool_calls"] = tooling.is_parallel


def _tool(tool: ToolSpec, place: int, dialect: ChatDialect, adaptations: Adaptations) -> JsonValue:
    function: Body = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters
    if tool.is_strict:
        if not dialect.takes_strict:
            adaptations.dropped(f"tools[{place}].is_strict", "the provider cannot be held to a tool's schema.")
        elif not is_closed(tool.parameters):
            adaptations.dropped(f"tools[{place}].is_strict", OPEN_SCHEMA)
        else:
            function["strict"] = True
    return {"type": "function", "function": function}


def _choice(tooling: Tooling, dialect: ChatDialect) -> JsonValue:
    if tooling.use is ToolUse.NAMED:
        return {"type": "function", "function": {"name": tooling.named_tool}}
    if tooling.use is ToolUse.REQUIRED:
        return dialect.required_word
    # 'auto' is what a provider does with tools when nothing is said.
    return "none" if tooling.use is ToolUse.NONE else None


def encode_schema(body: Body, request: CompletionRequest, schema: ResponseSchema, adaptations: Adaptations) -> None:
    """Puts the shape of the answer into the body.

    A schema that leaves something open cannot be kept to the letter; that is recorded. Where any JSON object will do,
    the providers insist that the messages speak of JSON.
    """
    if schema.schema is None:
        body["response_format"] = {"type": "json_object"}
        if not any("json" in message.text.lower() for message in request.messages):
            said = body["messages"]
            body["messages"] = [
                {"role": "system", "content": ANY_JSON_PROMPT},
                *(said if isinstance(said, list) else ()),
            ]
            adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the messages to speak of JSON.")
        return
    shape: Body = {"name": schema.name}
    if schema.description:
        shape["description"] = schema.description
    shape["schema"] = schema.schema
    is_strict = schema.is_strict and is_closed(schema.schema)
    if schema.is_strict and not is_strict:
        adaptations.note("response_schema.is_strict", AdaptationAction.SUBSTITUTED, OPEN_SCHEMA)
    shape["strict"] = is_strict
    body["response_format"] = {"type": "json_schema", "json_schema": shape}


def is_closed(schema: JsonValue) -> bool:
    """Whether every object in a JSON schema requires all its properties and allows no others."""
    if isinstance(schema, list | tuple):
        return all(is_closed(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties, required = schema.get("properties"), schema.get("required")
        names = set(properties) if isinstance(properties, Mapping) else set()
        demanded = {name for name in required if isinstance(name, str)} if isinstance(required, list | tuple) else set()
        if schema.get("additionalProperties") is not False or names != demanded:
            return False
    return all(_is_closed_within(name, value) for name, value in schema.items())


def _is_closed_within(name: str, value: JsonValue) -> bool:
    if name in _INNER_SCHEMAS and isinstance(value, Mapping):
        return all(is_closed(inner) for inner in value.values())
    return is_closed(value) if name in ("items", "anyOf", "prefixItems") else True
