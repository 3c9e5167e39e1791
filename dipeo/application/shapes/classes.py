"""Looks into classes that describe objects: dataclasses, attrs classes, `TypedDict`s and pydantic models."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NotRequired, Protocol, Required, TypeGuard, get_args, get_origin, get_type_hints

import attrs

from dipeo.application.shapes.docstring import read_docstring
from dipeo.application.shapes.shape import Member, MismatchError, Problem, arguments_of, kind_of
from dipeo.domain.errors import DipeoError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue

_REFUSALS: Final = (ValueError, TypeError, AssertionError, ArithmeticError, LookupError, DipeoError)
"""What a constructor raises for values that it does not take."""

_MAX_SHOWN_CHARS: Final = 300


class ModelClass(Protocol):
    """A pydantic model, as far as it is used here; pydantic itself is not imported."""

    __name__: str

    def model_json_schema(self) -> JsonObject:
        """The JSON schema."""
        ...

    def model_validate_json(self, json_data: str) -> object:
        """The instance that a JSON text describes."""
        ...


@attrs.frozen(kw_only=True)
class ClassField:
    """A field of a class: its name in the constructor and in JSON, and its type."""

    name: str
    kind: object
    is_required: bool
    default: object = None
    description: str = ""


def is_model_class(kind: object) -> TypeGuard[ModelClass]:
    """Whether this is a pydantic model."""
    methods = ("model_json_schema", "model_validate_json")
    return isinstance(kind, type) and all(callable(getattr(kind, name, None)) for name in methods)


def is_object_class(kind: type) -> bool:
    """Whether the class describes an object: a dataclass, an attrs class, or a `TypedDict`."""
    return dataclasses.is_dataclass(kind) or attrs.has(kind) or _is_typed_dict(kind)


def class_fields(kind: type, *, where: str) -> tuple[str, Sequence[ClassField]]:
    """What the class says of itself, and its fields. Raises `ValidationError` for a type that cannot be found."""
    text = kind.__dict__.get("__doc__")
    # dataclasses write the signature where nobody wrote a docstring
    told = read_docstring(None if not isinstance(text, str) or text.startswith(f"{kind.__name__}(") else text)
    try:
        hints = get_type_hints(kind, include_extras=True)
    except (NameError, TypeError) as problem:
        raise ValidationError(
            f"{where!r} is of type {kind.__name__}, whose annotations cannot be resolved: {problem}.",
            field=where,
            suggestion="Define the types it names at the top level of its module.",
        ) from None
    return told.summary, [
        field if field.description else attrs.evolve(field, description=told.parameters.get(field.name, ""))
        for field in _fields(kind, hints)
    ]


def made(kind: type, members: Mapping[str, Member], value: JsonValue) -> object:
    """An instance of the class. Raises `MismatchError`, also for what its own checks refuse."""
    arguments = arguments_of(members, value)
    construct: Callable[..., object] = kind
    try:
        return construct(**arguments)
    except _REFUSALS as refusal:
        raise MismatchError(Problem(f"is refused: {_shown(refusal)}")) from None


def model_built(model: ModelClass, value: JsonValue) -> object:
    """An instance of a pydantic model, checked by its own rules. Raises `MismatchError`."""
    if not isinstance(value, Mapping) and not getattr(model, "__pydantic_root_model__", False):
        raise MismatchError(Problem(f"must be an object, not {kind_of(value)}"))
    try:
        # As JSON, so that a strict model takes dates and the like as text.
        return model.model_validate_json(json.dumps(value))
    except _REFUSALS as refusal:
        raise MismatchError(*_model_problems(refusal)) from None


def _model_problems(refusal: Exception) -> Iterator[Problem]:
    list_errors = getattr(refusal, "errors", None)
    if not callable(list_errors):
        yield Problem(f"is refused: {_shown(refusal)}")
        return
    for error in list_errors(include_url=False, include_context=False, include_input=False):
        problem = Problem(f"is refused: {error['msg']}")
        for step in reversed(error["loc"]):
            problem = problem.below(step)
        yield problem


def _shown(refusal: Exception) -> str:
    text = refusal.message if isinstance(refusal, DipeoError) else str(refusal)
    return (text or type(refusal).__name__)[:_MAX_SHOWN_CHARS]


def _is_typed_dict(kind: type) -> bool:
    return issubclass(kind, dict) and hasattr(kind, "__total__") and hasattr(kind, "__required_keys__")


def _fields(kind: type, hints: Mapping[str, object]) -> Iterator[ClassField]:
    if attrs.has(kind):
        yield from _attrs_fields(kind, hints)
    elif dataclasses.is_dataclass(kind):
        for each in dataclasses.fields(kind):
            if each.init:
                is_required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
                yield ClassField(
                    name=each.name,
                    kind=hints[each.name],
                    is_required=is_required,
                    default=each.default,
                    description=_described(each.metadata),
                )
    else:
        required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
        for name, hint in hints.items():
            inner, is_required = _unwrapped(hint, is_required=name in required)
            yield ClassField(name=name, kind=inner, is_required=is_required)


def _attrs_fields(kind: type[attrs.AttrsInstance], hints: Mapping[str, object]) -> Iterator[ClassField]:
    for attribute in attrs.fields(kind):
        if attribute.init:
            yield ClassField(
                name=attribute.alias or attribute.name,
                kind=hints.get(attribute.name, object),
                is_required=attribute.default is attrs.NOTHING,
                default=attribute.default,
                description=_described(attribute.metadata),
            )


def _unwrapped(hint: object, *, is_required: bool) -> tuple[object, bool]:
    """The type in `Required[...]`, `NotRequired[...]` or `ReadOnly[...]`, and whether the key must be there."""
    origin = get_origin(hint)
    if origin is Required or origin is NotRequired:
        return _unwrapped(get_args(hint)[0], is_required=origin is Required)
    if getattr(origin, "_name", None) == "ReadOnly":
        return _unwrapped(get_args(hint)[0], is_required=is_required)
    return hint, is_required


def _described(metadata: Mapping[object, object]) -> str:
    description = metadata.get("description")
    return description if isinstance(description, str) else ""
