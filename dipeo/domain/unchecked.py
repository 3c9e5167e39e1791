"""Makes values of what was checked before, in a fraction of the time: for the few that every call makes."""

from collections.abc import Callable, Mapping
from typing import Final, ParamSpec, TypeVar, cast

from attrs import NOTHING, Attribute, Factory, fields

_P = ParamSpec("_P")
_T = TypeVar("_T")

GENERATED: Final = "<dipeo generated "
"""How the file names of generated functions begin, in tracebacks and profiles."""

_UNFINISHED: Final[Mapping[str, object]] = {
    "__slots__": (),
    "__init__": object.__init__,
    "__setattr__": object.__setattr__,
    "__delattr__": object.__delattr__,
}
"""What a subclass is made of whose objects begin empty, and can be filled."""

_FACTORY: Final = cast("type", Factory)
"""attrs shows this class as a function to type checkers."""


def unchecked(cls: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function that makes what the attrs class makes, from the same arguments, without `__attrs_post_init__()`.

    It is for values that cannot be wrong where it is called: they were checked when they came in, or are our own.

    A class is called with a dictionary of its named arguments, and a frozen one sets every field by a call of
    `object.__setattr__()`. For twenty fields that takes three times as long as all the rest. Here the fields are set on
    an object of a subclass that adds nothing and is not frozen, and which then becomes one of `cls`.

    What the class takes by name alone may stand in its place too, because the interpreter fills in defaults faster so;
    type checkers hold to the class. Raises `TypeError` for a class that does more than this when it is called.
    """
    values = _names_for(cls)
    # As Python wants it: parameters without a default come first.
    found = sorted(_plain_fields(cls), key=lambda each: (each.default is not NOTHING, each.kw_only))
    required = [each for each in found if each.default is NOTHING]
    if required and required[-1].kw_only and not all(each.kw_only for each in found[len(required) :]):
        raise TypeError(f"{required[-1].name!r} would take another field's place: call the class itself.")
    parameters: list[str] = []
    for each in found:
        if isinstance(each.default, _FACTORY):
            raise TypeError(f"{each.name!r} has a default that is made each time: call the class itself.")
        if each.default is not NOTHING:
            values[f"_default_{each.name}"] = each.default
        parameters.append(each.name if each.default is NOTHING else f"{each.name}=_default_{each.name}")
    lines = [f"self.{each.name} = {each.name}" for each in found]
    return cast("Callable[_P, _T]", _generated(cls, parameters, lines, values))


def unchecked_from(cls: Callable[..., _T], source: Callable[..., object], *names: str) -> Callable[..., _T]:
    """A function that makes an object of the attrs class out of one of the class `source`, without checks.

    It takes that object, and then the fields of these names, in their order. The other fields are the object's, as
    far as that has them, or else the defaults. With the class as its own source it does what `attrs.evolve()` does.

    Raises what `unchecked()` raises, and `TypeError` for a name that is no field's, and for a field that has no value.
    """
    values, found = _names_for(cls), _plain_fields(cls)
    theirs = {each.name for each in fields(cast("type", source))}
    for name in set(names) - {each.name for each in found}:
        raise TypeError(f"{cls.__name__} has no field {name!r}.")
    lines: list[str] = []
    for each in found:
        name, value = each.name, f"_default_{each.name}"
        if name in names:
            value = name
        elif name in theirs:
            value = f"source.{name}"
        elif each.default is NOTHING or isinstance(each.default, _FACTORY):
            raise TypeError(f"{source.__name__} has no {name!r} to give to {cls.__name__}: name it.")
        else:
            values[value] = each.default
        lines.append(f"self.{name} = {value}")
    return cast("Callable[..., _T]", _generated(cls, ["source", *names], lines, values))


def _names_for(cls: Callable[..., object]) -> dict[str, object]:
    """What a generated function needs to make an object."""
    kind = cast("type", cls)
    # The interpreter lets an object change to a class of the same layout, which it sees at once in a subclass without
    # slots of its own.
    return {"_class": kind, "_unfinished": type(f"Unfinished{kind.__name__}", (kind,), dict(_UNFINISHED))}


def _plain_fields(cls: Callable[..., object]) -> "tuple[Attribute[object], ...]":
    """The fields of the class. Raises `TypeError` for a class whose call does more than set its fields."""
    does_more = any(hasattr(cls, name) for name in ("__attrs_pre_init__", "__attrs_init__", "_attrs_cached_hash"))
    if does_more or issubclass(cast("type", cls), BaseException):
        raise TypeError(f"{cls.__name__} does more than set its fields: call the class itself.")
    found: tuple[Attribute[object], ...] = fields(cast("type", cls))
    for each in found:
        if each.converter is not None or each.validator is not None or not each.init or each.alias != each.name:
            raise TypeError(f"{each.name!r} is more than a plain field: call the class itself.")
    return found


def _generated(
    cls: Callable[..., object], parameters: list[str], lines: list[str], values: dict[str, object]
) -> object:
    """The function that sets the fields of a new object in these lines."""
    body = "".join(
        f"    {line}\n" for line in ("self = _unfinished()", *lines, "self.__class__ = _class", "return self")
    )
    source = f"def new({', '.join(parameters)}):\n{body}"
    exec(compile(source, f"{GENERATED}{cls.__name__}>", "exec"), values)  # noqa: S102  # as attrs makes its methods
    return values["new"]
