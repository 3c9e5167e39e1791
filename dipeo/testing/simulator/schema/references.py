"""Looking up `$ref` in a schema, and reading its spellings."""

from __future__ import annotations

from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object

# Chains of references that lead nowhere end here.
_MAX_HOPS = 32


def resolve(schema: JsonValue, root: JsonObject) -> JsonValue:
    """The schema behind a chain of references; keywords next to `$ref` are kept."""
    for _ in range(_MAX_HOPS):
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            return schema
        target = _look_up(str(schema["$ref"]), root)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**target, **beside} if isinstance(target, dict) else target
    return True


def _look_up(reference: str, root: JsonObject) -> JsonValue:
    if not reference.startswith("#"):
        return True
    found: JsonValue = root
    for step in reference.lstrip("#").split("/"):
        if not step:
            continue
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            found = as_object(found).get(name, True)
    return found


def type_names(schema: JsonObject) -> tuple[str, ...]:
    """The types a schema allows, in lower case; empty where it allows all."""
    given = schema.get("type")
    names = [given] if isinstance(given, str) else as_list(given)
    lowered = [name.lower() for name in names if isinstance(name, str)]
    if lowered and schema.get("nullable") is True:
        lowered.append("null")
    # Gemini has a type for "not said".
    return tuple(name for name in lowered if name != "type_unspecified")


def merge(first: JsonObject, second: JsonObject) -> JsonObject:
    """Both schemas in one, as far as that can be said without `allOf`."""
    merged: JsonObject = {**first, **second}
    properties = {**as_object(first.get("properties")), **as_object(second.get("properties"))}
    if properties:
        merged["properties"] = properties
    required = [*as_list(first.get("required")), *as_list(second.get("required"))]
    if required:
        merged["required"] = required
    for keyword, choose in (("minimum", max), ("minLength", max), ("maximum", min), ("maxLength", min)):
        bounds = [bound for part in (first, second) if isinstance(bound := part.get(keyword), (int, float))]
        if bounds:
            merged[keyword] = choose(bounds)
    return merged
