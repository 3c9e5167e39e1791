"""Limits in an `Annotated`: what the schema says is what a value is held to, wherever the limit stands."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, TypedDict, Union

import pytest
from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MaxLen, MinLen, MultipleOf
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field, RootModel, StringConstraints

from dipeo.application.answer_shape import read_answer, response_schema_of
from dipeo.application.shapes.describing import shape_of
from dipeo.application.shapes.shape import MismatchError
from dipeo.application.tool import tool
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.testing.simulator.schema import find_violation

Limits = dict[str, Any]

NUMBERS = st.dictionaries(st.sampled_from(("ge", "gt", "le", "lt")), st.integers(-4, 4), min_size=1)
SIZES = st.dictionaries(st.sampled_from(("min_length", "max_length")), st.integers(0, 3), min_size=1)
SMALL: st.SearchStrategy[Any] = st.one_of(
    st.integers(-5, 5),
    st.floats(-5, 5).map(lambda number: round(number, 1)),
    st.text("aé", max_size=4),
    st.lists(st.integers(0, 3), max_size=4),
    st.dictionaries(st.text("xyz", min_size=1, max_size=1), st.integers(0, 3), max_size=3),
    st.none(),
    st.booleans(),
)
HELD_TO: dict[str, Callable[[Any, Any], bool]] = {
    "ge": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "le": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
    "min_length": lambda value, bound: len(value) >= bound,
    "max_length": lambda value, bound: len(value) <= bound,
}


def is_whole(value: Any) -> bool:
    """Whether a JSON number is an integer."""
    return type(value) is int or (type(value) is float and value.is_integer())


MEMBERS: list[tuple[Any, Callable[[Any], bool], bool]] = [
    (int, is_whole, False),
    (float, lambda value: type(value) in (int, float), False),
    (str, lambda value: type(value) is str, True),
    (list[int], lambda value: type(value) is list, True),
    (tuple[int, ...], lambda value: type(value) is list, True),
    (dict[str, int], lambda value: type(value) is dict, True),
    (None, lambda value: value is None, False),
    (bool, lambda value: type(value) is bool, False),
]
"""A type, whether a value is one of it, and whether it has a length."""


def built(kind: Any, value: JsonValue) -> bool:
    """Whether the value is taken for the type."""
    try:
        shape_of(list[kind]).build({"value": [value]})
    except MismatchError:
        return False
    return True


def published(kind: Any) -> Any:
    """The schema of the value."""
    schema: Any = shape_of(list[kind]).schema
    return schema["properties"]["value"]["items"]


@given(st.lists(st.sampled_from(MEMBERS), min_size=1, max_size=3), st.data())
def test_what_is_published_is_what_is_held_to(members: list[Any], data: st.DataObject) -> None:
    """Alone, optional or in a union: a value is taken where one of the types and all of its limits take it."""
    has_length = any(sized for _, _, sized in members)
    has_numbers = any(kind in (int, float) for kind, _, _ in members)
    limits: Limits = {}
    if has_numbers:
        limits |= data.draw(NUMBERS)
    if has_length:
        limits |= data.draw(SIZES)
    union: Any = Union[tuple(kind for kind, _, _ in members)]  # noqa: UP007  # of as many as there are
    annotated: Any = Annotated[union, Field(**limits)] if limits else union
    value = data.draw(SMALL)

    def fits(kind: Any, is_one: Callable[[Any], bool], *, is_sized: bool) -> bool:
        held = [
            (HELD_TO[name], bound)
            for name, bound in limits.items()
            if (name.endswith("length") and is_sized) or (not name.endswith("length") and kind in (int, float))
        ]
        return is_one(value) and all(test(value, bound) for test, bound in held)

    expected = any(fits(kind, is_one, is_sized=is_sized) for kind, is_one, is_sized in members)
    assert built(annotated, value) is expected
    assert (find_violation(value, published(annotated)) is None) is expected


@given(NUMBERS, st.decimals(-5, 5, places=2), st.booleans())
@example({"ge": 0}, Decimal("-1"), True)
def test_decimals_are_held_to_their_limits(limits: Limits, number: Decimal, is_optional: bool) -> None:
    """JSON has them as text, which no word of a schema bounds: the limits are said in a sentence, and kept."""
    kind: Any = Annotated[Decimal | None if is_optional else Decimal, Field(**limits)]
    assert built(kind, str(number)) is all(HELD_TO[name](number, bound) for name, bound in limits.items())
    schema = published(kind)
    said = schema["anyOf"][0]["description"] if is_optional else schema["description"]
    assert said.startswith("A decimal number. ")
    assert said.count(".") == 1 + len(limits)
    assert not built(kind, "1e")
    assert not built(kind, 1)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (Annotated[int | None, Ge(1)], {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}),
        (
            Annotated[int | list[int], Gt(1), MaxLen(2)],
            {
                "anyOf": [
                    {"type": "integer", "exclusiveMinimum": 1},
                    {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
                ]
            },
        ),
        (
            Annotated[dict[str, int], Len(1, 3)],
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "minProperties": 1,
                "maxProperties": 3,
            },
        ),
        (
            Annotated[set[int], MinLen(1)],
            {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "minItems": 1},
        ),
        (
            Annotated[float, Ge(Decimal("0.5")), Lt(Decimal(2))],
            {"type": "number", "minimum": 0.5, "exclusiveMaximum": 2},
        ),
        (
            Annotated[int, Interval(ge=1, le=5), MultipleOf(2)],
            {"type": "integer", "minimum": 1, "maximum": 5, "multipleOf": 2},
        ),
        (Annotated[int, Ge(3), Ge(1), Le(9), Le(11)], {"type": "integer", "minimum": 3, "maximum": 9}),
        (Annotated[str, Len(0, 4)], {"type": "string", "maxLength": 4}),
        (Annotated[Any, MaxLen(2)], {"maxLength": 2, "maxItems": 2, "maxProperties": 2}),
        (Annotated[Literal["a", "bb"], MinLen(2)], {"type": "string", "enum": ["a", "bb"], "minLength": 2}),
        (
            Annotated[str, StringConstraints(pattern=re.compile("^a")), Field(pattern="b$")],
            {"type": "string", "pattern": "^a", "allOf": [{"pattern": "b$"}]},
        ),
        (
            Annotated[date, Ge(date(2026, 1, 1))],
            {"type": "string", "format": "date", "description": "At least 2026-01-01."},
        ),
        (
            Annotated[Decimal, "What it costs.", Gt(Decimal("0.1")), MultipleOf(0.05)],
            {"type": "string", "description": "What it costs. A decimal number. More than 0.1. A multiple of 0.05."},
        ),
    ],
)
def test_each_limit_has_the_word_of_its_type(kind: Any, schema: JsonValue) -> None:
    """Lengths are of text, items or properties; of two limits, the narrower; what JSON cannot say is a sentence."""
    assert published(kind) == schema
    assert json.dumps(schema)


Page = NewType("Page", Annotated[int, Ge(1)])
Amount = NewType("Amount", Annotated[Decimal | None, "Of money.", Ge(0)])  # type: ignore[valid-newtype]  # as users do


class Tags(TypedDict, total=False):
    """Words by language."""

    de: str
    en: str


@frozen
class Leaf:
    """One that may hold others."""

    twigs: "Annotated[list[Leaf], MaxLen(1)]" = ()  # type: ignore[assignment]  # of any sequence


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Annotated[Page, Le(5)], 5, 0),
        (Annotated[Page, Le(5)], 1, 6),
        (Annotated[Amount, Le(5)], "5", "-1"),
        (Annotated[Amount, Le(5)], None, "5.1"),
        (Annotated[int, MultipleOf(3)] | None, 3, 4),
        (Annotated[Decimal, MultipleOf(Decimal("0.1"))], "0.3", "0.35"),
        (Annotated[Decimal, MultipleOf(Decimal("0.1"))], "0", "1e400000"),
        (Annotated[date | None, Lt(date(2026, 1, 1))], "2025-12-31", "2026-01-01"),
        (Annotated[time, Gt(time(8))], "08:01:00", "08:00:00"),
        (Annotated[datetime, Ge(datetime(2026, 1, 1, tzinfo=UTC))], "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z"),
        (Annotated[datetime, Ge(datetime(2026, 1, 1, tzinfo=UTC))], "2027-01-01T00:00:00+01:00", "2027-01-01T00:00:00"),
        (Annotated[dict[str, int] | None, MinLen(1)], {"a": 1}, {}),
        (Annotated[tuple[int, int], MinLen(1)], [1, 2], [1]),
        (list[Annotated[str | int, Len(1, 2)]], ["ab", 7], ["abc"]),
        (Annotated[RootModel[list[int]], MinLen(1)], [1], []),
        (list[Annotated[Tags, MinLen(1)]], [{"en": "a"}], [{}]),
        (list[Leaf], [{"twigs": [{}]}], [{"twigs": [{}, {}]}]),
    ],
)
def test_limits_hold_wherever_they_stand(kind: Any, good: JsonValue, bad: JsonValue) -> None:
    """On names for types, on members of a union, on items, on classes that hold themselves."""
    assert built(kind, good)
    assert not built(kind, bad)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Annotated[str, Ge(1)], "ge=1, which its type cannot have"),
        (Annotated[int | None, MinLen(1)], "min_length=1, which its type cannot have"),
        (Annotated[bool, Le(1)], "le=1, which its type cannot have"),
        (Annotated[Decimal, MinLen(1)], "which its type cannot have"),
        (Annotated[Decimal, MultipleOf(0)], "which its type cannot have"),
        (Annotated[Decimal, Ge(date(2026, 1, 1))], "which its type cannot have"),
        (Annotated[date, Ge(datetime(2026, 1, 1, tzinfo=UTC))], "which its type cannot have"),
        (Annotated[date, MultipleOf(2)], "which its type cannot have"),
        (Annotated[float, Lt(math.inf)], "lt=inf, which no JSON schema can say"),
        (Annotated[float, Ge(Decimal("NaN"))], "which no JSON schema can say"),
        (Annotated[int, Ge("1")], "ge='1', which no JSON schema can say"),
        (Annotated[int, MultipleOf(-2)], "which no JSON schema can say"),
        (Annotated[list[int], MaxLen(-1)], "which no JSON schema can say"),
        (Annotated[list[int], Field(min_length=True)], "which no JSON schema can say"),
        (Annotated[str, StringConstraints(pattern="(")], "which no JSON schema can say"),
        (Annotated[str, StringConstraints(pattern=re.compile("a", re.IGNORECASE))], "which no JSON schema can say"),
    ],
)
def test_limits_that_nobody_could_keep_are_refused(kind: Any, words: str) -> None:
    """Published and not kept, a limit would be a promise that nobody makes."""
    with pytest.raises(ValidationError, match="answer") as caught:
        shape_of(kind)
    assert words in caught.value.message


def test_a_tool_keeps_the_limits_that_it_publishes() -> None:
    """What a docstring says of a parameter stays beside the words that its type needs."""

    def pay(amount: Annotated[Decimal, Gt(0)], times: Annotated[int | None, Le(12)] = None) -> None:
        """Pay somebody.

        Args:
            amount: How much.
            times: How often.
        """

    made = tool(pay)
    properties: Any = made.spec.parameters["properties"]
    assert properties["amount"]["description"] == "How much. A decimal number. More than 0."
    assert properties["times"]["description"] == "How often."
    assert made.read({"amount": "1", "times": 12}) == ((), {"amount": Decimal(1), "times": 12})
    refused: tuple[JsonObject, ...] = ({"amount": "0"}, {"amount": "1", "times": 13})
    for arguments in refused:
        with pytest.raises(MismatchError):
            made.read(arguments)


def test_an_answer_is_held_to_its_limits() -> None:
    """A limit within a union can be asked for to the letter, too."""
    kind: Any = Annotated[int | None, Ge(1)]
    shape = shape_of(kind)
    schema = response_schema_of(shape, kind)
    assert schema.is_strict
    assert read_answer(shape, '{"value": 1}') == 1
    with pytest.raises(MismatchError, match="value must have minimum 1 or must be null"):
        read_answer(shape, '{"value": 0}')
