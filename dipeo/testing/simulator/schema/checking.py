"""Whether a value satisfies a JSON schema; the keywords that models are asked with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeGuard

from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text
from dipeo.testing.simulator.schema.references import resolve, type_names

# Deeper than any answer that is made here.
_MAX_DEPTH = 80


def _is_number(value: JsonValue) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_KINDS: dict[str, Callable[[JsonValue], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value % 1 == 0,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_FORMATS = {
    "date-time": r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
    "date": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    "time": r"\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?",
    "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "uri": r"[a-z][a-z0-9+.-]*:\S+",
    "ipv4": r"\d{1,3}(\.\d{1,3}){3}",
    "hostname": r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*",
    "duration": r"P\S+",
}


def find_violation(value: JsonValue, schema: JsonObject) -> str | None:
    """Where and how the value breaks the schema, or None where it does not."""
    return next(_violations(value, schema, schema, "$", 0), None)


def _violations(value: JsonValue, given: JsonValue, root: JsonObject, place: str, depth: int) -> Iterator[str]:
    schema = resolve(given, root)
    if schema is False:
        yield f"{place}: nothing is allowed here"
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return
    names = type_names(schema)
    if names and not any(name not in _KINDS or _KINDS[name](value) for name in names):
        yield f"{place}: {value!r} is not of type {', '.join(names)}"
        return
    if "const" in schema and not _is_same(value, schema["const"]):
        yield f"{place}: {value!r} is not {schema['const']!r}"
    if isinstance(schema.get("enum"), list) and not any(_is_same(value, one) for one in as_list(schema["enum"])):
        yield f"{place}: {value!r} is none of {schema['enum']!r}"
    yield from _combination_violations(value, schema, root, place, depth)
    if isinstance(value, str):
        yield from _text_violations(value, schema, place)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number_violations(value, schema, place)
    elif isinstance(value, list):
        yield from _array_violations(value, schema, root, place, depth)
    elif isinstance(value, dict):
        yield from _object_violations(value, schema, root, place, depth)


def _is_same(first: JsonValue, second: JsonValue) -> bool:
    return first == second and isinstance(first, bool) == isinstance(second, bool)


def _combination_violations(
    value: JsonValue, schema: JsonObject, root: JsonObject, place: str, depth: int
) -> Iterator[str]:
    def fits(part: JsonValue) -> bool:
        return next(_violations(value, part, root, place, depth + 1), None) is None

    for part in as_list(schema.get("allOf")):
        yield from _violations(value, part, root, place, depth + 1)
    if isinstance(schema.get("anyOf"), list) and not any(map(fits, as_list(schema["anyOf"]))):
        yield f"{place}: {value!r} fits nothing in anyOf"
    if isinstance(schema.get("oneOf"), list) and sum(map(fits, as_list(schema["oneOf"]))) != 1:
        yield f"{place}: {value!r} does not fit exactly one in oneOf"
    if "not" in schema and fits(schema["not"]):
        yield f"{place}: {value!r} is what it must not be"
    if "if" in schema:
        branch = schema.get("then" if fits(schema["if"]) else "else", True)
        yield from _violations(value, branch, root, place, depth + 1)


def _text_violations(value: str, schema: JsonObject, place: str) -> Iterator[str]:
    least, most = _bound(schema, "minLength"), _bound(schema, "maxLength")
    if least is not None and len(value) < least:
        yield f"{place}: shorter than {least}"
    if most is not None and len(value) > most:
        yield f"{place}: longer than {most}"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not _matches(pattern, value):
        yield f"{place}: {value!r} does not match {pattern}"
    shape = _FORMATS.get(as_text(schema.get("format")))
    if shape is not None and re.fullmatch(shape, value) is None:
        yield f"{place}: {value!r} is no {schema['format']}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def _number_violations(value: float, schema: JsonObject, place: str) -> Iterator[str]:
    checks: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
        ("minimum", lambda number, bound: number >= bound),
        ("maximum", lambda number, bound: number <= bound),
        ("exclusiveMinimum", lambda number, bound: number > bound),
        ("exclusiveMaximum", lambda number, bound: number < bound),
        ("multipleOf", lambda number, step: abs(number / step - round(number / step)) < 1e-9),
    )
    for keyword, holds in checks:
        bound = _bound(schema, keyword)
        if bound is not None and not holds(value, bound):
            yield f"{place}: {value} breaks {keyword} {bound}"


def _array_violations(
    value: list[JsonValue], schema: JsonObject, root: JsonObject, place: str, depth: int
) -> Iterator[str]:
    least, most = _bound(schema, "minItems"), _bound(schema, "maxItems")
    if least is not None and len(value) < least:
        yield f"{place}: fewer than {least} items"
    if most is not None and len(value) > most:
        yield f"{place}: more than {most} items"
    if schema.get("uniqueItems") is True and any(item in value[:index] for index, item in enumerate(value)):
        yield f"{place}: an item comes twice"
    prefix = as_list(schema.get("prefixItems"))
    for index, item in enumerate(value):
        part = prefix[index] if index < len(prefix) else schema.get("items", True)
        yield from _violations(item, part, root, f"{place}[{index}]", depth + 1)


def _object_violations(
    value: JsonObject, schema: JsonObject, root: JsonObject, place: str, depth: int
) -> Iterator[str]:
    for name in as_list(schema.get("required")):
        if name not in value:
            yield f"{place}: {name!r} is missing"
    least, most = _bound(schema, "minProperties"), _bound(schema, "maxProperties")
    if least is not None and len(value) < least:
        yield f"{place}: fewer than {least} properties"
    if most is not None and len(value) > most:
        yield f"{place}: more than {most} properties"
    properties, patterns = as_object(schema.get("properties")), as_object(schema.get("patternProperties"))
    for name, inner in value.items():
        parts = [part for pattern, part in patterns.items() if _matches(pattern, name)]
        if name in properties:
            parts.append(properties[name])
        for part in parts or [schema.get("additionalProperties", True)]:
            yield from _violations(inner, part, root, f"{place}.{name}", depth + 1)


def _bound(schema: JsonObject, keyword: str) -> float | None:
    bound = schema.get(keyword)
    # Gemini writes some of its counts as text.
    if isinstance(bound, str) and bound.isdigit():
        return int(bound)
    return bound if isinstance(bound, (int, float)) and not isinstance(bound, bool) else None
