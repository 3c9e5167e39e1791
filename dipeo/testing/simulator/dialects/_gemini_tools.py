"""Tools and tool configuration of a generateContent request."""

from __future__ import annotations

import re

import attrs

from dipeo.testing.simulator.dialects._gemini_fields import check_schema_fields, json_schema_of, pick
from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text, as_texts
from dipeo.testing.simulator.wishes import OfferedTool, Wishes

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_MODES = ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")
_PROVIDER_TOOLS = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
}


def read_tools(body: JsonObject, model: str) -> Wishes:
    """The tools that are offered and how they may be used; raises RefusalError in Gemini's words."""
    tools: list[OfferedTool] = []
    provider_tools: list[str] = []
    for index, entry in enumerate(map(as_object, as_list(body.get("tools")))):
        for number, one in enumerate(as_list(pick(entry, "functionDeclarations"))):
            tools.append(_read_declaration(as_object(one), f"tools[{index}].function_declarations[{number}]"))
        provider_tools += [kind for name, kind in _PROVIDER_TOOLS.items() if pick(entry, name) is not None]
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise refuse(400, f"Duplicate function declaration found: {name}")
    if tools and provider_tools and not model.startswith("gemini-3"):
        raise refuse(400, "Built-in tools and Function Calling cannot be combined in the same request.")
    wishes = Wishes(tools=tuple(tools), provider_tools=tuple(provider_tools))
    return _with_mode(as_object(pick(as_object(pick(body, "toolConfig")), "functionCallingConfig")), wishes)


def _read_declaration(fields: JsonObject, place: str) -> OfferedTool:
    name = as_text(fields.get("name"))
    if _NAME.fullmatch(name) is None:
        raise refuse(
            400,
            f"* GenerateContentRequest.{place}.name: Invalid function name. Must start with a letter or an underscore. "
            "Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
            "maximum length of 64.\n",
        )
    own, free = fields.get("parameters"), pick(fields, "parametersJsonSchema")
    if own is not None and free is not None:
        raise refuse(400, f"* GenerateContentRequest.{place}: only one of parameters and parameters_json_schema.\n")
    parameters: JsonValue = {"type": "object", "properties": {}} if free is None else free
    if own is not None:
        check_schema_fields(own, f"{place}.parameters")
        _check_objects(as_object(own), f"{place}.parameters")
        parameters = json_schema_of(own)
    return OfferedTool(name=name, description=as_text(fields.get("description")), parameters=as_object(parameters))


def _check_objects(schema: JsonObject, place: str) -> None:
    if as_text(schema.get("type")).upper() == "OBJECT" and not schema.get("properties"):
        text = f"* GenerateContentRequest.{place}.properties: should be non-empty for OBJECT type\n"
        raise refuse(400, text)
    if as_text(schema.get("type")).upper() == "ARRAY" and not schema.get("items"):
        raise refuse(400, f"* GenerateContentRequest.{place}.items: missing field.\n")
    for name, inner in as_object(schema.get("properties")).items():
        _check_objects(as_object(inner), f"{place}.properties[{name}]")
    if schema.get("items"):
        _check_objects(as_object(schema["items"]), f"{place}.items")


def _with_mode(config: JsonObject, wishes: Wishes) -> Wishes:
    mode = as_text(config.get("mode")).upper() or "AUTO"
    if mode not in _MODES:
        raise refuse(400, f"Invalid value at 'tool_config.function_calling_config.mode' (TYPE_ENUM), \"{mode}\"")
    allowed = as_texts(pick(config, "allowedFunctionNames"))
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise refuse(400, "Function calling config: allowed_function_names is only supported when mode is ANY.")
    if mode == "ANY" and not wishes.tools:
        raise refuse(400, "Function calling config is set without function_declarations.")
    offered = {tool.name for tool in wishes.tools}
    for name in allowed:
        if name not in offered:
            raise refuse(400, f"Function calling config: allowed_function_names holds '{name}', which is not declared.")
    return attrs.evolve(wishes, may_call=mode != "NONE", must_call=mode == "ANY", allowed=allowed if allowed else None)
