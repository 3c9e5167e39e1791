"""The limits in an `Annotated`: each becomes a word of the JSON schema that fits the type, or is said in a sentence.

They are what `annotated-types` and pydantic's `Field` hold; neither is imported.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from attrs import evolve, frozen

from dipeo.application.shapes.json_schema import check_value, is_number
from dipeo.application.shapes.shape import Build, Described, MismatchError, Problem
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue

_NUMBER_WORDS: Final = {
    "ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "multiple_of": "multipleOf",
}  # fmt: skip
_SIZE_WORDS: Final = {"min_length": "min", "max_length": "max"}
_SIZE_UNITS: Final = {"string": "Length", "array": "Items", "object": "Properties"}
_PATTERN: Final = "pattern"
_NAMES: Final = (*_NUMBER_WORDS, *_SIZE_WORDS, _PATTERN)
_ANY_KIND: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})

# Of types that JSON has as text alone: compared when the value is made, because no word of a schema does.
_Test = Callable[[Any, Any], bool]
_COMPARED: Final[Mapping[str, tuple[_Test, str]]] = {
    "ge": (operator.ge, "at least"),
    "gt": (operator.gt, "more than"),
    "le": (operator.le, "at most"),
    "lt": (operator.lt, "less than"),
    "multiple_of": (lambda value, bound: value % bound == 0, "a multiple of"),
}
_COMPARED_TYPES: Final = (Decimal, datetime, date, time)


@frozen
class Limit:
    """One limit by its name in `annotated-types`, such as `ge`, and what it is."""

    name: str
    bound: object


def description_in(notes: Iterable[object]) -> str | None:
    """What the notes of an `Annotated` say in words; of several, the last."""
    said = [note if isinstance(note, str) else getattr(note, "description", None) for note in _flat(notes)]
    return next((words for words in reversed(said) if isinstance(words, str)), None)


def limits_in(notes: Iterable[object]) -> tuple[Limit, ...]:
    """The limits in the notes of an `Annotated`; a note of another kind holds none."""
    found = [
        Limit(name, bound)
        for note in _flat(notes)
        if not isinstance(note, str)
        for name in _NAMES
        if (bound := getattr(note, name, None)) is not None and not callable(bound)
    ]
    # No length is shorter than none.
    return tuple(limit for limit in found if limit != Limit("min_length", 0))


def limited(
    inner: Described, kind: object, limits: Sequence[Limit], *, kinds: frozenset[str], where: str
) -> tuple[Described, frozenset[int]]:
    """The type with those of the limits that can hold for it, and which these are, by their places.

    `kinds` are the kinds of JSON that its schema takes. Raises `ValidationError` for a limit that is none.
    """
    compare = _compared if kind in _COMPARED_TYPES else None
    schema: JsonObject = inner.schema
    bounds: JsonObject = {}
    tests: list[tuple[_Test, object, str]] = []
    kept: set[int] = set()
    for place, limit in enumerate(limits):
        if compare is not None:
            if (test := compare(kind, limit)) is not None:
                tests.append(test)
                kept.add(place)
            continue
        for word, bound in _words(limit, kinds, where):
            schema, bounds = _with_word(schema, word, bound), _with_word(bounds, word, bound)
            kept.add(place)
    if tests:
        inner = with_words(inner, " ".join(f"{words[0].upper()}{words[1:]}." for _, _, words in tests))
        return evolve(inner, build=_tested(inner.build, tests)), frozenset(kept)
    if not bounds:
        return inner, frozenset()

    def build(value: JsonValue) -> object:
        made = inner.build(value)
        check_value(bounds, value)
        return made

    return evolve(inner, schema=schema, build=build), frozenset(kept)


def with_words(inner: Described, words: str) -> Described:
    """The type with a sentence more about it, which stays when it gets another description."""
    said = f"{inner.words} {words}".strip()
    return evolve(inner, schema={**inner.schema, "description": said}, words=said)


def unfit(limit: Limit, where: str) -> ValidationError:
    """The error for a limit that nothing of the type can be held to."""
    return ValidationError(
        f"{where!r} has the limit {limit.name}={limit.bound!r}, which its type cannot have.",
        field=where,
        suggestion="Numbers, dates and times have ge, gt, le and lt; numbers multiple_of; text, lists and dictionaries "
        "min_length and max_length; text pattern.",
    )


def kinds_in(schema: JsonValue) -> frozenset[str]:
    """The kinds of JSON that a schema takes, as far as its first words say."""
    if not isinstance(schema, Mapping):
        return _ANY_KIND
    named, listed, either = schema.get("type"), schema.get("enum"), schema.get("anyOf")
    if isinstance(named, str):
        return frozenset({named})
    if isinstance(named, Sequence):
        return frozenset(map(str, named))
    if isinstance(listed, Sequence):
        return frozenset().union(*(_kind_of(value) for value in listed))
    if isinstance(either, Sequence):
        return frozenset().union(*(kinds_in(each) for each in either))
    return _ANY_KIND


def _kind_of(value: JsonValue) -> frozenset[str]:
    if value is None or isinstance(value, bool):
        return frozenset({"null" if value is None else "boolean"})
    return frozenset({"string" if isinstance(value, str) else "number"})


def _flat(notes: Iterable[object]) -> Iterator[object]:
    """The notes of an `Annotated`, also those that pydantic's `Field` holds."""
    for note in notes:
        yield note
        held = getattr(note, "metadata", None)
        if isinstance(held, list | tuple):
            yield from held


