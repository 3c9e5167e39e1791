"""Made-up values satisfy their schema."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.testing.simulator.schema import Hints, find_violation, make_instance

TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "next", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
SCHEMAS: list[dict[str, Any]] = [
    TREE,
    {},
    {"const": 3},
    {"enum": ["a", None, 2]},
    {"type": ["string", "null"]},
    {"type": "string", "pattern": r"^[A-Z]{3}-\d{4}(x|yz)?$"},
    {"type": "string", "minLength": 30, "maxLength": 31},
    *({"type": "string", "format": name} for name in ("date", "date-time", "time", "email", "uuid", "uri", "ipv4")),
    {"type": "integer", "exclusiveMinimum": 3, "maximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 15},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    {"type": "number", "multipleOf": 0.25, "maximum": -3},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"required": ["a"]}]},
    {"oneOf": [{"type": "string"}, {"type": "object", "required": ["x"], "properties": {"x": {"const": 1}}}]},
    {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}, "required": ["a"]},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_values_satisfy_their_schema(schema: dict[str, Any], seed: int) -> None:
    """Every keyword is kept, and the same chance makes the same value."""
    value = make_instance(schema, random.Random(seed))
    assert find_violation(value, schema) is None
    assert make_instance(schema, random.Random(seed)) == value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, True),
        ({"type": "integer"}, 1.5),
        ({"enum": [1]}, True),
        ({"type": "string", "maxLength": 2}, "abc"),
        ({"type": "string", "format": "date"}, "tomorrow"),
        ({"type": "object", "required": ["a"]}, {}),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, {"b": 1}),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1]),
        ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, 1),
        ({"not": {"type": "null"}}, None),
        ({"if": {"type": "string"}, "then": {"minLength": 3}}, "a"),
        (TREE, {"name": "a", "next": {"name": 1}, "children": []}),
    ],
)
def test_violations_are_found(schema: dict[str, Any], value: Any) -> None:
    """The check is not fooled."""
    assert find_violation(value, schema) is not None


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of plain values."""
    bounds = st.tuples(st.integers(-50, 50), st.integers(0, 50))
    return st.one_of(
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string"}, {"enum": ["x", "y"]}]),
        bounds.map(lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}),
        bounds.map(lambda pair: {"type": "number", "minimum": pair[0], "maximum": pair[0] + pair[1]}),
        st.tuples(st.integers(0, 9), st.integers(0, 9)).map(
            lambda pair: {"type": "string", "minLength": pair[0], "maxLength": sum(pair)}
        ),
    )


def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of values with values in them."""
    properties = st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        st.tuples(inner, st.integers(0, 3), st.integers(0, 2)).map(
            lambda made: {"type": "array", "items": made[0], "minItems": made[1], "maxItems": made[1] + made[2]}
        ),
        properties.map(
            lambda named: {
                "type": "object",
                "properties": named,
                "required": list(named),
                "additionalProperties": False,
            }
        ),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(leaves(), nested, max_leaves=8), st.integers(0, 1000))
def test_any_schema_is_satisfied(schema: dict[str, Any], seed: int) -> None:
    """However schemas are put together, the value fits."""
    assert find_violation(make_instance(schema, random.Random(seed)), schema) is None


def test_hints_are_used_where_they_fit() -> None:
    """Words and numbers of the question become arguments; what does not fit is made up."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "a": {"type": "integer"}, "b": {"type": "integer", "maximum": 9}},
        "required": ["city", "a", "b"],
    }
    hints = Hints(words=("Paris",), numbers=(20.0, 30.0))
    value = make_instance(schema, random.Random(1), hints=hints)
    assert isinstance(value, dict)
    assert (value["city"], value["a"]) == ("Paris", 20)
    assert find_violation(value, schema) is None


def test_endless_schemas_are_given_up() -> None:
    """A schema that nothing finite satisfies is no endless loop."""
    endless: dict[str, Any] = {
        "type": "object",
        "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}},
        "required": ["a", "b"],
    }
    make_instance(endless, random.Random(1))
