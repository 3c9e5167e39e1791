"""Answers that call tools, in every dialect; the arguments are what the model wrote, JSON or not."""

from __future__ import annotations

from collections.abc import Sequence

from dipeo.testing.simulator.faults.entry import Dialect
from dipeo.testing.simulator.faults.words import (
    ANTHROPIC,
    CHAT,
    GOOGLE,
    RESPONSES,
    chat_chunk,
    closing,
    gemini,
    line,
    opening,
    sse,
    whole,
)
from dipeo.testing.simulator.json_value import JsonObject, JsonValue

TOOL = "look"


def whole_calls(dialect: Dialect, arguments: Sequence[JsonValue], *, call_id: str = "call_1") -> JsonObject:
    """A whole answer that calls the tool once for each; all calls have the same id."""
    calls = [_call(dialect, each, call_id) for each in arguments]
    body = whole(dialect, "")
    if dialect is CHAT:
        message: JsonObject = {"role": "assistant", "content": None, "tool_calls": [*calls]}
        return {**body, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    if dialect is RESPONSES:
        return {**body, "output": [*calls]}
    if dialect is ANTHROPIC:
        return {**body, "content": [*calls], "stop_reason": "tool_use"}
    if dialect is GOOGLE:
        return gemini([{"functionCall": call} for call in calls], "STOP")
    return {**body, "message": {"role": "assistant", "content": "", "tool_calls": [*calls]}}


def streamed_calls(dialect: Dialect, arguments: Sequence[JsonValue], *, call_id: str = "call_1") -> tuple[bytes, ...]:
    """The same as a stream."""
    body = whole_calls(dialect, arguments, call_id=call_id)
    calls = [_call(dialect, each, call_id) for each in arguments]
    if dialect is CHAT:
        deltas = [chat_chunk({"tool_calls": [{**call, "index": index}]}) for index, call in enumerate(calls)]
        return (*opening(CHAT), *deltas, *closing(CHAT, finish="tool_calls"))
    if dialect is RESPONSES:
        return (*opening(RESPONSES), sse({"type": "response.completed", "response": body}))
    if dialect is ANTHROPIC:
        blocks = [frame for index, call in enumerate(calls) for frame in _block(index, call)]
        return (*opening(ANTHROPIC)[:1], *blocks, *closing(ANTHROPIC, finish="tool_use")[1:])
    return (sse(body),) if dialect is GOOGLE else (line(body),)


def _call(dialect: Dialect, arguments: JsonValue, call_id: str) -> JsonObject:
    if dialect is CHAT:
        return {"id": call_id, "type": "function", "function": {"name": TOOL, "arguments": arguments}}
    if dialect is RESPONSES:
        return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": TOOL, "arguments": arguments}
    if dialect is ANTHROPIC:
        return {"type": "tool_use", "id": call_id, "name": TOOL, "input": arguments}
    if dialect is GOOGLE:
        return {"id": call_id, "name": TOOL, "args": arguments}
    return {"id": call_id, "function": {"name": TOOL, "arguments": arguments}}


def _block(index: int, call: JsonObject) -> tuple[bytes, bytes, bytes]:
    text = call["input"] if isinstance(call["input"], str) else "{}"
    delta: JsonObject = {"type": "input_json_delta", "partial_json": text}
    return (
        sse({"type": "content_block_start", "index": index, "content_block": {**call, "input": {}}}),
        sse({"type": "content_block_delta", "index": index, "delta": delta}),
        sse({"type": "content_block_stop", "index": index}),
    )
