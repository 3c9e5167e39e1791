"""Between the shape that an answer should have and what is asked for and read."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar, cast, get_origin

from dipeo.application.shapes.closing import closed
from dipeo.application.shapes.describing import shape_of, shape_of_schema
from dipeo.application.shapes.partial_json import json_in
from dipeo.application.shapes.shape import MismatchError, Problem, Shape
from dipeo.domain.checks import check_json_object
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.tools import ResponseSchema

T = TypeVar("T")

Shaped = type[T] | Shape[T] | JsonObject
"""A type, a shape, or the JSON schema of an object."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def as_shape(shaped: Shaped[T]) -> Shape[T]:
    """The shape. Raises `ValidationError` naming what cannot be described or checked."""
    if isinstance(shaped, Shape):
        return shaped
    if isinstance(shaped, Mapping):
        return cast(Shape[T], shape_of_schema(shaped))
    return shape_of(shaped)


def response_schema_of(shape: Shape[T], shaped: Shaped[T]) -> ResponseSchema:
    """What the model is asked for: the schema to the letter where that can be said, else as it is."""
    # The name of a generic type, such as list[int], says nothing.
    name = shaped.__name__ if isinstance(shaped, type) and get_origin(shaped) is None else "answer"
    strict = closed(shape.schema)
    return ResponseSchema(
        schema=shape.schema if strict is None else strict,
        name=name if _NAME.fullmatch(name) else "answer",
        is_strict=strict is not None,
    )


def read_answer(shape: Shape[T], text: str) -> T:
    """The value that the text says. Raises `MismatchError`."""
    try:
        value: JsonValue = json_in(text)
    except ValueError as problem:
        why = "is empty" if not text.strip() else f"is not JSON: {problem}"
        raise MismatchError(Problem(why)) from None
    if isinstance(value, Mapping):
        try:
            check_json_object("answer", value)
        except ValidationError as refusal:
            raise MismatchError(Problem(f"cannot be taken: {refusal.message.rstrip('.')}")) from None
    return shape.build(value)


def reproach(problem: str) -> str:
    """What the model is told when its answer does not fit."""
    return f"Your answer cannot be used: {problem} Answer again with the whole JSON, mended, and with nothing else."
