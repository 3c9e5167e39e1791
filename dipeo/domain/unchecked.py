"""Makes values of what was checked before, in a fraction of the time: for the few that every call makes."""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar, cast

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

    Raises `TypeError` for a class whose fields have converters or validators, or that has more than its own slots.
    """
    values = _names_for(cls)
    parameters: list[str] = []
    lines: list[str] = []
    for each in fields(cast("type", cls)):
        if each.converter is not None or each.validator is not None or not each.init or each.alias != each.name:
            raise TypeError(f"{each.name!r} is more than a plain field: call the class itself.")
        if each.kw_only and "*" not in parameters:
            parameters.append("*")
        parameters.append(each.name if each.default is NOTHING else f"{each.name}=_default_{each.name}")
        lines.append(f"self.{each.name} = {_value_of(each, values)}")
    return cast("Callable[_P, _T]", _generated(cls, parameters, lines, values))


def unchecked_change(cls: Callable[..., _T], *names: str) -> Callable[..., _T]:
    """A function that makes what `attrs.evolve()` makes of a value of the class, without checks, as fast as that.

    It takes the value, and what is new in the fields of these names, in their order. Raises what `unchecked()` raises.
    """
    kept = [each.name for each in fields(cast("type", cls)) if each.name not in names]
    lines = [f"self.{name} = old.{name}" for name in kept] + [f"self.{name} = {name}" for name in names]
    return cast("Callable[..., _T]", _generated(cls, ["old", *names], lines, _names_for(cls)))


def is_frozen(kind: type) -> bool:
    """Whether the fields of the attrs class cannot be set."""
    return "__setattr__" in vars(kind)


def _names_for(cls: Callable[..., object]) -> dict[str, object]:
    """What a generated function needs to make an object; `_twin` is the class itself where that is not frozen."""
    kind = cast("type", cls)
    slots = getattr(kind, "__slots__", ())
    # The interpreter lets an object change to a class of the same slots, if none of them is for weak references.
    if kind.__bases__ != (object,) or not slots or "__weakref__" in slots:
        raise TypeError(f"{kind.__name__} must have slots of its own and no others, and weakref_slot=False.")
    twin = type(f"Unfinished{kind.__name__}", (), {"__slots__": slots}) if is_frozen(kind) else kind
    return {"_new": object.__new__, "_class": kind, "_twin": twin, "_NOTHING": NOTHING}


def _value_of(each: "Attribute[object]", values: dict[str, object]) -> str:
    """The expression that gives the field its value; what it needs is put among the values."""
    factory = getattr(each.default, "factory", None)
    values[f"_default_{each.name}"] = each.default if factory is None else NOTHING
    if factory is None:
        return each.name
    values[f"_make_{each.name}"] = factory
    return f"_make_{each.name}() if {each.name} is _NOTHING else {each.name}"


def _generated(
    cls: Callable[..., object], parameters: list[str], lines: list[str], values: dict[str, object]
) -> object:
    """The function that sets the fields of a new object in these lines."""
    last = [] if values["_twin"] is cls else ["self.__class__ = _class"]
    body = "".join(f"    {line}\n" for line in ("self = _new(_twin)", *lines, *last, "return self"))
    source = f"def new({', '.join(parameters)}):\n{body}"
    exec(compile(source, f"{GENERATED}{cls.__name__}>", "exec"), values)  # noqa: S102  # as attrs makes its methods
    return values["new"]
