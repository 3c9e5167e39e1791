"""Tools are made of typed functions, or of a JSON schema and a function."""

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest

from dipeo.application.shapes.shape import MismatchError
from dipeo.application.tool import Tool, tool
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from tests.unit.tools.shape_types import Colour, Node, Part

if TYPE_CHECKING:
    from decimal import Context as Unknown


def weather(
    city: str, days: int = 1, unit: Literal["C", "F"] = "C", note: Annotated[str | None, "for the log"] = None
) -> str:
    """The weather in a city.

    Args:
        city: Its name, in English.
        days: How many days ahead.
    """
    return f"{city} {days} {unit} {note}"


def test_a_function_says_it_all() -> None:
    """Name, description, types, defaults and what is said of each parameter come from the function."""
    made = tool(weather)
    assert (made.name, made.spec.description) == ("weather", "The weather in a city.")
    assert made.spec.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Its name, in English."},
            "days": {"type": "integer", "description": "How many days ahead.", "default": 1},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "for the log"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_a_tool_is_still_its_function() -> None:
    """A decorated function can be called as before."""

    @tool
    def double(number: int) -> int:
        """Twice as much."""
        return 2 * number

    assert isinstance(double, Tool)
    assert double(4) == 8

    @tool(name="triple-it", description="Thrice.", timeout_s=2, needs_approval=True, runs_alone=True)
    async def triple(number: int) -> int:
        return 3 * number

    assert (triple.name, triple.spec.description, triple.timeout_s) == ("triple-it", "Thrice.", 2)
    assert triple.needs_approval
    assert triple.runs_alone
    assert (double.is_async, triple.is_async) == (False, True)


def test_arguments_become_values() -> None:
    """What the model gives arrives as what the annotations say."""

    def paint(colour: Colour, tree: Node, part: Part) -> None: ...

    args, kwargs = tool(paint).read({"colour": "red", "tree": {"name": "a"}, "part": {"count": 2}})
    assert (args, kwargs) == ((), {"colour": Colour.RED, "tree": Node("a"), "part": Part(count=2)})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "city is missing"),
        ({"city": "Rome", "days": "2"}, "days must be an integer, not a string"),
        ({"city": "Rome", "days": True}, "days must be an integer, not a boolean"),
        ({"city": "Rome", "unit": "K"}, "unit must be one of 'C', 'F'"),
        ({"city": "Rome", "__class__": "x"}, "__class__ is not known; known are: city, days, unit, note"),
    ],
)
def test_arguments_must_fit(arguments: dict[str, Any], words: str) -> None:
    """Missing, unknown and mistyped arguments are refused."""
    with pytest.raises(MismatchError, match=words):
        tool(weather).read(arguments)


class Shop:
    """Has methods."""

    def sell(self, item: str, /, *, count: int = 1) -> str:
        """Sells."""
        return item * count

    async def __call__(self, item: str) -> str:
        """Buys."""
        return item


def test_methods_partials_and_callables_are_functions_too() -> None:
    """Everything that can be called with typed arguments can be a tool."""
    sell = tool(Shop().sell)
    assert sell.read({"item": "a"}) == (("a",), {})
    assert sell.spec.parameters["required"] == ["item"]
    assert tool(functools.partial(weather, "Rome"), name="rome").spec.parameters["required"] == []
    buy = tool(Shop(), name="buy")
    assert buy.is_async
    assert buy.spec.description == "Has methods."


def no_annotation(city) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001  # what is tested
def any_number(*cities: str) -> None: ...
def any_name(**cities: str) -> None: ...
def not_json(city: complex) -> None: ...
def not_json_inside(city: dict[str, list[bytes]]) -> None: ...
def not_found(city: "Unknown") -> None: ...
def left_out(city: str = "", /) -> None: ...


@pytest.mark.parametrize(
    "function", [no_annotation, any_number, any_name, not_json, not_json_inside, not_found, left_out]
)
def test_what_cannot_be_described_is_named(function: Callable[..., None]) -> None:
    """The error names the parameter, and says what to do."""
    with pytest.raises(ValidationError, match="cit") as caught:
        tool(function)
    assert caught.value.field in ("city", "cities")
    assert caught.value.suggestion


@pytest.mark.parametrize("annotation", ["no type at all", "functools.nothing"])
def test_annotations_that_cannot_be_read_are_refused(annotation: str) -> None:
    """What Python raises for them does not reach the caller."""

    def odd(city: str) -> None: ...

    odd.__annotations__["city"] = annotation
    with pytest.raises(ValidationError, match="cannot be read"):
        tool(odd)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-Infinity"])
def test_a_decimal_is_a_number(text: str) -> None:
    """What is no number would pass every comparison, or raise in it."""

    def pay(amount: Decimal) -> None: ...

    with pytest.raises(MismatchError, match="amount is no Decimal"):
        tool(pay).read({"amount": text})


def test_a_function_without_a_name_needs_one() -> None:
    """A lambda has no name that a model could call."""
    with pytest.raises(ValidationError, match="'name'"):
        tool(lambda: 1)


def test_a_schema_can_be_given() -> None:
    """With a schema of its own, the function gets plain JSON by name, checked."""
    schema: JsonObject = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    made = tool(lambda **given: given, name="any", parameters=schema)
    assert made.spec.parameters == schema
    assert made.read({"n": 1, "more": [2]}) == ((), {"n": 1, "more": [2]})
    with pytest.raises(MismatchError, match="minimum 1"):
        made.read({"n": 0})
    with pytest.raises(ValidationError, match="uses 'if'"):
        tool(weather, parameters={"type": "object", "if": {}})
    with pytest.raises(ValidationError, match="type 'object'"):
        tool(weather, parameters={"type": "string"})


def test_a_strict_tool_requires_every_argument() -> None:
    """What providers keep to the letter has no defaults."""

    def search(words: list[str], limit: int | None) -> None: ...

    assert tool(search, is_strict=True).spec.is_strict
    with pytest.raises(ValidationError, match="Not every argument") as caught:
        tool(weather, is_strict=True)
    assert caught.value.field == "is_strict"


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), 10**6])
def test_a_time_out_is_a_time(timeout_s: float) -> None:
    """A time-out that is none is refused."""
    with pytest.raises(ValidationError, match="timeout_s"):
        tool(weather, timeout_s=timeout_s)
