"""Values made of what was checked before are the very values that their classes make."""

import copy
import inspect
import pickle
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import define, evolve, exceptions, field, fields, frozen

from dipeo.domain.completion import ChatMessage, FinishReason, Role, new_message
from dipeo.domain.parts import TextPart, new_text
from dipeo.domain.unchecked import GENERATED, unchecked, unchecked_from
from dipeo.domain.usage import Usage, new_usage
from dipeo.infrastructure.llm.drivers.answer import Answer, new_answer
from dipeo.infrastructure.llm.drivers.wire import WireRequest, new_exchange

VALUES: Mapping[Callable[..., Any], tuple[type, Mapping[str, Any]]] = {
    new_text: (TextPart, {"text": "Hello"}),
    new_message: (ChatMessage, {"role": Role.USER, "parts": (TextPart("Hello"),)}),
    new_usage: (Usage, {"input_tokens": 3, "output_tokens": 4}),
    new_exchange: (WireRequest, {"path": "/", "body": {}}),
    new_answer: (
        Answer,
        {"parts": (), "finish_reason": FinishReason.STOP, "raw_finish_reason": "stop", "model": "m"},
    ),
}
OPEN = (new_exchange, new_answer)
"""What lives within one call, and is not frozen."""


class _HasFactory:
    """No default that is made, though it looks like one."""

    factory = int


@pytest.mark.parametrize("new", VALUES, ids=lambda new: VALUES[new][0].__name__)
class TestValues:
    """Each of the functions that make values unchecked."""

    def test_the_value_is_the_one_that_the_class_makes(self, new: Callable[..., Any]) -> None:
        """It is of that class, is equal, looks alike, and has every default."""
        kind, values = VALUES[new]
        made, usual = new(**values), kind(**values)
        assert type(made) is kind
        assert made == usual
        assert repr(made) == repr(usual)
        for each in fields(kind):
            assert getattr(made, each.name) == getattr(usual, each.name)

    def test_it_stays_what_it_is(self, new: Callable[..., Any]) -> None:
        """It cannot be changed, and is the same after it was copied, pickled, or made anew by its class."""
        _, values = VALUES[new]
        made = new(**values)
        assert evolve(made) == made
        if new in OPEN:
            return
        for name in values:
            with pytest.raises(exceptions.FrozenInstanceError):
                setattr(made, name, None)
        assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made

    def test_arguments_are_those_of_the_class(self, new: Callable[..., Any]) -> None:
        """They have the same names, order and defaults; one that is missing or unknown is refused."""
        kind, values = VALUES[new]
        theirs, ours = inspect.signature(kind).parameters.values(), inspect.signature(new).parameters.values()
        assert [(each.name, each.default) for each in ours] == [(each.name, each.default) for each in theirs]
        with pytest.raises(TypeError, match="unexpected keyword argument 'more'"):
            new(**values, more=1)
        for name in values:
            if new is not new_usage:
                with pytest.raises(TypeError, match=f"'{name}'"):
                    new(**{other: value for other, value in values.items() if other != name})


def test_nothing_is_checked() -> None:
    """That is what the class is for."""

    @frozen
    class Even:
        number: int

        def __attrs_post_init__(self) -> None:
            if self.number % 2:
                raise ValueError(self.number)

    assert unchecked(Even)(3).number == 3
    with pytest.raises(ValueError, match="3"):
        Even(3)


def test_any_layout_will_do() -> None:
    """With slots or without, of its own or inherited, frozen or open: what is made is as its class is."""

    @frozen
    class Slotted:
        number: int

    @frozen
    class Derived(Slotted):
        more: str = "more"

    @frozen(slots=False)
    class Loose:
        number: int

    @frozen(weakref_slot=False)
    class Bare:
        number: int

    @define
    class Open:
        number: int

    kinds: tuple[Any, ...] = (Slotted, Derived, Loose, Bare)
    for kind in kinds:
        made = unchecked(kind)(1)
        assert (type(made), made) == (kind, kind(1))
        with pytest.raises(exceptions.FrozenInstanceError):
            made.number = 2
        with pytest.raises(exceptions.FrozenInstanceError):
            del made.number
    gone = unchecked(Slotted)(1)
    seen = weakref.ref(gone)
    del gone
    assert seen() is None
    open_one = unchecked(Open)(1)
    open_one.number = 2
    assert (type(open_one), open_one) == (Open, Open(2))


