"""JSON schemas as Anthropic takes them for answers and strict tools: closed, and without bounds on values."""

from collections.abc import Iterator, Mapping
from typing import Final

from dipeo.domain.json_value import JsonObject, JsonValue

_TAKEN: Final = frozenset(
    {
        "$defs", "$ref", "additionalProperties", "allOf", "anyOf", "const", "default", "definitions", "description",
        "enum", "format", "items", "minItems", "properties", "required", "title", "type",
    }
)  # fmt: skip
_SAID_IN_WORDS: Final = frozenset(
    {
        "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maximum", "minLength", "minimum",
        "multipleOf", "pattern", "uniqueItems",
    }
)  # fmt: skip
"""Bounds that the provider does not hold an answer to; the model is told of them in the description."""

_NOT_SAID: Final = frozenset({"$schema", "$id", "examples", "oneOf", "strict"})
"""What is left out (`oneOf` becomes `anyOf`): it bounds no answer."""

_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)


def is_closable(schema: JsonObject) -> bool:
    """Whether the provider can hold an answer to the schema: no open objects, no unknown words, no recursion."""
    return all(_is_plain(node) for node in _nodes(schema)) and not _is_recursive(schema)


def closed_schema(schema: JsonObject) -> JsonObject:
    """The schema with its objects closed and its bounds told in words; for one that `is_closable()`."""
    closed: dict[str, JsonValue] = {}
    for word, value in schema.items():
        if word in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            closed[word] = {name: _closed(child) for name, child in value.items()}
        elif word in ("anyOf", "oneOf", "allOf") and isinstance(value, list | tuple):
            closed["anyOf" if word == "oneOf" else word] = [_closed(child) for child in value]
        elif word == "items":
            closed[word] = _closed(value)
        elif word in _TAKEN and not _is_bound(word, value):
            closed[word] = value
    if schema.get("type") == "object" or "properties" in schema:
        closed["additionalProperties"] = False
    if said := _bounds_of(schema):
        description = closed.get("description")
        words = "; ".join(f"{word}: {schema[word]}" for word in said)
        closed["description"] = f"{description} ({words})" if description else f"({words})"
    return closed


def bounds_in(schema: JsonObject) -> tuple[str, ...]:
    """The bounds that `closed_schema()` tells in words, sorted."""
    return tuple(sorted({word for node in _nodes(schema) for word in _bounds_of(node)}))


def _closed(value: JsonValue) -> JsonValue:
    return closed_schema(value) if isinstance(value, Mapping) else value


def _bounds_of(node: JsonObject) -> list[str]:
    return [word for word in sorted(node) if _is_bound(word, node[word])]


def _is_bound(word: str, value: JsonValue) -> bool:
    if word == "format":
        return not isinstance(value, str) or value not in _FORMATS
    return word in _SAID_IN_WORDS or (word == "minItems" and value not in (0, 1))


def _is_plain(node: JsonObject) -> bool:
    if not node.keys() <= _TAKEN | _SAID_IN_WORDS | _NOT_SAID:
        return False
    if node.get("type") == "object" or "properties" in node:
        return isinstance(node.get("properties"), Mapping) and node.get("additionalProperties", False) is False
    return "type" in node or not node.keys().isdisjoint({"$ref", "anyOf", "oneOf", "allOf", "enum", "const"})


def _nodes(schema: JsonObject) -> Iterator[JsonObject]:
    """The schema and all those in it."""
    yield schema
    for child in _children(schema):
        yield from _nodes(child)


def _children(schema: JsonObject) -> Iterator[JsonObject]:
    for word in ("properties", "$defs", "definitions"):
        held = schema.get(word)
        if isinstance(held, Mapping):
            yield from (child for child in held.values() if isinstance(child, Mapping))
    for word in ("anyOf", "oneOf", "allOf"):
        several = schema.get(word)
        if isinstance(several, list | tuple):
            yield from (child for child in several if isinstance(child, Mapping))
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield items


def _is_recursive(schema: JsonObject) -> bool:
    """Whether a definition leads back to itself, or the schema refers to anything but its own definitions."""
    definitions: dict[str, JsonObject] = {}
    for word in ("$defs", "definitions"):
        held = schema.get(word)
        if isinstance(held, Mapping):
            definitions |= {f"#/{word}/{name}": each for name, each in held.items() if isinstance(each, Mapping)}
    led_to = {name: _references(each) for name, each in definitions.items()}
    if not set().union(*led_to.values(), _references(schema)) <= definitions.keys():
        return True
    while free := [name for name, names in led_to.items() if not names & led_to.keys()]:
        for name in free:
            del led_to[name]
    return bool(led_to)


def _references(schema: JsonObject) -> set[str]:
    return {str(node["$ref"]) for node in _nodes(schema) if "$ref" in node}
