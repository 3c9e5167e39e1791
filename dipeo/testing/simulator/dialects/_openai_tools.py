"""Tools, tool choice and answer formats as OpenAI takes and refuses them."""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text
from dipeo.testing.simulator.schema.references import type_names
from dipeo.testing.simulator.wishes import OfferedTool

_NAME_PATTERN = "^[a-zA-Z0-9_-]+$"
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_NAME_MAX_LENGTH = 64
_MODES = ("none", "auto", "required")
_EMPTY_SCHEMA: JsonObject = {"type": "object", "properties": {}}


@attrs.frozen(slots=True, kw_only=True)
class ToolChoice:
    """Whether tools may or must be called, and which."""

    may_call: bool = True
    must_call: bool = False
    allowed: tuple[str, ...] | None = None
    provider_tool: str | None = None


def read_function(function: JsonObject, place: str) -> OfferedTool:
    """One function tool, wherever its fields stand."""
    name = check_name(function.get("name"), f"{place}.name")
    given = function.get("parameters")
    parameters = _EMPTY_SCHEMA if given is None else as_object(given)
    kinds = type_names(parameters)
    if parameters and kinds != ("object",):
        kind = kinds[0] if kinds else "None"
        text = (
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', "
            f"got 'type: \"{kind}\"'."
        )
        raise refuse(400, text, code="invalid_function_parameters", param=f"{place}.parameters")
    if function.get("strict") is True:
        complaint = find_strict_problem(parameters)
        if complaint is not None:
            text = f"Invalid schema for function '{name}': {complaint}"
            raise refuse(400, text, code="invalid_function_parameters", param=f"{place}.parameters")
    return OfferedTool(name=name, description=as_text(function.get("description")), parameters=parameters)


def check_name(name: JsonValue, param: str) -> str:
    """The name of a tool or a format; raises RefusalError for a bad one."""
    if not isinstance(name, str):
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    if not name:
        text = (
            f"Invalid '{param}': empty string. "
            "Expected a string with minimum length 1, but got an empty string instead."
        )
        raise refuse(400, text, code="empty_string", param=param)
    if len(name) > _NAME_MAX_LENGTH:
        text = (
            f"Invalid '{param}': string too long. Expected a string with maximum length {_NAME_MAX_LENGTH}, "
            f"but got a string with length {len(name)} instead."
        )
        raise refuse(400, text, code="string_above_max_length", param=param)
    if _NAME.fullmatch(name) is None:
        text = (
            f"Invalid '{param}': string does not match pattern. "
            f"Expected a string that matches the pattern '{_NAME_PATTERN}'."
        )
        raise refuse(400, text, code="invalid_value", param=param)
    return name


def check_tools(body: JsonObject) -> list[JsonObject]:
    """The entries of `tools`; raises RefusalError for what needs tools and has none."""
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise refuse(400, "Invalid type for 'tools': expected an array of objects.", code="invalid_type", param="tools")
    if not tools:
        choice = body.get("tool_choice")
        if choice is not None and choice not in ("none", "auto"):
            text = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
            raise refuse(400, text, param="tool_choice")
    return [as_object(tool) for tool in tools or []]


def read_choice(choice: JsonValue, names: frozenset[str], named: Callable[[JsonObject], str | None]) -> ToolChoice:
    """What `tool_choice` says; `named` reads the name of a function from an entry of the dialect."""
    if choice is None or choice == "auto":
        return ToolChoice()
    if choice == "any":
        # Mistral's word for it.
        choice = "required"
    if isinstance(choice, str):
        if choice not in _MODES:
            text = f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'."
            raise refuse(400, text, code="invalid_value", param="tool_choice")
        return ToolChoice(may_call=choice != "none", must_call=choice == "required")
    fields = as_object(choice)
    if fields.get("type") == "allowed_tools":
        inner = as_object(fields.get("allowed_tools")) or fields
        allowed = tuple(name for tool in as_list(inner.get("tools")) if (name := named(as_object(tool))))
        return ToolChoice(must_call=inner.get("mode") == "required", allowed=_check_offered(allowed, names))
    name = named(fields)
    if name is None:
        return ToolChoice(provider_tool=as_text(fields.get("type")) or None)
    return ToolChoice(must_call=True, allowed=_check_offered((name,), names))


def _check_offered(allowed: tuple[str, ...], names: frozenset[str]) -> tuple[str, ...]:
    for name in allowed:
        if name not in names:
            raise refuse(400, f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    return allowed


def check_schema_format(fields: JsonObject, place: str) -> JsonObject:
    """The schema of a `json_schema` format, whose fields stand at `place`."""
    name = check_name(fields.get("name"), f"{place}.name")
    schema = fields.get("schema")
    if not isinstance(schema, dict):
        param = f"{place}.schema"
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    complaint = find_strict_problem(schema) if fields.get("strict") is True else None
    if complaint is not None:
        text = f"Invalid schema for response_format '{name}': {complaint}"
        raise refuse(400, text, param=place.split(".")[0] if place.startswith("response") else f"{place}.schema")
    return schema


def find_strict_problem(schema: JsonObject) -> str | None:
    """What strict mode has against a schema, or None."""
    return _strict_problem(schema, (), is_root=True)


def _strict_problem(schema: JsonValue, path: tuple[str, ...], *, is_root: bool = False) -> str | None:
    if not isinstance(schema, dict):
        return None
    place = f"In context=({', '.join(repr(step) for step in path)}{',' if len(path) == 1 else ''}), "
    properties = as_object(schema.get("properties"))
    if is_root and "$ref" not in schema and type_names(schema) != ("object",):
        kind = (type_names(schema) or ("None",))[0]
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if "object" in type_names(schema) or properties:
        if schema.get("additionalProperties") is not False:
            return f"{place}'additionalProperties' is required to be supplied and to be false."
        missing = [name for name in properties if name not in as_list(schema.get("required"))]
        if missing:
            return (
                f"{place}'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{missing[0]}'."
            )
    for keyword in ("oneOf", "allOf", "not"):
        if keyword in schema:
            return f"{place}'{keyword}' is not permitted."
    for name, inner in _inner_schemas(schema):
        complaint = _strict_problem(inner, (*path, *name))
        if complaint is not None:
            return complaint
    return None


def _inner_schemas(schema: JsonObject) -> list[tuple[tuple[str, ...], JsonValue]]:
    found: list[tuple[tuple[str, ...], JsonValue]] = []
    for keyword in ("properties", "$defs", "definitions"):
        found += [((keyword, name), inner) for name, inner in as_object(schema.get(keyword)).items()]
    found += [(("anyOf", str(index)), inner) for index, inner in enumerate(as_list(schema.get("anyOf")))]
    if isinstance(schema.get("items"), dict):
        found.append((("items",), schema["items"]))
    return found
