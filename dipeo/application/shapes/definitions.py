"""The classes that a schema names: defined once where several places need them, written in place where one does."""

from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.json_value import JsonObject, JsonValue

_PREFIX: Final = "#/$defs/"


class Definitions:
    """Collects schemas of classes by name; `complete()` gives a schema that holds all it refers to."""

    def __init__(self) -> None:
        self._schemas: dict[str, JsonObject] = {}

    def reserve(self, name: str) -> str:
        """A name that no other class has, for one whose schema follows."""
        free = name
        number = 2
        while free in self._schemas:
            free, number = f"{name}_{number}", number + 1
        self._schemas[free] = {}
        return free

    def define(self, name: str, schema: JsonObject) -> None:
        """The schema of a reserved name."""
        self._schemas[name] = schema

    def named(self, schema: JsonObject) -> JsonObject:
        """The schema itself, or the one that it names: for a class that is still being described, of any object."""
        target = _target(schema)
        return schema if target is None else self._schemas[target] or {"type": "object"}

    def adopt(self, schema: JsonObject, *, name: str) -> JsonObject:
        """A schema that brings its own definitions, which are taken over; what is left refers to them."""
        own = schema.get("$defs")
        names: dict[str, str] = {}
        for given, each in own.items() if isinstance(own, Mapping) else ():
            known = self._schemas.get(given)
            names[given] = given if known is not None and known == each else self.reserve(given)
        for given, each in own.items() if isinstance(own, Mapping) else ():
            self.define(names[given], _as_object(_renamed(each, names)))
        rest = _as_object(_renamed({key: value for key, value in schema.items() if key != "$defs"}, names))
        if rest.keys() == {"$ref"}:
            return rest
        ours = self.reserve(name)
        self.define(ours, rest)
        return {"$ref": f"{_PREFIX}{ours}"}

    def complete(self, schema: JsonObject) -> JsonObject:
        """The schema with every definition that it needs.

        What is referred to once is written in its place, and so is the schema itself; what holds itself or is
        referred to more often stays in `$defs`.
        """
        root = schema
        if (target := _target(schema)) is not None:
            root = {**self._schemas[target], **{key: value for key, value in schema.items() if key != "$ref"}}
        uses: dict[str, int] = {}
        self._count(root, uses, above=())
        kept: dict[str, JsonObject] = {}
        whole = _as_object(self._written(root, uses, kept))
        if not kept:
            return whole
        return {**whole, "$defs": dict(sorted(kept.items()))}

    def _count(self, value: JsonValue, uses: dict[str, int], above: tuple[str, ...]) -> None:
        for name in _references(value):
            is_new = name not in uses
            # One within itself cannot be written in place, however seldom it is named.
            uses[name] = uses.get(name, 0) + (2 if name in above else 1)
            if is_new:
                self._count(self._schemas[name], uses, (*above, name))

    def _written(self, value: JsonValue, uses: Mapping[str, int], kept: dict[str, JsonObject]) -> JsonValue:
        if isinstance(value, Mapping):
            name = _target(value)
            if name is None:
                return {key: self._written(each, uses, kept) for key, each in value.items()}
            rest = {key: each for key, each in value.items() if key != "$ref"}
            if uses[name] == 1:
                return {**_as_object(self._written(self._schemas[name], uses, kept)), **rest}
            if name not in kept:
                kept[name] = {}
                kept[name] = _as_object(self._written(self._schemas[name], uses, kept))
            # Some providers take nothing beside a reference.
            return {"anyOf": [{"$ref": f"{_PREFIX}{name}"}], **rest} if rest else value
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._written(each, uses, kept) for each in value]
        return value


def _target(schema: JsonObject) -> str | None:
    reference = schema.get("$ref")
    return reference.removeprefix(_PREFIX) if isinstance(reference, str) else None


def _references(value: JsonValue) -> list[str]:
    if isinstance(value, Mapping):
        own = [name] if (name := _target(value)) is not None else []
        return own + [name for each in value.values() for name in _references(each)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [name for each in value for name in _references(each)]
    return []


def _renamed(value: JsonValue, names: Mapping[str, str]) -> JsonValue:
    if isinstance(value, Mapping):
        renamed = {key: _renamed(each, names) for key, each in value.items()}
        if (name := _target(value)) is not None:
            renamed["$ref"] = f"{_PREFIX}{names.get(name, name)}"
        return renamed
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_renamed(each, names) for each in value]
    return value


def _as_object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, Mapping) else {}
