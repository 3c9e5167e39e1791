"""An answer of a given shape is asked for in the best way that the model takes, and read alike whichever it was."""

import json

import pytest

from dipeo.domain.completion import ChatMessage, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import TextPart, ToolCallPart
from dipeo.domain.service import LLMService
from dipeo.domain.stream import TextDelta, ToolCallDelta
from dipeo.domain.tools import (
    NO_TOOLS,
    ProviderTool,
    ResponseSchema,
    SchemaMode,
    Tooling,
    ToolSpec,
    ToolUse,
)
from dipeo.infrastructure.llm.drivers.answer import Answer
from dipeo.infrastructure.llm.drivers.schema_request import (
    answer_of_tool,
    check_tooling,
    delta_of_tool,
    with_schema_asked,
)

SCHEMA: JsonObject = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
ASKED = ResponseSchema(schema=SCHEMA, name="person", description="A person.")


def request(**more: object) -> CompletionRequest:
    messages = (ChatMessage.from_text(Role.SYSTEM, "Be brief."), ChatMessage.from_text(Role.USER, "Who?"))
    return CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, **more)  # type: ignore[arg-type]


def capable(mode: SchemaMode = SchemaMode.NATIVE, **more: object) -> ModelCapabilities:
    return ModelCapabilities(schema_mode=mode, takes_tools=True, **more)  # type: ignore[arg-type]


def test_a_model_that_takes_schemas_is_given_it_as_it_is() -> None:
    """The native way changes nothing about the request."""
    asked = request(response_schema=ASKED)
    assert with_schema_asked(asked, ASKED, capable()) == (asked, SchemaMode.NATIVE)


def test_a_model_with_tools_alone_has_to_call_one() -> None:
    """The schema becomes the arguments of the only tool, which must be called."""
    asked, mode = with_schema_asked(request(response_schema=ASKED), ASKED, capable(SchemaMode.TOOL))
    (tool,) = asked.tooling.tools
    assert mode is SchemaMode.TOOL
    assert (tool.name, tool.description, dict(tool.parameters)) == ("person", "A person.", SCHEMA)
    assert (asked.tooling.use, asked.tooling.named_tool) == (ToolUse.NAMED, "person")
    assert asked.response_schema is None


@pytest.mark.parametrize(
    ("schema", "tooling"),
    [
        (ASKED, Tooling(tools=(ToolSpec(name="look"),))),
        (ResponseSchema(schema={"type": "array"}), NO_TOOLS),
        (ResponseSchema(schema=None), NO_TOOLS),
    ],
    ids=["beside other tools", "no object", "any JSON"],
)
def test_what_cannot_be_a_tool_is_asked_for_in_words(schema: ResponseSchema, tooling: Tooling) -> None:
    """The instruction stands behind those that there are and in front of the conversation."""
    asked, mode = with_schema_asked(request(response_schema=schema, tooling=tooling), schema, capable(SchemaMode.TOOL))
    assert mode is SchemaMode.PROMPT
    assert [message.role for message in asked.messages] == [Role.SYSTEM, Role.SYSTEM, Role.USER]
    assert "JSON" in asked.messages[1].text
    assert asked.tooling is tooling
    assert asked.response_schema is None


def test_words_quote_the_schema_and_its_description() -> None:
    """A model that knows of no schemas is shown this one."""
    asked, mode = with_schema_asked(request(response_schema=ASKED), ASKED, capable(SchemaMode.PROMPT))
    assert mode is SchemaMode.PROMPT
    assert asked.messages[1].text.startswith("A person.")
    assert json.dumps(SCHEMA) in asked.messages[1].text


def test_the_arguments_of_the_answer_are_the_text() -> None:
    """The call that stands for the answer becomes text; broken arguments stay as they came; other calls are left."""
    asked, _ = with_schema_asked(request(response_schema=ASKED), ASKED, capable(SchemaMode.TOOL))
    call = ToolCallPart(call_id="1", name="person", arguments={"age": 3})
    answer = Answer(parts=(call,), finish_reason=FinishReason.TOOL_CALLS, raw_finish_reason="tool_calls", model="m")
    read = answer_of_tool(answer, asked)
    assert (read.parts, read.finish_reason) == ((TextPart('{"age": 3}'),), FinishReason.STOP)
    torn = ToolCallPart(call_id="1", name="person", arguments={}, broken_arguments='{"ag')
    answer = Answer(parts=(torn,), finish_reason=FinishReason.LENGTH, raw_finish_reason="length", model="m")
    read = answer_of_tool(answer, asked)
    assert (read.parts, read.finish_reason) == ((TextPart('{"ag'),), FinishReason.LENGTH)
    text = Answer(parts=(TextPart("No."),), finish_reason=FinishReason.STOP, raw_finish_reason="stop", model="m")
    assert answer_of_tool(text, asked) is text


def test_the_pieces_of_the_answer_are_text_too() -> None:
    """While it streams, the arguments come as text; the pieces of another tool stay what they are."""
    asked, _ = with_schema_asked(request(response_schema=ASKED), ASKED, capable(SchemaMode.TOOL))
    piece = ToolCallDelta(index=0, call_id="1", name="person", arguments='{"a')
    other = ToolCallDelta(index=0, call_id="1", name="look", arguments="{")
    assert delta_of_tool(piece, asked) == TextDelta('{"a')
    assert delta_of_tool(other, asked) is other


def test_tools_that_the_model_does_not_take_are_refused() -> None:
    """The error names the option, whether the tools are ours or the provider's."""
    with pytest.raises(UnsupportedParameterError) as caught:
        check_tooling(request(tooling=Tooling(tools=(ToolSpec(name="look"),))), ModelCapabilities())
    assert caught.value.field == "tools"
    search = Tooling(provider_tools=(ProviderTool.WEB_SEARCH,))
    with pytest.raises(UnsupportedParameterError) as caught:
        check_tooling(request(tooling=search), capable())
    assert caught.value.field == "provider_tools"
    check_tooling(request(tooling=search), capable(provider_tools=frozenset({ProviderTool.WEB_SEARCH})))
