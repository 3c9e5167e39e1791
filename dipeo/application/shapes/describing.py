"""Makes shapes of Python types."""

import types
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
    Set,
)
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

from attrs import evolve

from dipeo.application.shapes.classes import class_fields, is_model_class, is_object_class, made, model_built
from dipeo.application.shapes.definitions import Definitions
from dipeo.application.shapes.effort import bounded_work, take_step
from dipeo.application.shapes.json_schema import are_equal, check_schema, check_value, is_array, is_number
from dipeo.application.shapes.limits import Limit, description_in, kinds_in, limited, limits_in, unfit, with_words
from dipeo.application.shapes.shape import (
    Build,
    Described,
    Member,
    MismatchError,
    Problem,
    Shape,
    arguments_of,
    kind_of,
    object_schema,
)
from dipeo.domain.checks import check_json_object
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue

T = TypeVar("T")

_MAX_DEPTH: Final = 40
_WRAPPED: Final = "value"
_SEQUENCES: Final[Mapping[object, Callable[[list[object]], object]]] = {
    list: list, Sequence: list, MutableSequence: list, Iterable: list, Collection: list,
    set: set, Set: set, frozenset: frozenset,
}  # fmt: skip
_SETS: Final = (set, Set, frozenset)
_UNIONS: Final = (Union, types.UnionType)
_MAPPINGS: Final = (dict, Mapping, MutableMapping)


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        # It would pass every check that compares it, or raise there.
        raise ValueError(text)
    return number


_DECIMAL_WORDS: Final = "A decimal number."
_PARSED: Final[Mapping[type, tuple[JsonObject, Callable[[str], object]]]] = {
    datetime: ({"type": "string", "format": "date-time"}, datetime.fromisoformat),
    date: ({"type": "string", "format": "date"}, date.fromisoformat),
    time: ({"type": "string", "format": "time"}, time.fromisoformat),
    UUID: ({"type": "string", "format": "uuid"}, UUID),
    Decimal: ({"type": "string"}, _decimal),
}


def shape_of(kind: type[T]) -> Shape[T]:
    """The shape of a type: its JSON schema is always that of an object.

    Takes pydantic models, attrs classes, dataclasses, `TypedDict`s, and what they are made of: `str int float bool
    None`, lists, tuples, sets, dictionaries, `Literal`, enums, unions, dates and times, `UUID`, `Decimal`, `Annotated`.
    What is no object becomes the only member of one. Raises `ValidationError` naming what cannot be described.
    """
    describer = Describer()
    described = describer.describe(kind, where="answer")
    schema = describer.definitions.complete(described.schema)
    build = described.build
    if schema.get("type") != "object":
        member = Member(json_name=_WRAPPED, argument=_WRAPPED, schema=described.schema, build=build, is_required=True)
        schema = describer.definitions.complete(object_schema({_WRAPPED: member}))
        return Shape(schema, lambda value: cast(T, arguments_of({_WRAPPED: member}, value)[_WRAPPED]), _WRAPPED)
    return Shape(schema, cast(Callable[[JsonValue], T], build))


def shape_of_schema(schema: JsonObject) -> Shape[JsonValue]:
    """The shape that a JSON schema of an object says; values stay JSON.

    Raises `ValidationError` for a schema that is not of an object, or that cannot be checked in full.
    """
    checked = check_json_object("shape", schema)
    if checked.get("type") != "object":
        raise ValidationError("The schema of an answer must be of type 'object'.", field="shape")
    check_schema(checked, field="shape")

    def build(value: JsonValue) -> JsonValue:
        check_value(checked, value)
        return value

    return Shape(checked, build)


