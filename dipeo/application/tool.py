"""Tools made of Python functions."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, Generic, ParamSpec, TypeVar, get_type_hints, overload

from attrs import field, frozen

from dipeo.application.shapes.closing import closed
from dipeo.application.shapes.describing import Describer, with_notes
from dipeo.application.shapes.docstring import Docstring, read_docstring
from dipeo.application.shapes.json_schema import check_schema, check_value
from dipeo.application.shapes.shape import Member, arguments_of, object_schema
from dipeo.domain.checks import check_json_object, check_number
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.tools import ToolSpec, check_tool_name

P = ParamSpec("P")
R = TypeVar("R")

MAX_TOOL_TIMEOUT_S: Final = 24 * 3600.0


class ToolError(Exception):
    """Raised by a tool to tell the model what went wrong: the text is passed on as it is.

    Of any other exception the model is told no more than its name.
    """


@frozen(kw_only=True)
class Tool(Generic[P, R]):
    """A function that a model may call: `spec` is what the model is told of it. Called, it is the function itself.

    `timeout_s` bounds one call in seconds; None leaves that to the loop. `needs_approval` keeps it from being run where
    nobody approves. `runs_alone` keeps it from running beside others. `read` makes the function's arguments of the
    model's; it raises `MismatchError`.
    """

    spec: ToolSpec
    function: Callable[P, R]
    read: Callable[[JsonObject], tuple[tuple[object, ...], Mapping[str, object]]] = field(repr=False)
    timeout_s: float | None = None
    needs_approval: bool = False
    runs_alone: bool = False

    def __attrs_post_init__(self) -> None:
        if self.timeout_s is not None:
            check_number("timeout_s", self.timeout_s, minimum=0.001, maximum=MAX_TOOL_TIMEOUT_S)

    @property
    def name(self) -> str:
        """The name that the model calls it by."""
        return self.spec.name

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function; any other runs in a thread of its own."""
        function = inspect.unwrap(self.function)
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


AnyTool = Tool[..., object] | Tool[..., Awaitable[object]]


@overload
def tool(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: JsonObject | None = None,
    is_strict: bool = False,
    timeout_s: float | None = None,
    needs_approval: bool = False,
    runs_alone: bool = False,
) -> Tool[P, R]:
    """A tool made of the function."""


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: JsonObject | None = None,
    is_strict: bool = False,
    timeout_s: float | None = None,
    needs_approval: bool = False,
    runs_alone: bool = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]:
    """A decorator that makes a tool of a function."""


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: JsonObject | None = None,
    is_strict: bool = False,
    timeout_s: float | None = None,
    needs_approval: bool = False,
    runs_alone: bool = False,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """A tool made of a function, sync or async; also a decorator, with arguments or without.

    Name, description and schema come from the function's name, docstring and annotations, unless they are given. With
    `parameters`, a JSON schema of an object, the function gets the members as keyword arguments, as plain JSON.

    Raises `ValidationError` naming the parameter that cannot be described.
    """

    def make(made_of: Callable[P, R]) -> Tool[P, R]:
        told = read_docstring(inspect.getdoc(getattr(made_of, "func", made_of)))
        schema, read = _given(parameters) if parameters is not None else _described(made_of, told)
        if is_strict and closed(schema) != schema:
            raise ValidationError(
                "Not every argument is required, or some are of a kind that cannot be kept to the letter.",
                field="is_strict",
                suggestion="Give no defaults, and use no dict and no set; or leave is_strict out.",
            )
        return Tool(
            spec=ToolSpec(
                name=check_tool_name("name", name or getattr(made_of, "__name__", "")),
                description=told.summary if description is None else description,
                parameters=schema,
                is_strict=is_strict,
            ),
            function=made_of,
            read=read,
            timeout_s=timeout_s,
            needs_approval=needs_approval,
            runs_alone=runs_alone,
        )

    return make if function is None else make(function)


_Read = Callable[[JsonObject], tuple[tuple[object, ...], Mapping[str, object]]]


def _given(parameters: JsonObject) -> tuple[JsonObject, _Read]:
    schema = check_json_object("parameters", parameters)
    check_schema(schema, field="parameters")

    def read(arguments: JsonObject) -> tuple[tuple[object, ...], Mapping[str, object]]:
        check_value(schema, arguments)
        return (), arguments

    return schema, read


def _described(function: Callable[..., object], told: Docstring) -> tuple[JsonObject, _Read]:
    describer = Describer()
    members: dict[str, Member] = {}
    positional: list[str] = []
    for parameter, kind in _parameters(function):
        inner = describer.describe(kind, where=parameter.name)
        default = None if parameter.default is parameter.empty else parameter.default
        members[parameter.name] = Member(
            json_name=parameter.name,
            argument=parameter.name,
            schema=with_notes(inner, told.parameters.get(parameter.name, ""), default),
            build=inner.build,
            is_required=parameter.default is parameter.empty,
        )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(parameter.name)

    def read(arguments: JsonObject) -> tuple[tuple[object, ...], Mapping[str, object]]:
        named = arguments_of(members, arguments)
        return tuple(named.pop(name) for name in positional), named

    return describer.definitions.complete(object_schema(members)), read


def _parameters(function: Callable[..., object]) -> Iterator[tuple[inspect.Parameter, object]]:
    """The function's parameters with their types. Raises `ValidationError` for one that no JSON object can fill."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ValidationError(
            f"{function!r} has no signature that can be read.",
            field="function",
            suggestion="Give the JSON schema of its arguments as parameters=....",
        ) from None
    hints = _hints(function, [*parameters])
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise ValidationError(
                f"'{stars}{parameter.name}' takes any number of arguments, which no JSON schema describes.",
                field=parameter.name,
                suggestion="Take a list or a dict instead, or give the JSON schema as parameters=....",
            )
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is not parameter.empty:
            raise ValidationError(
                f"{parameter.name!r} is positional only and has a default: it cannot be left out by name.",
                field=parameter.name,
                suggestion="Let it be passed by name.",
            )
        if parameter.name not in hints:
            raise ValidationError(
                f"{parameter.name!r} has no annotation, so that its type is not known.",
                field=parameter.name,
                suggestion=f"Annotate it, such as '{parameter.name}: str', or give the JSON schema as parameters=....",
            )
        yield parameter, hints[parameter.name]


def _hints(function: Callable[..., object], parameters: list[inspect.Parameter]) -> Mapping[str, object]:
    annotated = inspect.unwrap(function)
    while hasattr(annotated, "func"):
        annotated = annotated.func
    if not (inspect.isroutine(annotated) or inspect.isclass(annotated)):
        annotated = type(annotated).__call__
    try:
        return get_type_hints(annotated.__init__ if inspect.isclass(annotated) else annotated, include_extras=True)
    except NameError as problem:
        unknown = problem.name or "?"
        named = next((each.name for each in parameters if unknown in str(each.annotation)), "return")
        raise ValidationError(
            f"{named!r} is annotated with {unknown!r}, which cannot be found.",
            field=named,
            suggestion="Import it, or define it, at the top level of the function's module.",
        ) from None
    except (AttributeError, SyntaxError, TypeError) as problem:
        raise ValidationError(
            f"The annotations of {annotated!r} cannot be read: {problem}.",
            field="function",
            suggestion="Give the JSON schema of its arguments as parameters=....",
        ) from None
