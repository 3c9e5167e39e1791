"""Values are checked against a JSON schema to the letter, and schemas that cannot be checked are refused."""

import pytest

from dipeo.application.shapes.closing import closed
from dipeo.application.shapes.json_schema import check_schema, check_value
from dipeo.application.shapes.shape import MismatchError
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue

TREE: JsonObject = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name"],
    "additionalProperties": False,
}

FITTING: list[tuple[JsonObject, JsonValue]] = [
    ({}, None),
    ({"type": "integer"}, 3),
    ({"type": "integer"}, 3.0),
    ({"type": ["string", "null"]}, None),
    ({"enum": [1, "a", None]}, 1.0),
    ({"const": [1, {"a": 2}]}, [1, {"a": 2}]),
    ({"minimum": 1, "exclusiveMaximum": 2, "multipleOf": 0.1}, 1.3),
    ({"minLength": 2, "maxLength": 3, "pattern": "^a"}, "ab"),
    ({"minLength": 2}, 1),
    ({"minItems": 1, "maxItems": 2, "uniqueItems": True}, [1, True]),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1, 2]),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
    ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 3),
    ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2),
    ({"not": {"type": "string"}}, 2),
    ({"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False}, {"x-a": 1}),
    ({"propertyNames": {"maxLength": 2}, "minProperties": 1}, {"ab": 1}),
    (TREE, {"name": "a", "children": [{"name": "b"}]}),
    ({"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}, {"a": 1}),
]
OTHERS: list[tuple[JsonObject, JsonValue, str]] = [
    ({"type": "integer"}, True, "must be an integer, not a boolean"),
    ({"type": "number"}, "1", "must be a number, not a string"),
    ({"type": "integer"}, 1.5, "must be an integer"),
    ({"enum": [1]}, True, "must be one of 1"),
    ({"const": 0}, False, "must be 0"),
    ({"minimum": 1}, 0, "minimum 1"),
    ({"multipleOf": 2}, 10**400 + 1, "multipleOf 2"),
    ({"multipleOf": 0.5}, 10**400, "multipleOf 0.5"),
    ({"pattern": "^a"}, "ba", "pattern"),
    ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], "uniqueItems"),
    ({"prefixItems": [{}], "items": False}, [1, 2], r"\[1\] is not allowed"),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "must be a string, not an integer or must be null"),
    ({"oneOf": [{"type": "integer"}, {"minimum": 1}]}, 3, "only one"),
    ({"not": {"type": "string"}}, "a", "not allowed"),
    ({"propertyNames": {"maxLength": 2}}, {"abc": 1}, "abc is no name"),
    (TREE, {"name": "a", "children": [{"nam": "b"}]}, r"children\[0\].name is missing; children\[0\].nam is not known"),
    ({"properties": {"a": False}}, {"a": 1}, "a is not allowed"),
]


@pytest.mark.parametrize(("schema", "value"), FITTING)
def test_what_fits_is_taken(schema: JsonObject, value: JsonValue) -> None:
    """Every keyword lets through what it allows, and what it does not speak of."""
    check_schema(schema, field="schema")
    check_value(schema, value)


@pytest.mark.parametrize(("schema", "value", "words"), OTHERS)
def test_what_does_not_fit_is_refused(schema: JsonObject, value: JsonValue, words: str) -> None:
    """The refusal says where and why; true is not 1, and a text is no number."""
    with pytest.raises(MismatchError, match=words):
        check_value(schema, value)


def test_all_that_is_wrong_is_told_up_to_a_bound() -> None:
    """Many problems are told at once, though not thousands."""
    schema: JsonObject = {"type": "array", "items": {"type": "string"}}
    with pytest.raises(MismatchError) as caught:
        check_value(schema, list(range(1000)))
    assert len(caught.value.problems) == 20


def test_a_value_deeper_than_any_schema_is_refused() -> None:
    """A schema that refers to itself does not make the check run out of stack."""
    value: JsonValue = {"name": "x"}
    for _ in range(500):
        value = {"name": "x", "children": [value]}
    with pytest.raises(MismatchError, match="nested too deep"):
        check_value(TREE, value)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object", "if": {}}, "uses 'if'"),
        ({"properties": {"a": {"contains": {}}}}, r"schema.properties.a uses 'contains'"),
        ({"type": "text"}, "type 'text'"),
        ({"pattern": "("}, "pattern that cannot be read"),
        ({"$ref": "#/$defs/nothing"}, "is not in the schema"),
        ({"$ref": "https://example.org/schema"}, "is not in the schema"),
        ({"minimum": "a"}, "no 'minimum' that can be checked"),
        ({"multipleOf": 0}, "no 'multipleOf' that can be checked"),
        ({"required": "name"}, "no 'required' that can be checked"),
        ({"items": [{"type": "integer"}]}, "no 'items' that can be checked"),
        ({"properties": {"a": {"minLength": None}}}, "no 'minLength' that can be checked"),
    ],
)
def test_schemas_that_cannot_be_checked_are_refused(schema: JsonObject, words: str) -> None:
    """A schema is kept in full or not taken at all."""
    with pytest.raises(ValidationError, match=words) as caught:
        check_schema(schema, field="schema")
    assert caught.value.field == "schema"


def test_a_schema_is_closed_by_requiring_everything() -> None:
    """Defaults go, every property is required, and nothing else is allowed, on every level."""
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "default": 3},
            "default": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}},
        },
    }
    assert closed(schema) == {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "default": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"c": {"type": "string"}},
                    "required": ["c"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["a", "default"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"type": "object", "properties": {"anything": {}}},
        {"oneOf": [{"type": "string"}]},
    ],
)
def test_open_schemas_cannot_be_closed(schema: JsonObject) -> None:
    """What leaves something open, or says what providers do not take, is not closed."""
    assert closed(schema) is None
