"""Reading and checking a chat request of Ollama's own API."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._ollama_models import check_abilities
from dipeo.testing.simulator.dialects._reading import decode_object, is_missing_model
from dipeo.testing.simulator.exchange import Incoming, ParsedCall, refuse
from dipeo.testing.simulator.json_value import (
    JsonObject,
    JsonValue,
    as_count,
    as_list,
    as_object,
    as_text,
    as_texts,
)
from dipeo.testing.simulator.media import decode_base64, sniff_media_type
from dipeo.testing.simulator.request_log import SimulatedMessage
from dipeo.testing.simulator.wishes import Attachment, OfferedTool, ToolAnswer, Wishes

_ROLES = ("system", "user", "assistant", "tool")


def parse_chat(incoming: Incoming) -> ParsedCall:
    """Read the body; a call without messages loads the model, it is not an error."""
    body = read_body(incoming)
    model = as_text(body["model"])
    options = as_object(body.get("options"))
    limit = as_count(options.get("num_predict"))
    messages = _parse_messages(body.get("messages"))
    wishes = _read_wishes(body)
    check_abilities(model, tools=bool(wishes.tools), thinking=wishes.wants_reasoning)
    return ParsedCall(
        incoming=incoming,
        model=model,
        is_stream=body.get("stream") is not False,
        messages=messages,
        body=body,
        # Negative limits mean: no limit, or as far as the context reaches.
        max_output_tokens=limit if limit is not None and limit >= 0 else None,
        stop_sequences=as_texts(options.get("stop")),
        wishes=wishes,
    )


def read_body(incoming: Incoming) -> JsonObject:
    """The JSON object of a request that names a model; raises RefusalError in Ollama's words."""
    if not incoming.body:
        raise refuse(400, "missing request body")
    body = decode_object(incoming.body)
    if body is None:
        raise refuse(400, "invalid character in request body")
    model = as_text(body.get("model"))
    if not model:
        raise refuse(400, "model is required")
    if is_missing_model(model):
        raise refuse(404, f"model '{model}' not found")
    return body


def _parse_messages(messages: JsonValue) -> tuple[SimulatedMessage, ...]:
    parsed = []
    for message in map(as_object, as_list(messages)):
        role = as_text(message.get("role"))
        if role not in _ROLES:
            raise refuse(400, f"invalid role: {role}, must be one of [{', '.join(_ROLES)}]")
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            raise _wrong_type("messages", "string")
        for call in map(as_object, as_list(message.get("tool_calls"))):
            if not isinstance(as_object(call.get("function")).get("arguments", {}), dict):
                raise _wrong_type("messages.tool_calls.function.arguments", "api.ToolCallFunctionArguments")
        name = as_text(message.get("name")) or as_text(message.get("tool_name")) or None
        parsed.append(SimulatedMessage(role=role, name=name, text=content or ""))
    return tuple(parsed)


def _wrong_type(field: str, wanted: str) -> Exception:
    return refuse(400, f"json: cannot unmarshal into Go struct field ChatRequest.{field} of type {wanted}")


def _read_wishes(body: JsonObject) -> Wishes:
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    schema, wants_json = _read_format(body.get("format"))
    return Wishes(
        tools=tuple(map(_read_tool, map(as_object, as_list(body.get("tools"))))),
        results=_read_results(messages),
        schema=schema,
        wants_json=wants_json,
        wants_reasoning=bool(body.get("think")),
        attachments=_read_pictures(messages),
    )


def _read_tool(tool: JsonObject) -> OfferedTool:
    function = as_object(tool.get("function"))
    parameters = as_object(function.get("parameters")) or {"type": "object", "properties": {}}
    return OfferedTool(
        name=as_text(function.get("name")), description=as_text(function.get("description")), parameters=parameters
    )


def _read_format(given: JsonValue) -> tuple[JsonObject | None, bool]:
    if given is None or given == "":
        return None, False
    if given == "json":
        return None, True
    if isinstance(given, dict):
        return given, False
    raise refuse(500, f'invalid format: "{given}"; expected "json" or a valid JSON Schema object')


def _read_results(messages: list[JsonObject]) -> tuple[ToolAnswer, ...]:
    found: list[ToolAnswer] = []
    names: list[str] = []
    for message in messages:
        if message.get("role") == "user":
            found = []
        for call in map(as_object, as_list(message.get("tool_calls"))):
            names.append(as_text(as_object(call.get("function")).get("name")))
        if message.get("role") == "tool":
            # Results without a name follow the order of the calls.
            called = names.pop(0) if names else ""
            found.append(
                ToolAnswer(name=as_text(message.get("tool_name")) or called, text=as_text(message.get("content")))
            )
    return tuple(found)


def _read_pictures(messages: list[JsonObject]) -> tuple[Attachment, ...]:
    last: tuple[Attachment, ...] = ()
    for message in messages:
        found = tuple(_read_picture(as_text(image)) for image in as_list(message.get("images")))
        if message.get("role") == "user":
            last = found
    return last


def _read_picture(text: str) -> Attachment:
    content = decode_base64(text)
    if content is None:
        raise refuse(400, "illegal base64 data at input byte 0")
    media_type = sniff_media_type(content) or "image"
    if not media_type.startswith("image"):
        raise refuse(500, "Failed to create new sequence: failed to process inputs: image: unknown format")
    return Attachment(kind="image", media_type=media_type, size_bytes=len(content))
