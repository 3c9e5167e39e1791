"""Conversations and tools in Ollama's words.

Source of the shapes: Ollama's API documentation, "Generate a chat completion", and its capabilities pages on tools,
thinking and vision.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import (
    CitationPart,
    ImagePart,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.domain.tools import Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.adapters._whole_calls import known_id, refused_part, sendable_arguments
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.image_detail import encode_detail
from dipeo.infrastructure.llm.drivers.spoken import spoken

VENDOR: Final = "ollama"

_FAILED: Final = "Error: "
"""What stands before the result of a tool that failed: Ollama has no field for it."""


def encode_messages(
    messages: Sequence[ChatMessage], capabilities: ModelCapabilities, adaptations: Adaptations
) -> list[JsonValue]:
    """The messages; each result of a tool is one. Raises `UnsupportedParameterError` naming a part it cannot send."""
    encoder = _MessageEncoder(capabilities, adaptations)
    encoded: list[JsonValue] = []
    for position, message in enumerate(messages):
        only = message.parts[0] if len(message.parts) == 1 else None
        if isinstance(only, TextPart):
            encoded.append({"role": _role_of(message), "content": spoken(message, only.text)})
        else:
            encoded.extend(encoder.encode(message, f"messages[{position}]"))
    return encoded


class _MessageEncoder:
    """Encodes messages that hold more than one text; results are named after the calls in earlier messages."""

    __slots__ = ("_adaptations", "_calls", "_capabilities")

    def __init__(self, capabilities: ModelCapabilities, adaptations: Adaptations) -> None:
        self._capabilities = capabilities
        self._adaptations = adaptations
        self._calls: dict[str, str] = {}

    def encode(self, message: ChatMessage, place: str) -> list[JsonValue]:
        said: dict[str, JsonValue] = {"role": _role_of(message), "content": spoken(message, message.text)}
        images: list[JsonValue] = []
        calls: list[JsonValue] = []
        results: list[JsonValue] = []
        thought = ""
        for index, part in enumerate(message.parts):
            where = f"{place}.content[{index}]"
            if isinstance(part, TextPart | CitationPart):
                continue
            if isinstance(part, ReasoningPart | ProviderToolPart):
                thought += self._thought(part, message.role, where)
            elif isinstance(part, ToolResultPart) and message.role is Role.TOOL:
                results.append(self._result(part))
            elif isinstance(part, ToolCallPart) and message.role is Role.ASSISTANT:
                calls.append(self._call(part, where))
            elif isinstance(part, ImagePart) and message.role in (Role.USER, Role.ASSISTANT):
                images.append(self._image(part, where))
            else:
                raise refused_part(part, where=where, takes=_TAKES.get(message.role, "text"))
        said |= {
            name: value for name, value in (("thinking", thought), ("images", images), ("tool_calls", calls)) if value
        }
        # Text beside results stays a message of its own.
        return results if results and not message.text else [*results, said]

    def _thought(self, part: ReasoningPart | ProviderToolPart, role: Role, where: str) -> str:
        if isinstance(part, ReasoningPart) and part.vendor == VENDOR and role is Role.ASSISTANT:
            return part.text
        self._adaptations.dropped(where, "only the vendor that made it can read it, in a model's own message.")
        return ""

    def _result(self, part: ToolResultPart) -> JsonObject:
        said = {"role": "tool", "content": f"{_FAILED}{part.content}" if part.is_error else part.content}
        if name := self._calls.get(part.call_id):
            said["tool_name"] = name
        if call_id := known_id(part.call_id):
            said["tool_call_id"] = call_id
        return said

    def _call(self, part: ToolCallPart, where: str) -> JsonObject:
        self._calls[part.call_id] = part.name
        if part.signature:
            self._adaptations.dropped(f"{where}.signature", "only the vendor that made it can read it.")
        arguments = sendable_arguments(part, where=where, adaptations=self._adaptations)
        said: dict[str, JsonValue] = {"function": {"name": part.name, "arguments": arguments}}
        if call_id := known_id(part.call_id):
            said["id"] = call_id
        return said

    def _image(self, part: ImagePart, where: str) -> str:
        if not self._capabilities.takes_images:
            raise UnsupportedParameterError(
                f"{where} is a picture, which this model does not see.",
                field=where,
                suggestion="Choose a model that sees.",
            )
        if part.data is None:
            raise UnsupportedParameterError(
                f"{where} is a picture by its address, and Ollama takes pictures as bytes alone.",
                field=where,
                suggestion="Fetch it, and send its bytes as 'data'.",
            )
        encode_detail(part, where, self._adaptations)
        return b64encode(part.data).decode()


_TAKES: Final = {
    Role.USER: "text and pictures",
    Role.ASSISTANT: "text, reasoning and calls",
    Role.TOOL: "the results of tools",
}


def encode_tools(tooling: Tooling, adaptations: Adaptations) -> list[JsonValue]:
    """The tools that are offered; how they are to be used, Ollama cannot be told."""
    tools = tooling.tools
    if not tools or tooling.use is ToolUse.NONE:
        return []
    if tooling.use is ToolUse.NAMED:
        tools = tuple(tool for tool in tools if tool.name == tooling.named_tool)
        reason = "the model is offered this tool alone, but cannot be made to call it."
        adaptations.note("tool_choice", AdaptationAction.SUBSTITUTED, reason)
    elif tooling.use is ToolUse.REQUIRED:
        adaptations.dropped("tool_choice", "the model is offered the tools, but cannot be made to call one.")
    if tooling.is_parallel is False:
        adaptations.dropped("parallel_tool_calls", "Ollama has no switch against several calls in one answer.")
    if any(tool.is_strict for tool in tools):
        adaptations.dropped("tools", "Ollama does not hold a call to its schema.")
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def _function(tool: ToolSpec) -> JsonObject:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _role_of(message: ChatMessage) -> str:
    return "system" if message.role.is_instruction else message.role.value
