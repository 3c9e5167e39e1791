"""What a model may call, and how it should answer."""

import re
from copy import deepcopy
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from dipeo.domain.checks import check_json_object, check_text
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject

_TOOL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def check_tool_name(field_name: str, name: object) -> str:
    """`name` as every provider takes it: letters, digits, `_` and `-`, no digit or dash in front, at most 64."""
    text = check_text(field_name, name)
    if not _TOOL_NAME.fullmatch(text):
        raise ValidationError(
            f"{field_name!r} must be 1 to 64 of letters, digits, '_' and '-', first a letter or '_', not {text!r}.",
            field=field_name,
        )
    return text


def _as_schema(schema: JsonObject) -> JsonObject:
    return deepcopy(check_json_object("parameters", schema))


@frozen(kw_only=True)
class ToolSpec:
    """A tool that a model may call.

    `parameters` is the JSON schema of its arguments, an object. `is_strict` asks the provider to keep to the schema to
    the letter, where it can; the schema must then list every property as required and allow no others.
    """

    name: str
    description: str = ""
    parameters: JsonObject = field(factory=lambda: {"type": "object", "properties": {}}, converter=_as_schema)
    is_strict: bool = False

    def __attrs_post_init__(self) -> None:
        check_tool_name("name", self.name)
        check_text("description", self.description)
        if self.parameters.get("type") != "object":
            raise ValidationError("'parameters' must be a JSON schema of type 'object'.", field="parameters")


class ProviderTool(StrEnum):
    """A tool that the provider runs itself."""

    WEB_SEARCH = "web_search"
    CODE_EXECUTION = "code_execution"


class ToolUse(StrEnum):
    """Whether the model calls tools: as it likes, not at all, at least one, or the one that is named."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@frozen(kw_only=True)
class Tooling:
    """The tools of one request and how they may be used.

    `named_tool` is the one to call where `use` is `NAMED`. `is_parallel` says whether several calls may come in one
    answer; None leaves that to the provider.
    """

    tools: tuple[ToolSpec, ...] = ()
    provider_tools: tuple[ProviderTool, ...] = ()
    use: ToolUse = ToolUse.AUTO
    named_tool: str | None = None
    is_parallel: bool | None = None

    def __attrs_post_init__(self) -> None:
        names = [tool.name for tool in self.tools]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValidationError(f"Two tools are named {twice!r}.", field="tools")
        if (self.use is ToolUse.NAMED) != (self.named_tool is not None):
            raise ValidationError("A named tool goes with the use 'named', and only with it.", field="tool_choice")
        if self.named_tool is not None and self.named_tool not in names:
            raise ValidationError(f"No tool is named {self.named_tool!r}.", field="tool_choice")
        if self.use is ToolUse.REQUIRED and not names:
            raise ValidationError("A call is required, but there is no tool to call.", field="tool_choice")


NO_TOOLS: Final = Tooling()


class SchemaMode(StrEnum):
    """How an answer of a given shape was asked for: in the provider's own way, as the only tool, or in words."""

    NATIVE = "native"
    TOOL = "tool"
    PROMPT = "prompt"


def _as_answer_schema(schema: JsonObject | None) -> JsonObject | None:
    return None if schema is None else deepcopy(check_json_object("schema", schema))


@frozen(kw_only=True)
class ResponseSchema:
    """The shape that an answer must have: a JSON schema, or any JSON object where `schema` is None.

    `is_strict` asks the provider to keep to it to the letter, where it can.
    """

    schema: JsonObject | None = field(converter=_as_answer_schema)
    name: str = "answer"
    description: str = ""
    is_strict: bool = True

    def __attrs_post_init__(self) -> None:
        check_tool_name("name", self.name)
        check_text("description", self.description)


class PromptCache(StrEnum):
    """How long a provider is asked to remember the beginning of a request; `DEFAULT` asks for nothing."""

    DEFAULT = "default"
    SHORT = "short"
    LONG = "long"


DEFAULT_CACHE: Final = PromptCache.DEFAULT
"""Held by a name of its own: every call compares with it, and looking it up in its class takes as long as a call."""
