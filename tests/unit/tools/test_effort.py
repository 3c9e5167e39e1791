"""What a model writes cannot keep the event loop busy."""

import time
from dataclasses import dataclass
from typing import Literal

import pytest

from dipeo.application.shapes.describing import shape_of
from dipeo.application.shapes.json_schema import check_value
from dipeo.application.shapes.shape import MismatchError
from dipeo.domain.json_value import JsonValue


@dataclass
class Num:
    kind: Literal["num"]
    value: int


@dataclass
class Neg:
    kind: Literal["neg"]
    of: "Neg | Abs | Num"


@dataclass
class Abs:
    kind: Literal["abs"]
    of: "Neg | Abs | Num"


def nested(levels: int) -> JsonValue:
    value: JsonValue = {"kind": "num", "value": 1}
    for level in range(levels):
        value = {"kind": "neg" if level % 2 else "abs", "of": value}
    return {"kind": "neg", "of": value}


def test_nested_alternatives_are_given_up_in_time() -> None:
    """A value that is nested in thousands of ways is refused after so many steps, valid or not."""
    shape = shape_of(Neg)
    shape.build(nested(5))
    check_value(shape.schema, nested(5))
    began_s = time.process_time()
    with pytest.raises(MismatchError, match="too many ways"):
        shape.build(nested(40))
    with pytest.raises(MismatchError, match=r"too many ways|too deep"):
        check_value(shape.schema, nested(25))
    assert time.process_time() - began_s < 10
