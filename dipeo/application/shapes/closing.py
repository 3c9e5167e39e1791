"""Schemas to the letter: every property listed as required, and no others allowed."""

from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.application.shapes.json_schema import subschemas
from dipeo.domain.json_value import JsonObject, JsonValue

# What providers take that keep to a schema to the letter.
_TAKEN: Final = frozenset(
    {
        "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "exclusiveMaximum",
        "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems", "minimum", "multipleOf", "pattern",
        "properties", "required", "title", "type",
    }
)  # fmt: skip


def closed(schema: JsonObject) -> JsonObject | None:
    """The schema with every property required and no others; None where it says what cannot be kept to so strictly.

    What fits the closed schema fits the schema itself. Defaults are left out: the model is to give every value.
    """
    if not _can_be_closed(schema):
        return None
    return _as_object(_closed(schema))


def _can_be_closed(schema: JsonObject) -> bool:
    if schema.keys() - _TAKEN - {"default"} or not schema:
        return False
    if schema.get("type") == "object" and (
        schema.get("additionalProperties", False) is not False or not isinstance(schema.get("properties"), Mapping)
    ):
        return False
    return all(_can_be_closed(each) for _, each in subschemas(schema))


def _closed(schema: JsonObject) -> JsonObject:
    result: dict[str, JsonValue] = {name: value for name, value in schema.items() if name != "default"}
    for name in ("properties", "$defs"):
        if name in schema:
            result[name] = {key: _closed(_as_object(each)) for key, each in _as_object(schema[name]).items()}
    if isinstance(schema.get("items"), Mapping):
        result["items"] = _closed(_as_object(schema["items"]))
    alternatives = schema.get("anyOf")
    if isinstance(alternatives, Sequence) and not isinstance(alternatives, str):
        result["anyOf"] = [_closed(_as_object(each)) for each in alternatives]
    if "properties" in schema:
        result["required"] = list(_as_object(schema["properties"]))
        result["additionalProperties"] = False
    return result


def _as_object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, Mapping) else {}