@frozen(kw_only=True)
class Order:
    """What is asked for, with a default that is made."""

    name: str
    size: int = 1
    wishes: list[str] = field(factory=list)


@frozen(kw_only=True)
class Parcel:
    """What is sent for an order."""

    weight_g: int
    name: str
    wishes: list[str] = field(factory=list)
    stamp: str = "second class"


def test_a_value_is_made_of_another() -> None:
    """What both have is taken over, what is named is given, and the rest is the default."""
    order = Order(name="tea", wishes=["green"])
    parcel = unchecked_from(Parcel, Order, "weight_g")(order, 90)
    assert parcel == Parcel(weight_g=90, name="tea", wishes=["green"])
    assert parcel.wishes is order.wishes
    assert unchecked_from(Parcel, Order, "weight_g", "name")(order, name="mate", weight_g=5).name == "mate"
    with pytest.raises(exceptions.FrozenInstanceError):
        parcel.stamp = "first class"  # type: ignore[misc]


def test_a_value_is_made_of_one_of_its_own_class() -> None:
    """It is new in what was named; the old one stays as it was."""
    kind, values = VALUES[new_usage]
    old = kind(**values)
    changed = unchecked_from(Usage, Usage, "output_tokens", "cached_tokens")(old, 9, 2)
    assert changed == evolve(old, output_tokens=9, cached_tokens=2)
    assert (type(changed), old) == (Usage, kind(**values))


def test_a_field_without_a_value_is_found_when_the_function_is_made() -> None:
    """Nobody has it, it is no constant, or the class does not know it."""
    with pytest.raises(TypeError, match="Order has no 'weight_g' to give to Parcel: name it"):
        unchecked_from(Parcel, Order)
    with pytest.raises(TypeError, match="Usage has no 'name' to give to Order"):
        unchecked_from(Order, Usage, "wishes")
    with pytest.raises(TypeError, match="Usage has no 'wishes' to give to Order"):
        unchecked_from(Order, Usage, "name")
    with pytest.raises(TypeError, match="Parcel has no field 'size'"):
        unchecked_from(Parcel, Order, "weight_g", "size")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'weight_g'"):
        unchecked_from(Parcel, Order, "weight_g")(Order(name="tea"))


def test_the_function_tells_where_it_comes_from() -> None:
    """Tracebacks and profiles show whose it is."""
    assert new_text.__code__.co_filename == f"{GENERATED}TextPart>"


def test_what_cannot_be_made_so_is_refused_at_once() -> None:
    """What a class does beside setting its fields would be passed over."""

    @frozen
    class Converted:
        number: int = field(converter=int)

    @frozen
    class Validated:
        number: int = field(validator=lambda *_: None)

    @frozen
    class Renamed:
        number: int = field(alias="count")

    @frozen
    class Computed:
        number: int = field(init=False, default=1)

    @frozen
    class Prepared:
        number: int

        def __attrs_pre_init__(self) -> None:
            """Would be passed over."""

    @frozen(cache_hash=True)
    class Hashed:
        number: int

    @frozen
    class Own:
        number: int

        def __init__(self, number: int) -> None:
            self.__attrs_init__(number * 2)  # type: ignore[attr-defined]  # mypy knows it where attrs has no init

    @define
    class FailureError(Exception):
        number: int

    @frozen
    class Crossed:
        number: int = 1
        named: int = field(kw_only=True)

    for make in (unchecked, lambda kind: unchecked_from(kind, Usage, "number")):
        plain: tuple[type, ...] = (Converted, Validated, Renamed, Computed)
        for kind in plain:
            with pytest.raises(TypeError, match="'number' is more than a plain field"):
                make(kind)
        for kind in (Prepared, Hashed, Own, FailureError):
            with pytest.raises(TypeError, match=f"{kind.__name__} does more than set its fields"):
                make(kind)
    with pytest.raises(TypeError, match="'named' would take another field's place"):
        unchecked(Crossed)
    with pytest.raises(TypeError, match="'wishes' has a default that is made each time"):
        unchecked(Order)


def test_fields_stand_in_any_order() -> None:
    """One that is named alone may stand before one that is not, as in the class; a default may be anything."""

    @frozen
    class Mixed:
        named: int = field(kw_only=True)
        number: int
        odd: object = field(kw_only=True, default=_HasFactory())

    new = unchecked(Mixed)
    assert new(1, named=2) == Mixed(1, named=2)
    assert new(1, named=2).odd is Mixed(1, named=2).odd