class Describer:
    """Describes types one after the other; classes that they share are defined once, in `definitions`."""

    def __init__(self) -> None:
        self.definitions = Definitions()
        self._known: dict[type, Described] = {}
        self._depth = 0

    def describe(self, kind: object, *, where: str) -> Described:
        """The type's schema and builder. Raises `ValidationError`, whose `field` is `where`."""
        with self._deeper(kind, where):
            return self._plain(kind) or self._composed(kind, where) or self._class(kind, where)

    @contextmanager
    def _deeper(self, kind: object, where: str) -> Iterator[None]:
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise _undescribed(kind, where, "it is nested too deep")
            yield
        finally:
            self._depth -= 1

    def _plain(self, kind: object) -> Described | None:
        if kind is None or kind is types.NoneType:
            return Described({"type": "null"}, _checked("null", lambda value: value is None))
        if kind is Any or kind is object:
            return Described({}, lambda value: value)
        if kind is bool:
            return Described({"type": "boolean"}, _checked("a boolean", lambda value: isinstance(value, bool)))
        if kind is int:
            return Described({"type": "integer"}, _whole)
        if kind is float:
            return Described({"type": "number"}, _real)
        if kind is str:
            return Described({"type": "string"}, _checked("a string", lambda value: isinstance(value, str)))
        if isinstance(kind, type) and kind in _PARSED:
            schema, parse = _PARSED[kind]
            described = Described(schema, _parsed(kind.__name__, parse))
            return with_words(described, _DECIMAL_WORDS) if kind is Decimal else described
        return None

    def _composed(self, kind: object, where: str) -> Described | None:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._annotated(arguments[0], arguments[1:], where)[0]
        if origin is Literal:
            return _one_of({value: value for value in arguments}, arguments, kind, where)
        if origin in _UNIONS:
            return _any_of([self.describe(each, where=where) for each in arguments])
        if (named := _named(kind)) is not None:
            return self.describe(named, where=where)
        base = kind if origin is None else origin
        if base is tuple:
            return self._tuple(arguments, where)
        if base in _SEQUENCES:
            return self._sequence(base, arguments, where)
        if base in _MAPPINGS:
            return self._mapping(kind, arguments, where)
        return None

    def _annotated(
        self, kind: object, notes: Sequence[object], where: str, *, outer: Sequence[Limit] = ()
    ) -> tuple[Described, frozenset[int]]:
        """The type with its notes, and which of the outer limits hold for it, too."""
        own = limits_in(notes)
        inner, kept = self._limited(kind, (*outer, *own), where)
        for place, limit in enumerate(own, len(outer)):
            if place not in kept:
                raise unfit(limit, where)
        if (description := description_in(notes)) is not None:
            inner = evolve(inner, schema={**inner.schema, "description": f"{description} {inner.words}".strip()})
        return inner, kept

    def _limited(self, kind: object, limits: Sequence[Limit], where: str) -> tuple[Described, frozenset[int]]:
        """The type, and which of the limits hold for it: of a union, each holds for those that it can hold for."""
        with self._deeper(kind, where):
            while (named := _named(kind)) is not None:
                kind = named
            if get_origin(kind) is Annotated:
                return self._annotated(get_args(kind)[0], get_args(kind)[1:], where, outer=limits)
            if limits and get_origin(kind) in _UNIONS:
                pairs = [self._limited(each, limits, where) for each in get_args(kind)]
                return _any_of([described for described, _ in pairs]), frozenset().union(*(kept for _, kept in pairs))
            inner = self.describe(kind, where=where)
            kinds = kinds_in(self.definitions.named(inner.schema))
            return limited(inner, kind, limits, kinds=kinds, where=where)

    def _sequence(self, base: object, arguments: Sequence[object], where: str) -> Described:
        item = self.describe(arguments[0] if arguments else Any, where=where)
        schema: dict[str, JsonValue] = {"type": "array", "items": item.schema}
        if base in _SETS:
            schema["uniqueItems"] = True
        collect = _SEQUENCES[base]

        def build(value: JsonValue) -> object:
            made = _items(value, [item.build] * len(value) if is_array(value) else [])  # type: ignore[arg-type]
            try:
                collected = collect(made)
            except TypeError:
                raise MismatchError(Problem("holds items that cannot be in a set")) from None
            if base in _SETS and len(made) != len(cast(Collection[object], collected)):
                raise MismatchError(Problem("must not hold an item twice"))
            return collected

        return Described(schema, build)

    def _tuple(self, arguments: Sequence[object], where: str) -> Described:
        if not arguments or (len(arguments) == 2 and arguments[1] is Ellipsis):
            inner = self._sequence(list, arguments[:1], where)
            return evolve(inner, build=lambda value: tuple(cast(list[object], inner.build(value))))
        items = [self.describe(kind, where=where) for kind in arguments if kind != ()]
        count = len(items)
        schema: JsonObject = {
            "type": "array",
            "prefixItems": [item.schema for item in items],
            "items": False,
            "minItems": count,
            "maxItems": count,
        }

        def build(value: JsonValue) -> object:
            if is_array(value) and len(cast(Sequence[JsonValue], value)) != count:
                raise MismatchError(Problem(f"must have {count} items"))
            return tuple(_items(value, [item.build for item in items]))

        return Described(schema, build)

    def _mapping(self, kind: object, arguments: Sequence[object], where: str) -> Described:
        if arguments and arguments[0] is not str:
            raise _undescribed(kind, where, "the keys of a JSON object are text")
        item = self.describe(arguments[1] if arguments else Any, where=where)

        def build(value: JsonValue) -> object:
            if not isinstance(value, Mapping):
                raise MismatchError(Problem(f"must be an object, not {kind_of(value)}"))
            return dict(zip(value, _entries(value, item.build), strict=True))

        return Described({"type": "object", "additionalProperties": item.schema or True}, build)

    def _class(self, kind: object, where: str) -> Described:
        if isinstance(kind, type) and issubclass(kind, Enum):
            members = {member.value: member for member in kind}
            return _one_of(members, list(members), kind, where)
        if isinstance(kind, type) and kind in self._known:
            return self._known[kind]
        if is_model_class(kind):
            schema = self.definitions.adopt(kind.model_json_schema(), name=kind.__name__)
            return Described(schema, lambda value: model_built(kind, value))
        if isinstance(kind, type) and is_object_class(kind):
            return self._object_class(kind, where)
        raise _undescribed(kind, where)

    def _object_class(self, kind: type, where: str) -> Described:
        name = self.definitions.reserve(kind.__name__)
        members: dict[str, Member] = {}
        # Known before its members are: a class may hold others of its own kind.
        self._known[kind] = Described({"$ref": f"#/$defs/{name}"}, lambda value: made(kind, members, value))
        description, fields = class_fields(kind, where=where)
        for each in fields:
            inner = self.describe(each.kind, where=f"{where}.{each.name}")
            members[each.name] = Member(
                json_name=each.name,
                argument=each.name,
                schema=with_notes(inner, each.description, each.default),
                build=inner.build,
                is_required=each.is_required,
            )
        self.definitions.define(name, object_schema(members, description=description))
        return self._known[kind]


