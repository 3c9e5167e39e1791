"""Asks for an answer of a given shape in the best way that the model takes, and reads it alike whichever it was."""

import json
from typing import Final

from attrs import evolve

from dipeo.domain.completion import ChatMessage, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import Part, TextPart, ToolCallPart
from dipeo.domain.stream import CompletionEvent, TextDelta, ToolCallDelta
from dipeo.domain.tools import ResponseSchema, SchemaMode, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.drivers.answer import Answer

TOOL_DESCRIPTION: Final = "Gives the answer. Call it exactly once, with the whole answer."
SCHEMA_PROMPT: Final = "Answer with one JSON value that fits this JSON schema, and with nothing else:\n{schema}"
ANY_JSON_PROMPT: Final = "Answer with one JSON object, and with nothing else."


def check_tooling(request: CompletionRequest, capabilities: ModelCapabilities) -> None:
    """Raises `UnsupportedParameterError` for tools that the model does not take."""
    tooling = request.tooling
    if tooling.tools and not capabilities.takes_tools:
        raise UnsupportedParameterError(
            f"{request.model} takes no tools.", field="tools", suggestion="Choose a model that calls tools."
        )
    for tool in tooling.provider_tools:
        if tool not in capabilities.provider_tools:
            raise UnsupportedParameterError(
                f"{request.model} has no {tool.value!r} of its provider's.",
                field="provider_tools",
                suggestion="Offer a tool of your own instead.",
            )


def with_schema_asked(
    request: CompletionRequest, schema: ResponseSchema, capabilities: ModelCapabilities
) -> tuple[CompletionRequest, SchemaMode]:
    """The request with the schema asked for as the model takes it: natively, as its only tool, or in words."""
    mode = capabilities.schema_mode
    if mode is SchemaMode.TOOL and not _can_be_tool(request, schema):
        mode = SchemaMode.PROMPT
    if mode is SchemaMode.NATIVE:
        return request, mode
    if mode is SchemaMode.PROMPT:
        return evolve(request, messages=_with_instruction(request, schema), response_schema=None), mode
    tool = ToolSpec(
        name=schema.name,
        description=schema.description or TOOL_DESCRIPTION,
        parameters=schema.schema or {"type": "object"},
        is_strict=schema.is_strict,
    )
    tooling = Tooling(tools=(tool,), use=ToolUse.NAMED, named_tool=tool.name)
    return evolve(request, tooling=tooling, response_schema=None), mode


def _can_be_tool(request: CompletionRequest, schema: ResponseSchema) -> bool:
    return not request.tooling.tools and schema.schema is not None and schema.schema.get("type") == "object"


def _with_instruction(request: CompletionRequest, schema: ResponseSchema) -> tuple[ChatMessage, ...]:
    words = ANY_JSON_PROMPT
    if schema.schema is not None:
        words = SCHEMA_PROMPT.format(schema=json.dumps(schema.schema, ensure_ascii=False))
    if schema.description:
        words = f"{schema.description}\n\n{words}"
    messages = request.messages
    place = next((place for place, each in enumerate(messages) if not each.role.is_instruction), len(messages))
    return (*messages[:place], ChatMessage.from_text(Role.SYSTEM, words), *messages[place:])


def answer_of_tool(answer: Answer, asked: CompletionRequest) -> Answer:
    """The answer whose only tool was the answer itself: its arguments are the text."""
    name = asked.tooling.named_tool
    parts = tuple(_as_text(part) if _is_answer(part, name) else part for part in answer.parts)
    if parts == answer.parts:
        return answer
    finish = FinishReason.STOP if answer.finish_reason is FinishReason.TOOL_CALLS else answer.finish_reason
    return evolve(answer, parts=parts, finish_reason=finish)


def delta_of_tool(event: CompletionEvent, asked: CompletionRequest) -> CompletionEvent:
    """The event with a piece of the answer's arguments read as text."""
    if isinstance(event, ToolCallDelta) and event.name == asked.tooling.named_tool:
        return TextDelta(event.arguments)
    return event


def _is_answer(part: Part, name: str | None) -> bool:
    return isinstance(part, ToolCallPart) and part.name == name


def _as_text(part: Part) -> Part:
    if not isinstance(part, ToolCallPart):
        return part
    return TextPart(part.broken_arguments or json.dumps(dict(part.arguments), ensure_ascii=False))