def _words(limit: Limit, kinds: frozenset[str], where: str) -> Iterator[tuple[str, JsonValue]]:
    """The words of a schema that say the limit for these kinds of JSON. Raises `ValidationError` for a bad bound."""
    if (word := _NUMBER_WORDS.get(limit.name)) is not None:
        if kinds & {"integer", "number"}:
            yield word, _number(limit, where)
    elif (side := _SIZE_WORDS.get(limit.name)) is not None:
        for kind, unit in _SIZE_UNITS.items():
            if kind in kinds:
                yield f"{side}{unit}", _count(limit, where)
    elif "string" in kinds:
        yield _PATTERN, _pattern(limit, where)


def _number(limit: Limit, where: str) -> int | float:
    bound = limit.bound
    if isinstance(bound, Decimal) and bound.is_finite():
        bound = int(bound) if bound == bound.to_integral_value() else float(bound)
    if not is_number(bound) or (isinstance(bound, float) and not math.isfinite(bound)):
        raise _unsaid(limit, where)
    if limit.name == "multiple_of" and bound <= 0:  # type: ignore[operator]  # a number, see above
        raise _unsaid(limit, where)
    return bound  # type: ignore[return-value]  # a number, see above


def _count(limit: Limit, where: str) -> int:
    if not isinstance(limit.bound, int) or isinstance(limit.bound, bool) or limit.bound < 0:
        raise _unsaid(limit, where)
    return limit.bound


def _pattern(limit: Limit, where: str) -> str:
    bound = limit.bound
    if isinstance(bound, re.Pattern) and bound.flags == re.compile("").flags:
        bound = bound.pattern
    try:
        re.compile(bound if isinstance(bound, str) else "(")
    except re.error:
        raise _unsaid(limit, where) from None
    return str(bound)


def _unsaid(limit: Limit, where: str) -> ValidationError:
    return ValidationError(
        f"{where!r} has the limit {limit.name}={limit.bound!r}, which no JSON schema can say.", field=where
    )


def _with_word(schema: JsonObject, word: str, bound: JsonValue) -> JsonObject:
    """The schema with the word; where it says it already, with the narrower of both."""
    there = schema.get(word)
    if there is None or there == bound:
        return {**schema, word: bound}
    if is_number(there) and word.lower().startswith(("min", "max", "exclusivem")):
        narrower = max if "min" in word.lower() else min
        return {**schema, word: narrower(there, bound)}  # type: ignore[type-var]  # both are numbers
    others = schema.get("allOf", [])
    return {**schema, "allOf": [*(others if isinstance(others, list) else []), {word: bound}]}


def _compared(kind: object, limit: Limit) -> tuple[_Test, object, str] | None:
    """How a value of the type is compared, with what, and how that is said; None for a limit that is not for it."""
    if limit.name not in _COMPARED or (limit.name == "multiple_of" and kind is not Decimal):
        return None
    bound: object = limit.bound
    if kind is Decimal and is_number(bound):
        # As it is written: 0.1 is a tenth.
        bound = Decimal(str(bound))
    if type(bound) is not kind or (isinstance(bound, Decimal) and not bound.is_finite()):
        return None
    if limit.name == "multiple_of" and isinstance(bound, Decimal) and bound <= 0:
        return None
    test, words = _COMPARED[limit.name]
    return test, bound, f"{words} {bound.isoformat() if isinstance(bound, date | time) else bound}"


def _tested(inner: Build, tests: Sequence[tuple[_Test, object, str]]) -> Build:
    def build(value: JsonValue) -> object:
        made = inner(value)
        problems = [Problem(f"must be {words}") for test, bound, words in tests if not _holds(test, made, bound)]
        if problems:
            raise MismatchError(*problems)
        return made

    return build


def _holds(test: _Test, value: object, bound: object) -> bool:
    try:
        return test(value, bound)
    except (TypeError, ArithmeticError):
        # A time without a zone beside one that has one; a remainder of more digits than a decimal number can have.
        return False