def with_notes(inner: Described, description: str, default: object) -> JsonObject:
    """The schema with a description and a default, where there are any that JSON can say."""
    noted = dict(inner.schema)
    if description and noted.get("description", inner.words) == inner.words:
        noted["description"] = f"{description} {inner.words}".strip()
    if isinstance(default, bool | int | float | str) and not isinstance(default, Enum):
        noted["default"] = default
    return noted


def _undescribed(kind: object, where: str, why: str = "") -> ValidationError:
    shown = kind.__name__ if isinstance(kind, type) else str(kind)
    return ValidationError(
        f"{where!r} is of type {shown}, which no JSON schema describes{f': {why}' if why else ''}.",
        field=where,
        suggestion="Use str, int, float, bool, lists, dict[str, ...], Literal, an enum, a TypedDict, a dataclass, an "
        "attrs class or a pydantic model, or give the JSON schema yourself.",
    )


def _any_of(described: Sequence[Described]) -> Described:
    def build(value: JsonValue) -> object:
        mismatches: list[MismatchError] = []
        with bounded_work():
            for each in described:
                take_step()
                try:
                    return each.build(value)
                except MismatchError as mismatch:
                    mismatches.append(mismatch)
        inner = [each for each in mismatches if all(problem.where for problem in each.problems)]
        if inner:
            raise min(inner, key=lambda each: len(each.problems))
        raise MismatchError(Problem(" or ".join(dict.fromkeys(each.problems[0].message for each in mismatches))))

    return Described({"anyOf": [each.schema for each in described]}, build)


def _named(kind: object) -> object | None:
    """What a `NewType`, or a `type X = ...` of newer Pythons, is a name for."""
    if isinstance(kind, NewType):
        return cast(object, kind.__supertype__)
    return cast(object, kind.__value__) if hasattr(kind, "__value__") and not isinstance(kind, type) else None


def _one_of(members: Mapping[Any, object], values: Sequence[Any], kind: object, where: str) -> Described:
    plain = [value.value if isinstance(value, Enum) else value for value in values]
    if not plain or not all(value is None or isinstance(value, bool | int | float | str) for value in plain):
        raise _undescribed(kind, where, "its values are no JSON")

    def build(value: JsonValue) -> object:
        for given, one in zip(plain, values, strict=True):
            if are_equal(given, value):
                return members[one]
        raise MismatchError(Problem(f"must be one of {', '.join(map(repr, plain))}"))

    schema: dict[str, JsonValue] = {"enum": plain}
    kinds = {type(value) for value in plain}
    names = {str: "string", int: "integer", bool: "boolean"}
    if len(kinds) == 1 and (only := kinds.pop()) in names:
        schema = {"type": names[only], "enum": plain}
    return Described(schema, build)


def _checked(wanted: str, test: Callable[[JsonValue], bool]) -> Build:
    def build(value: JsonValue) -> object:
        if not test(value):
            raise MismatchError(Problem(f"must be {wanted}, not {kind_of(value)}"))
        return value

    return build


def _whole(value: JsonValue) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise MismatchError(Problem(f"must be an integer, not {kind_of(value)}"))


def _real(value: JsonValue) -> float:
    if not is_number(value):
        raise MismatchError(Problem(f"must be a number, not {kind_of(value)}"))
    try:
        return float(cast(float, value))
    except OverflowError:
        raise MismatchError(Problem("is too large a number")) from None


def _parsed(name: str, parse: Callable[[str], object]) -> Build:
    def build(value: JsonValue) -> object:
        if not isinstance(value, str):
            raise MismatchError(Problem(f"must be a string, not {kind_of(value)}"))
        try:
            return parse(value)
        except (ValueError, InvalidOperation):
            raise MismatchError(Problem(f"is no {name}")) from None

    return build


def _items(value: JsonValue, builds: Sequence[Build]) -> list[object]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise MismatchError(Problem(f"must be an array, not {kind_of(value)}"))
    return _all_built(enumerate(value), builds)


def _entries(value: Mapping[str, JsonValue], build: Build) -> list[object]:
    return _all_built(value.items(), [build] * len(value))


def _all_built(pairs: Iterable[tuple[str | int, JsonValue]], builds: Sequence[Build]) -> list[object]:
    built: list[object] = []
    problems: list[Problem] = []
    for (step, each), build in zip(pairs, builds, strict=True):
        try:
            built.append(build(each))
        except MismatchError as mismatch:
            problems += mismatch.below(step).problems
    if problems:
        raise MismatchError(*problems)
    return built
