"""What Anthropic has against a schema that answers or arguments must satisfy."""

from __future__ import annotations

from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object
from dipeo.testing.simulator.schema.references import type_names

_UNSUPPORTED = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
}


def find_schema_problem(schema: JsonValue) -> str | None:
    """The complaint about the schema or one inside it, or None."""
    if not isinstance(schema, dict):
        return None
    for kind in type_names(schema):
        unsupported = sorted(name for name in _UNSUPPORTED.get(kind, ()) if name in schema)
        if unsupported:
            return f"For '{kind}' type, properties {', '.join(unsupported)} are not supported"
    if "object" in type_names(schema) and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    least = schema.get("minItems")
    if isinstance(least, int) and least > 1:
        return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    return next(filter(None, map(find_schema_problem, _inner_schemas(schema))), None)


def _inner_schemas(schema: JsonObject) -> list[JsonValue]:
    inner = [
        part for keyword in ("properties", "$defs", "definitions") for part in as_object(schema.get(keyword)).values()
    ]
    inner += [part for keyword in ("anyOf", "allOf") for part in as_list(schema.get(keyword))]
    return [*inner, schema.get("items")]
