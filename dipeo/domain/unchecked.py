"""Makes values of what was checked before, in a fraction of the time: for the few that every call makes."""

from collections.abc import Callable
from typing import Final, ParamSpec, Protocol, TypeVar, cast

import attr
from attrs import NOTHING, Attribute, fields

_P = ParamSpec("_P")
_T = TypeVar("_T")

GENERATED: Final = "<dipeo generated "
"""How the file names of generated functions begin, in tracebacks and profiles."""


def unchecked(cls: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function that makes what the attrs class makes, from the same arguments, without `__attrs_post_init__()`.

    It is for values that cannot be wrong where it is called: they were checked when they came in, or are our own.

    A class is called with a dictionary of its named arguments, and a frozen one sets every field by a call of
    `object.__setattr__()`. For twenty fields that takes three times as long as all the rest. Here the fields are set on
    an object of a twin class, which has the same slots and is not frozen, and which then becomes one of `cls`.

    Raises `TypeError` for a class that does more than this when it is called, or that has more than its own slots.
    """
    values = _names_for(cls)
    positional: list[str] = []
    named: list[str] = []
    lines: list[str] = []
    for each in _plain_fields(cls):
        parameter = each.name if each.default is NOTHING else f"{each.name}=_default_{each.name}"
        (named if each.kw_only else positional).append(parameter)
        lines.append(f"self.{each.name} = {_value_of(each, values)}")
    parameters = [*positional, "*", *named] if named else positional
    return cast("Callable[_P, _T]", _generated(cls, parameters, lines, values))


def unchecked_change(cls: Callable[..., _T], *names: str) -> Callable[..., _T]:
    """A function that makes what `attrs.evolve()` makes of a value of the class, without checks, as fast as that.

    It takes the value, and what is new in the fields of these names, in their order. Raises what `unchecked()` raises,
    and `TypeError` for a name that is no field's.
    """
    values, known = _names_for(cls), [each.name for each in _plain_fields(cls)]
    for name in names:
        if name not in known:
            raise TypeError(f"{cls.__name__} has no field {name!r}.")
    lines = [f"self.{name} = {name if name in names else f'old.{name}'}" for name in known]
    return cast("Callable[..., _T]", _generated(cls, ["old", *names], lines, values))


def _names_for(cls: Callable[..., object]) -> dict[str, object]:
    """What a generated function needs to make an object; `_twin` is the class itself where that is not frozen."""
    kind = cast("type", cls)
    slots = getattr(kind, "__slots__", ())
    # The interpreter lets an object change to a class of the same slots, if none of them is for weak references.
    if kind.__bases__ != (object,) or not slots or "__weakref__" in slots:
        raise TypeError(f"{kind.__name__} must have slots of its own and no others, and weakref_slot=False.")
    is_frozen = "__setattr__" in vars(kind)
    twin = type(f"Unfinished{kind.__name__}", (), {"__slots__": slots}) if is_frozen else kind
    return {"_new": object.__new__, "_class": kind, "_twin": twin, "_NOTHING": NOTHING}


def _plain_fields(cls: Callable[..., object]) -> "tuple[Attribute[object], ...]":
    """The fields of the class. Raises `TypeError` where it does more with them than to set and check them."""
    if hasattr(cls, "__attrs_pre_init__"):
        raise TypeError(f"{cls.__name__} does something before its fields are set: call the class itself.")
    found: tuple[Attribute[object], ...] = fields(cast("type", cls))
    for each in found:
        factory = _factory_of(each)
        is_made_of_self = factory is not None and factory.takes_self
        is_plain = each.converter is None and each.validator is None and each.init and each.alias == each.name
        if is_made_of_self or not is_plain:
            raise TypeError(f"{each.name!r} is more than a plain field: call the class itself.")
    return found


def _value_of(each: "Attribute[object]", values: dict[str, object]) -> str:
    """The expression that gives the field its value; what it needs is put among the values."""
    factory = _factory_of(each)
    values[f"_default_{each.name}"] = each.default if factory is None else NOTHING
    if factory is None:
        return each.name
    values[f"_make_{each.name}"] = factory.factory
    return f"_make_{each.name}() if {each.name} is _NOTHING else {each.name}"


class _Factory(Protocol):
    factory: Callable[[], object]
    takes_self: bool


def _factory_of(each: "Attribute[object]") -> _Factory | None:
    # attrs shows its class as a function to type checkers.
    return cast("_Factory", each.default) if isinstance(each.default, cast("type", attr.Factory)) else None


def _generated(
    cls: Callable[..., object], parameters: list[str], lines: list[str], values: dict[str, object]
) -> object:
    """The function that sets the fields of a new object in these lines."""
    last = [] if values["_twin"] is cls else ["self.__class__ = _class"]
    body = "".join(f"    {line}\n" for line in ("self = _new(_twin)", *lines, *last, "return self"))
    source = f"def new({', '.join(parameters)}):\n{body}"
    exec(compile(source, f"{GENERATED}{cls.__name__}>", "exec"), values)  # noqa: S102  # as attrs makes its methods
    return values["new"]
