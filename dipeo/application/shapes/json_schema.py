"""Checks JSON values against a JSON schema, and says which schemas can be checked."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from dipeo.application.shapes.effort import bounded_work, take_step
from dipeo.application.shapes.shape import MAX_PROBLEMS, MismatchError, Problem, kind_of
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue

# What would forbid something, and is not checked here: such a schema is refused rather than half kept.
_UNCHECKED: Final = frozenset(
    {
        "$dynamicRef", "$recursiveRef", "contains", "dependencies", "dependentRequired", "dependentSchemas", "else",
        "if", "maxContains", "minContains", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES: Final = ("items", "additionalProperties", "propertyNames", "not")
_MAPPINGS: Final = ("properties", "patternProperties", "$defs", "definitions")
_MAX_DEPTH: Final = 64

_Check = Callable[[JsonValue, JsonValue], bool]


def is_number(value: object) -> bool:
    """Whether a JSON value is a number: booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_array(value: object) -> bool:
    """Whether a JSON value is an array."""
    return isinstance(value, Sequence) and not isinstance(value, str)


_TYPES: Final[Mapping[str, Callable[[JsonValue], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: is_number(value) and (isinstance(value, int) or float(value).is_integer()),  # type: ignore[arg-type]
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": is_array,
    "object": lambda value: isinstance(value, Mapping),
}


def are_equal(one: JsonValue, other: JsonValue) -> bool:
    """Whether two JSON values are the same: unlike in Python, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(are_equal(one[name], other[name]) for name in one)
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(are_equal(*pair) for pair in zip(one, other, strict=True))
    return one == other


def subschemas(schema: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """The schemas directly within a schema, and where."""
    for name in _LISTS:
        listed = schema.get(name)
        if isinstance(listed, Sequence) and not isinstance(listed, str):
            yield from ((f"{name}[{index}]", each) for index, each in enumerate(listed) if isinstance(each, Mapping))
    for name in _SINGLES:
        single = schema.get(name)
        if isinstance(single, Mapping):
            yield name, single
    for name in _MAPPINGS:
        mapped = schema.get(name)
        if isinstance(mapped, Mapping):
            yield from ((f"{name}.{key}", each) for key, each in mapped.items() if isinstance(each, Mapping))


def check_schema(schema: JsonObject, *, field: str) -> None:
    """Raises `ValidationError` for a schema that `check_value()` could not check in full."""
    _check_schema(schema, schema, field=field, where=field)


def _check_schema(schema: JsonObject, root: JsonObject, *, field: str, where: str) -> None:
    unchecked = sorted(_UNCHECKED & schema.keys())
    if unchecked:
        raise ValidationError(f"{where} uses {unchecked[0]!r}, which dipeo does not check.", field=field)
    kinds = schema.get("type")
    for kind in [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, Sequence) else []:
        if kind not in _TYPES:
            raise ValidationError(f"{where} is of type {kind!r}, which JSON does not have.", field=field)
    patterns = [schema.get("pattern"), *_mapping(schema, "patternProperties")]
    for pattern in patterns:
        try:
            re.compile(pattern if isinstance(pattern, str) else "")
        except re.error as problem:
            raise ValidationError(f"{where} has a pattern that cannot be read: {problem}.", field=field) from None
    for word, is_said in _WELL_SAID.items():
        if word in schema and not is_said(schema[word]):
            raise ValidationError(f"{where} has no {word!r} that can be checked: {schema[word]!r}.", field=field)
    if "$ref" in schema and _referred(schema["$ref"], root) is None:
        raise ValidationError(f"{where} refers to {schema['$ref']!r}, which is not in the schema.", field=field)
    for step, each in subschemas(schema):
        _check_schema(each, root, field=field, where=f"{where}.{step}")


def check_value(schema: JsonObject, value: JsonValue, *, root: JsonObject | None = None) -> None:
    """Raises `MismatchError`, saying all that is wrong, for a value that does not fit the schema."""
    with bounded_work():
        found = list(islice(_problems(schema, value, schema if root is None else root, _MAX_DEPTH), MAX_PROBLEMS))
    if found:
        raise MismatchError(*found)


def _problems(schema: JsonValue, value: JsonValue, root: JsonObject, depth: int) -> Iterator[Problem]:
    take_step()
    if depth == 0:
        yield Problem("is nested too deep")
        return
    if not isinstance(schema, Mapping):
        if schema is False:
            yield Problem("is not allowed")
        return
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(names, Sequence) and not any(_TYPES[str(name)](value) for name in names):
        yield Problem(f"must be {' or '.join(map(_in_words, names))}, not {kind_of(value)}")
        return
    yield from _scalar_problems(schema, value)
    yield from _combined_problems(schema, value, root, depth)
    if isinstance(value, Mapping):
        yield from _object_problems(schema, value, root, depth)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _array_problems(schema, value, root, depth)


def _scalar_problems(schema: JsonObject, value: JsonValue) -> Iterator[Problem]:
    allowed = schema.get("enum")
    if isinstance(allowed, Sequence) and not any(are_equal(value, each) for each in allowed):
        yield Problem(f"must be one of {_shown(allowed)}")
    if "const" in schema and not are_equal(value, schema["const"]):
        yield Problem(f"must be {_shown(schema['const'])}")
    for name, bound in schema.items():
        check = _BOUNDS.get(name)
        if check is not None and not check(value, bound):
            yield Problem(f"must have {name} {_shown(bound)}")


def _combined_problems(schema: JsonObject, value: JsonValue, root: JsonObject, depth: int) -> Iterator[Problem]:
    if "$ref" in schema:
        target = _referred(schema["$ref"], root)
        # One that is not there was refused with the schema.
        yield from _problems({} if target is None else target, value, root, depth - 1)
    for each in _sequence(schema, "allOf"):
        yield from _problems(each, value, root, depth - 1)
    for name in ("anyOf", "oneOf"):
        if name in schema:
            results = [list(_problems(each, value, root, depth - 1)) for each in _sequence(schema, name)]
            fitting = sum(not result for result in results)
            if fitting == 0:
                yield from _nearest(results)
            elif fitting > 1 and name == "oneOf":
                yield Problem("must fit only one of the alternatives")
    denied = schema.get("not")
    if denied is not None and not any(_problems(denied, value, root, depth - 1)):
        yield Problem("is of a kind that is not allowed")


def _nearest(results: Sequence[Sequence[Problem]]) -> Iterator[Problem]:
    """Problems of the alternative that was meant, as far as one can tell: the one whose problems lie deepest."""
    inner = [result for result in results if all(problem.where for problem in result)]
    if inner:
        yield from min(inner, key=len)
    else:
        yield Problem(" or ".join(dict.fromkeys(result[0].message for result in results)))


def _object_problems(
    schema: JsonObject, value: Mapping[str, JsonValue], root: JsonObject, depth: int
) -> Iterator[Problem]:
    properties, patterns = _mapping(schema, "properties"), _mapping(schema, "patternProperties")
    for name in _sequence(schema, "required"):
        if name not in value:
            yield Problem("is missing", str(name))
    others, names = schema.get("additionalProperties", True), schema.get("propertyNames", True)
    for name, each in value.items():
        fitting = [below for pattern, below in patterns.items() if re.search(pattern, name)]
        if name in properties:
            fitting.append(properties[name])
        if not fitting and others is False:
            yield Problem(f"is not known; known are: {', '.join(properties) or 'none'}", name[:100])
            continue
        for below in fitting or [others]:
            yield from (problem.below(name[:100]) for problem in _problems(below, each, root, depth - 1))
        if any(_problems(names, name, root, depth - 1)):
            yield Problem("is no name that is allowed", name[:100])


def _array_problems(schema: JsonObject, value: Sequence[JsonValue], root: JsonObject, depth: int) -> Iterator[Problem]:
    first = _sequence(schema, "prefixItems")
    rest = schema.get("items", True)
    for index, each in enumerate(value):
        below = first[index] if index < len(first) else rest
        yield from (problem.below(index) for problem in _problems(below, each, root, depth - 1))


def _referred(reference: JsonValue, root: JsonObject) -> JsonObject | None:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    target: JsonValue = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or name not in target:
            return None
        target = target[name]
    return target if isinstance(target, Mapping) else None


def _mapping(schema: JsonObject, name: str) -> Mapping[str, JsonValue]:
    value = schema.get(name)
    return value if isinstance(value, Mapping) else {}


def _sequence(schema: JsonObject, name: str) -> Sequence[JsonValue]:
    value = schema.get(name)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _in_words(kind: JsonValue) -> str:
    return {"null": "null"}.get(str(kind), f"an {kind}" if str(kind)[0] in "aio" else f"a {kind}")


def _shown(value: JsonValue) -> str:
    text = repr(value) if not is_array(value) else ", ".join(map(repr, value))  # type: ignore[arg-type]
    return text if len(text) <= 500 else f"{text[:500]}..."


def _number(test: Callable[[float, float], bool]) -> _Check:
    return lambda value, bound: not is_number(value) or test(value, bound)  # type: ignore[arg-type]


def _sized(kind: type[str] | type[Sequence[JsonValue]] | type[Mapping[str, JsonValue]], sign: int) -> _Check:
    def check(value: JsonValue, bound: JsonValue) -> bool:
        is_other = not isinstance(value, kind) or (kind is Sequence and isinstance(value, str))
        return is_other or sign * len(value) >= sign * bound  # type: ignore[arg-type,operator]

    return check


def _is_multiple(value: float, of: float) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    try:
        quotient = value / of
    except OverflowError:
        return False
    return math.isfinite(quotient) and abs(quotient - round(quotient)) < 1e-9


def _are_unique(value: JsonValue, wanted: JsonValue) -> bool:
    if not wanted or not isinstance(value, Sequence) or isinstance(value, str):
        return True
    # By their text, because comparing each with each takes too long where a model sends thousands.
    return len({json.dumps(each, sort_keys=True) for each in value}) == len(value)


_BOUNDS: Final[Mapping[str, _Check]] = {
    "minimum": _number(lambda value, bound: value >= bound),
    "maximum": _number(lambda value, bound: value <= bound),
    "exclusiveMinimum": _number(lambda value, bound: value > bound),
    "exclusiveMaximum": _number(lambda value, bound: value < bound),
    "multipleOf": _number(_is_multiple),
    "minLength": _sized(str, 1),
    "maxLength": _sized(str, -1),
    "minItems": _sized(Sequence, 1),
    "maxItems": _sized(Sequence, -1),
    "minProperties": _sized(Mapping, 1),
    "maxProperties": _sized(Mapping, -1),
    "uniqueItems": _are_unique,
    "pattern": lambda value, pattern: not isinstance(value, str) or re.search(str(pattern), value) is not None,
}
# Anything else would be a limit that nobody keeps, or that raises when a value comes.
_WELL_SAID: Final[Mapping[str, Callable[[JsonValue], bool]]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), is_number),
    **dict.fromkeys((name for name in _BOUNDS if name.startswith(("min", "max")) and name[3:4].isupper()), is_number),
    **dict.fromkeys(("enum", "required", *_LISTS), is_array),
    **dict.fromkeys(_MAPPINGS, lambda said: isinstance(said, Mapping)),
    **dict.fromkeys(_SINGLES, lambda said: isinstance(said, bool | Mapping)),
    "multipleOf": lambda said: is_number(said) and said > 0,  # type: ignore[operator]
    "pattern": lambda said: isinstance(said, str),
}
