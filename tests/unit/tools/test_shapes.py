"""Types and their JSON schemas say the same."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dipeo.application.shapes.describing import shape_of, shape_of_schema
from dipeo.application.shapes.json_schema import check_schema, check_value
from dipeo.application.shapes.shape import MismatchError, Shape
from dipeo.application.tool_result import result_text
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from tests.unit.tools.shape_types import KINDS, Address, Bare, Colour, Node, Part, Price

FORMATS = {
    "date-time": st.datetimes().map(lambda moment: moment.isoformat()),
    "date": st.dates().map(lambda day: day.isoformat()),
    "time": st.times().map(lambda moment: moment.isoformat()),
    "uuid": st.uuids().map(str),
}


def examples(schema: JsonObject, root: JsonObject, depth: int = 4) -> st.SearchStrategy[Any]:
    """Values that fit a schema, of the subset that shapes are made of."""
    schema_any: Any = schema
    if "$ref" in schema:
        name = schema_any["$ref"].removeprefix("#/$defs/")
        definitions: Any = root["$defs"]
        return st.deferred(lambda: examples(definitions[name], root, depth - 1))
    if "anyOf" in schema:
        # Last ones first, so that what holds itself comes to an end.
        return st.one_of([examples(each, root, depth) for each in reversed(schema_any["anyOf"])])
    if "enum" in schema:
        return st.sampled_from(schema_any["enum"])
    kind = schema.get("type")
    if kind == "object":
        return _objects(schema_any, root, depth)
    if kind == "array":
        return _arrays(schema_any, root, depth)
    if kind == "string":
        if schema.get("description") == "A decimal number.":
            return st.decimals(allow_nan=False, allow_infinity=False).map(str)
        return FORMATS.get(
            str(schema.get("format")),
            st.text(min_size=schema_any.get("minLength", 0), max_size=schema_any.get("maxLength", 20)),
        )
    return {
        "integer": st.integers(
            schema_any.get("minimum", schema_any.get("exclusiveMinimum", -10) + 1), schema_any.get("maximum")
        ),
        "number": st.floats(schema_any.get("minimum", 0), allow_nan=False, allow_infinity=False) | st.integers(0),
        "boolean": st.booleans(),
        "null": st.none(),
    }[str(kind)]


def _objects(schema: Any, root: JsonObject, depth: int) -> st.SearchStrategy[Any]:
    properties = schema.get("properties", {})
    required = {name: examples(properties[name], root, depth) for name in schema.get("required", ())}
    optional = {name: examples(each, root, depth) for name, each in properties.items() if name not in required}
    if not properties and isinstance(schema.get("additionalProperties"), dict):
        return st.dictionaries(st.text(max_size=3), examples(schema["additionalProperties"], root, depth), max_size=2)
    return st.fixed_dictionaries(required, optional=optional if depth > 0 else {})


def _arrays(schema: Any, root: JsonObject, depth: int) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*(examples(each, root, depth) for each in schema["prefixItems"])).map(list)
    most = min(schema.get("maxItems", 3), 3 if depth > 0 else 0)
    return st.lists(examples(schema["items"], root, depth), max_size=most, unique=bool(schema.get("uniqueItems")))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(data=st.data())
def test_what_fits_the_schema_can_be_built(kind: Any, data: st.DataObject) -> None:
    """Of every kind of type, examples made from the schema fit it, and become values; these say the same in JSON."""
    shape: Shape[Any] = shape_of(kind)
    check_schema(shape.schema, field="schema")
    given_value = data.draw(examples(shape.schema, shape.schema))
    check_value(shape.schema, given_value)
    built = shape.build(given_value)
    said = json.loads(result_text(built, max_chars=1_000_000)) if not isinstance(built, str) else built
    again = {shape.member: said} if shape.member is not None else said
    # It shows a field that its constructor does not take.
    if "Price" not in str(kind):
        check_value(shape.schema, again)


JUNK: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats(allow_nan=False) | st.sampled_from(["a", "red", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "name", "a", "amount", "street", "count"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "Part" not in str(kind)], ids=str)
@settings(max_examples=50, deadline=None)
@given(value=JUNK)
def test_builder_and_schema_refuse_the_same(kind: Any, value: JsonValue) -> None:
    """What the schema refuses is not built; formats and own checks apart, what is not built the schema refuses."""
    shape: Shape[Any] = shape_of(kind)
    try:
        check_value(shape.schema, value)
    except MismatchError:
        with pytest.raises(MismatchError):
            shape.build(value)
        return
    try:
        shape.build(value)
    except MismatchError as mismatch:
        assert all("is no " in str(each) or "is refused" in str(each) for each in mismatch.problems)  # noqa: PT017  # only where it is raised


def test_a_class_becomes_an_object() -> None:
    """Fields with what is said of them, required ones, and no others; what holds itself is defined once."""
    assert shape_of(Node).schema == {
        "type": "object",
        "description": "A tree.",
        "properties": {
            "name": {"type": "string", "description": "What it is called."},
            "children": {
                "type": "array",
                "items": {"$ref": "#/$defs/Node"},
                "description": "What grows from it.",
            },
            "note": {"type": "string", "description": "A remark.", "default": ""},
        },
        "required": ["name"],
        "additionalProperties": False,
        "$defs": {"Node": shape_of(list[Node]).schema["$defs"]["Node"]},  # type: ignore[index,call-overload]
    }


def test_values_are_instances() -> None:
    """Each kind of class gets its instances, through its own constructor."""
    assert shape_of(Node).build({"name": "a", "children": [{"name": "b"}]}) == Node("a", (Node("b"),))
    assert shape_of(Bare).build({"a": 1.0}) == Bare(1)
    assert shape_of(Price).build({"amount": 2, "secret": "s"}) == Price(amount=2.0, secret="s")
    assert shape_of(Address).build({"street": "High", "number": None}) == {"street": "High", "number": None}
    part = shape_of(Part).build({"count": 1, "made_on": "2026-01-01", "inner": [{"count": 2}]})
    assert isinstance(part, Part)
    assert part.inner[0].count == 2
    assert shape_of(list[Colour]).build({"value": ["red"]}) == [Colour.RED]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Price, {"amount": -1}, "is refused: 'amount' must be >= 0"),
        (Price, {"amount": 1, "total": 2}, "total is not known"),
        (Part, {"count": 0}, "count is refused: Input should be greater than 0"),
        (Part, {"count": "1"}, "count is refused"),
        (Part, {"count": 1, "inner": [{"count": 1, "more": 1}]}, r"inner\[0\].more is refused"),
        (Bare, {"a": True}, "a must be an integer, not a boolean"),
        (Bare, [], "must be an object, not an array"),
        (Node, {"name": 1, "children": [{}]}, r"name must be a string, not an integer; children\[0\].name is missing"),
    ],
)
def test_what_does_not_fit_is_told(kind: Any, value: JsonValue, words: str) -> None:
    """All that is wrong is told with its place, also what the class's own checks say."""
    with pytest.raises(MismatchError, match=words):
        shape_of(kind).build(value)


@pytest.mark.parametrize("kind", [complex, bytes, object(), dict[int, str], list[bytes], type])
def test_what_cannot_be_described_is_named(kind: Any) -> None:
    """The error says which type it is."""
    with pytest.raises(ValidationError, match="which no JSON schema describes"):
        shape_of(kind)


def test_a_schema_is_a_shape_too() -> None:
    """A JSON schema of an object is checked, and its values stay JSON; any other schema is refused."""
    shape = shape_of_schema({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert shape.build({"a": 1}) == {"a": 1}
    with pytest.raises(MismatchError, match="a must be an integer"):
        shape.build({"a": "1"})
    with pytest.raises(ValidationError, match="of type 'object'"):
        shape_of_schema({"type": "array"})
