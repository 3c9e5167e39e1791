"""Reads a recorded request to chat completions into dipeo's own values."""

import json
from base64 import b64decode
from typing import Any

from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.parts import DocumentPart, ImagePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from dipeo.domain.sampling import NO_SAMPLING, Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.tools import NO_TOOLS, ProviderTool, ResponseSchema, Tooling, ToolSpec, ToolUse


def read_request(body: dict[str, Any], service: LLMService) -> CompletionRequest:
    """The request that a recorded body makes."""
    return CompletionRequest(
        service=service,
        model=body["model"],
        messages=tuple(_message(message, service) for message in body["messages"]),
        sampling=_sampling(body),
        tooling=_tooling(body),
        response_schema=_schema(body.get("response_format")),
    )


def _sampling(body: dict[str, Any]) -> Sampling:
    given = {
        "temperature": body.get("temperature"),
        "seed": body.get("seed"),
        "stop": body.get("stop"),
        "max_tokens": body.get("max_completion_tokens", body.get("max_tokens")),
        "reasoning_effort": body.get("reasoning_effort"),
        "reasoning_budget_tokens": body.get("reasoning", {}).get("max_tokens"),
    }
    return Sampling(**given) if any(value is not None for value in given.values()) else NO_SAMPLING


def _tooling(body: dict[str, Any]) -> Tooling:
    items = body.get("tools", [])
    searches = "web_search_options" in body or {"type": "openrouter:web_search"} in items
    if not items and not searches:
        return NO_TOOLS
    choice = body.get("tool_choice", "auto")
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    words = {"auto": ToolUse.AUTO, "none": ToolUse.NONE, "required": ToolUse.REQUIRED, "any": ToolUse.REQUIRED}
    return Tooling(
        tools=tuple(_tool(item["function"]) for item in items if item["type"] == "function"),
        provider_tools=(ProviderTool.WEB_SEARCH,) if searches else (),
        use=ToolUse.NAMED if named else words[choice],
        named_tool=named,
        is_parallel=body.get("parallel_tool_calls"),
    )


def _tool(function: dict[str, Any]) -> ToolSpec:
    return ToolSpec(
        name=function["name"],
        description=function.get("description", ""),
        parameters=function["parameters"],
        is_strict=function.get("strict", False),
    )


def _schema(form: dict[str, Any] | None) -> ResponseSchema | None:
    if form is None:
        return None
    if form["type"] == "json_object":
        return ResponseSchema(schema=None)
    shape = form["json_schema"]
    return ResponseSchema(schema=shape["schema"], name=shape["name"], is_strict=shape["strict"])


def _message(message: dict[str, Any], service: LLMService) -> ChatMessage:
    if message["role"] == "tool":
        return ChatMessage(Role.TOOL, (ToolResultPart(call_id=message["tool_call_id"], content=message["content"]),))
    thoughts = _thoughts(message, service)
    content = message.get("content")
    said = [_piece(piece, service) for piece in content] if isinstance(content, list) else []
    if isinstance(content, str) and (content or not message.get("tool_calls")):
        said = [TextPart(content)]
    calls = [_call(call) for call in message.get("tool_calls", [])]
    return ChatMessage(Role(message["role"]), (*thoughts, *said, *calls), name=message.get("name"))


def _thoughts(message: dict[str, Any], service: LLMService) -> list[Part]:
    if details := message.get("reasoning_details"):
        return [
            ReasoningPart(text=detail.get("text", ""), vendor=service.value, signature=json.dumps(detail))
            for detail in details
        ]
    thought = message.get("reasoning_content")
    return [ReasoningPart(text=thought, vendor=service.value)] if thought else []


def _call(call: dict[str, Any]) -> ToolCallPart:
    name, text = call["function"]["name"], call["function"]["arguments"]
    try:
        return ToolCallPart(call_id=call["id"], name=name, arguments=json.loads(text))
    except ValueError:
        return ToolCallPart(call_id=call["id"], name=name, arguments={}, broken_arguments=text)


def _piece(piece: dict[str, Any], service: LLMService) -> Part:
    if piece["type"] == "text":
        return TextPart(piece["text"])
    if piece["type"] == "thinking":
        return ReasoningPart(text="".join(each["text"] for each in piece["thinking"]), vendor=service.value)
    if piece["type"] == "file":
        media_type, data = _bytes(piece["file"]["file_data"])
        return DocumentPart(media_type=media_type, data=data, name=piece["file"]["filename"])
    assert piece["type"] == "image_url"
    image = piece["image_url"]
    url = image if isinstance(image, str) else image["url"]
    if not url.startswith("data:"):
        return ImagePart(media_type="image/jpeg", url=url)
    media_type, data = _bytes(url)
    return ImagePart(media_type=media_type, data=data)


def _bytes(url: str) -> tuple[str, bytes]:
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), b64decode(data)
