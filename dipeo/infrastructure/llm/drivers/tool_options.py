"""Reads and checks the options of a call that concern tools, the answer's shape, and the provider's memory."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from dipeo.domain.checks import check_json_object
from dipeo.domain.errors import ValidationError
from dipeo.domain.tools import NO_TOOLS, PromptCache, ProviderTool, ResponseSchema, Tooling, ToolSpec, ToolUse

TOOL_OPTIONS: Final = ("tools", "provider_tools", "tool_choice", "parallel_tool_calls")

_USES: Final = {use.value: use for use in (ToolUse.AUTO, ToolUse.NONE, ToolUse.REQUIRED)}

_Word = TypeVar("_Word", bound=StrEnum)


def read_tooling(given: Mapping[str, object]) -> Tooling:
    """The tools of a call and how they may be used. Raises `ValidationError` naming the option."""
    if all(given.get(name) is None for name in TOOL_OPTIONS):
        return NO_TOOLS
    tools = _items("tools", given.get("tools"))
    for tool in tools:
        if not isinstance(tool, ToolSpec):
            raise ValidationError(
                f"'tools' must hold ToolSpecs, not {type(tool).__name__}.",
                field="tools",
                suggestion="Make one of a function with dipeo.tools.tool(function).spec.",
            )
    choice = given.get("tool_choice")
    if choice is not None and not isinstance(choice, str):
        raise ValidationError("'tool_choice' must be 'auto', 'none', 'required' or a tool's name.", field="tool_choice")
    is_parallel = given.get("parallel_tool_calls")
    if is_parallel is not None and not isinstance(is_parallel, bool):
        raise ValidationError("'parallel_tool_calls' must be True or False.", field="parallel_tool_calls")
    use = ToolUse.AUTO if choice is None else _USES.get(choice, ToolUse.NAMED)
    return Tooling(
        tools=tuple(tool for tool in tools if isinstance(tool, ToolSpec)),
        provider_tools=tuple(
            _word("provider_tools", ProviderTool, name)
            for name in _items("provider_tools", given.get("provider_tools"))
        ),
        use=use,
        named_tool=choice if use is ToolUse.NAMED else None,
        is_parallel=is_parallel,
    )


def read_response_schema(schema: object) -> ResponseSchema | None:
    """The shape of the answer: as it is, or made of a JSON schema."""
    if schema is None or isinstance(schema, ResponseSchema):
        return schema
    if not isinstance(schema, Mapping):
        raise ValidationError(
            f"'response_schema' must be a JSON schema or a ResponseSchema, not {type(schema).__name__}.",
            field="response_schema",
            suggestion="For a class, use dipeo.structured.StructuredOutput.",
        )
    return ResponseSchema(schema=check_json_object("response_schema", schema))


def read_prompt_cache(word: object) -> PromptCache:
    """How long the provider is asked to remember."""
    return PromptCache.DEFAULT if word is None else _word("prompt_cache", PromptCache, word)


def _items(field: str, value: object) -> tuple[object, ...]:
    if value is None:
        return ()
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValidationError(f"{field!r} must be a list.", field=field)
    return tuple(value)


def _word(field: str, kind: type[_Word], word: object) -> _Word:
    try:
        return kind(word)  # type: ignore[arg-type]  # whatever is no such word is refused here
    except ValueError:
        known = ", ".join(kind)
        raise ValidationError(f"{field!r} must be of: {known}; not {word!r}.", field=field) from None
