"""A shape: the JSON schema of a value, and how the value is made of JSON."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from attrs import evolve, frozen

from dipeo.domain.json_value import JsonObject, JsonValue

T = TypeVar("T")

MAX_PROBLEMS = 20
"""How many problems of one value are told; more would not help who must mend them."""


@frozen
class Problem:
    """What is wrong with a value, and where in it: `items[2].name`, or nothing for the value itself."""

    message: str
    where: str = ""

    def below(self, step: str | int) -> "Problem":
        """The same problem, seen from the value that holds this one under `step`."""
        head = f"[{step}]" if isinstance(step, int) else step
        dot = "." if self.where and not self.where.startswith("[") else ""
        return evolve(self, where=f"{head}{dot}{self.where}")

    def __str__(self) -> str:
        return f"{self.where or 'the value'} {self.message}"


class MismatchError(ValueError):
    """A JSON value does not have the shape; `problems` says all that is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems[:MAX_PROBLEMS]
        super().__init__("; ".join(str(problem) for problem in self.problems) + ".")

    def below(self, step: str | int) -> "MismatchError":
        """The same mismatch, seen from the value that holds this one under `step`."""
        return MismatchError(*(problem.below(step) for problem in self.problems))


@frozen
class Shape(Generic[T]):
    """A JSON schema, and `build`, which makes a value of JSON that has the shape.

    `build` raises `MismatchError` for JSON that has not. Answers are JSON objects: a value that is none is the only
    member of one, which `member` names.
    """

    schema: JsonObject
    build: Callable[[JsonValue], T]
    member: str | None = None


Build = Callable[[JsonValue], object]


@frozen
class Described:
    """A schema and how its value is made; the schema may refer to definitions.

    `words` is the part of its description that says what a value must be.
    """

    schema: JsonObject
    build: Build
    words: str = ""


@frozen(kw_only=True)
class Member:
    """One member of a JSON object: the name in JSON, the name of the argument it becomes, and how it is made."""

    json_name: str
    argument: str
    schema: JsonObject
    build: Build
    is_required: bool


def object_schema(members: Mapping[str, Member], *, description: str = "") -> JsonObject:
    """The schema of an object with these members and no others."""
    schema: dict[str, JsonValue] = {"type": "object"}
    if description:
        schema["description"] = description
    schema["properties"] = {name: member.schema for name, member in members.items()}
    schema["required"] = [name for name, member in members.items() if member.is_required]
    schema["additionalProperties"] = False
    return schema


def arguments_of(members: Mapping[str, Member], value: JsonValue) -> dict[str, object]:
    """The arguments that a JSON object gives. Raises `MismatchError` with all that is wrong."""
    if not isinstance(value, Mapping):
        raise MismatchError(Problem(f"must be an object, not {kind_of(value)}"))
    arguments: dict[str, object] = {}
    problems = [*_unknown(members, value), *_missing(members, value)]
    for name, member in members.items():
        if name in value:
            try:
                arguments[member.argument] = member.build(value[name])
            except MismatchError as mismatch:
                problems += mismatch.below(name).problems
    if problems:
        raise MismatchError(*problems)
    return arguments


def _unknown(members: Mapping[str, Member], value: JsonObject) -> Iterator[Problem]:
    known = ", ".join(members) or "none"
    for name in value:
        if name not in members:
            yield Problem(f"is not known; known are: {known}", str(name)[:100])


def _missing(members: Mapping[str, Member], value: JsonObject) -> Iterator[Problem]:
    for name, member in members.items():
        if member.is_required and name not in value:
            yield Problem("is missing", name)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "an array"
