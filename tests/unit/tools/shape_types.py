"""Types of every kind that a shape is made of."""

import dataclasses
import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict
from uuid import UUID

import attrs
from pydantic import BaseModel, ConfigDict, Field

UserId = NewType("UserId", int)


class Colour(enum.Enum):
    """Two of many."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """How much."""

    LOW = 1
    HIGH = 2


@dataclasses.dataclass(frozen=True)
class Node:
    """A tree.

    Attributes:
        name: What it is called.
        children: What grows from it.
    """

    name: str
    children: tuple["Node", ...] = ()
    note: str = dataclasses.field(default="", metadata={"description": "A remark."})


@dataclasses.dataclass
class Bare:
    """Nothing to see."""

    a: int
    b: int = 2


@attrs.frozen(kw_only=True)
class Price:
    """What it costs."""

    amount: float = attrs.field(validator=attrs.validators.ge(0))
    currency: Literal["EUR", "USD"] = "EUR"
    _secret: str = attrs.field(default="none", metadata={"description": "Not shown."})
    total: float = attrs.field(init=False, default=0.0)


class Address(TypedDict):
    """Where."""

    street: str
    number: NotRequired[int | None]


class Part(BaseModel):
    """A part of a machine."""

    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = Field(gt=0, description="How many.")
    made_on: date | None = None
    inner: "list[Part]" = Field(default_factory=list)


KINDS: tuple[Any, ...] = (
    str,
    int,
    float,
    bool,
    None,
    str | None,
    int | str | list[int],
    list[str],
    set[int],
    frozenset[Literal["a", "b"]],
    tuple[int, str],
    tuple[float, ...],
    dict[str, int],
    Literal["x", 3, True, None],
    Colour,
    Level,
    UserId,
    Annotated[int, Field(ge=1, le=5), "a grade"],
    Annotated[str, Field(min_length=2, max_length=4)],
    Annotated[list[int], Field(max_length=2)],
    datetime,
    UUID,
    Decimal,
    Node,
    Bare,
    Price,
    Address,
    Part,
    list[Node | Price],
    dict[str, Part],
    list[Address],
)
