"""Good and bad answers in every dialect, as bytes, and the steps that send them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dipeo.testing.simulator.faults.entry import EVERYBODY, Dialect, Wording
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, encode_json
from dipeo.testing.simulator.steps import Chunk, Headers, Status, Step, Steps

JSON = "application/json"
HTML = "text/html; charset=utf-8"
SSE = "text/event-stream; charset=utf-8"
NDJSON = "application/x-ndjson"
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"

WORDS = ("One", " two", " three")
TEXT = "".join(WORDS)

CHAT, RESPONSES, ANTHROPIC, GOOGLE, OLLAMA = EVERYBODY

_GOOD_FINISH: Mapping[Dialect, str] = {
    CHAT: "stop",
    RESPONSES: "completed",
    ANTHROPIC: "end_turn",
    GOOGLE: "STOP",
    OLLAMA: "stop",
}


def stream_type(dialect: Dialect) -> str:
    """The content type of a stream."""
    return NDJSON if dialect is OLLAMA else SSE


# --- steps -----------------------------------------------------------------------------------------------------------


def reply(
    body: bytes | JsonValue, *, status: int = 200, content_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Steps:
    """A whole answer."""
    return begin(status, content_type, body if isinstance(body, bytes) else encode_json(body), headers=headers)


def begin(status: int, content_type: str, *chunks: bytes, headers: Mapping[str, str] | None = None) -> Steps:
    """Status, headers, and these bytes; without a length, so that the end is said by HTTP's chunks."""
    fields = {"content-type": content_type, **(headers or {})}
    return (Status(status), Headers(fields), *(Chunk(chunk) for chunk in chunks if chunk))


def streamed(dialect: Dialect, *frames: bytes, then: Sequence[Step] = ()) -> Steps:
    """The frames of a stream, and what comes after them."""
    return (*begin(200, stream_type(dialect), *frames), *then)


def said(wording: Mapping[Dialect, bytes | JsonValue], *, status: int = 200, content_type: str = JSON) -> Wording:
    """A whole answer in each dialect."""
    return {dialect: reply(body, status=status, content_type=content_type) for dialect, body in wording.items()}


def alike(steps: Steps, dialects: Sequence[Dialect] = EVERYBODY) -> Wording:
    """The same steps in each dialect."""
    return dict.fromkeys(dialects, steps)


def each(make: Callable[[Dialect], Steps], dialects: Sequence[Dialect] = EVERYBODY) -> Wording:
    """Steps made for each dialect."""
    return {dialect: make(dialect) for dialect in dialects}


# --- answers ---------------------------------------------------------------------------------------------------------


def whole(dialect: Dialect, text: str = TEXT, *, finish: str = "", usage: JsonObject | None = None) -> JsonObject:
    """A whole answer that says this; the finish is the dialect's own word."""
    finish = finish or _GOOD_FINISH[dialect]
    if dialect is CHAT:
        message: JsonObject = {"role": "assistant", "content": text or None}
        choice: JsonObject = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice], **_usage(usage)}
    if dialect is RESPONSES:
        return _response(text, finish, usage)
    if dialect is ANTHROPIC:
        content: list[JsonValue] = [{"type": "text", "text": text}] if text else []
        return {**_message(content, usage), "stop_reason": finish}
    if dialect is GOOGLE:
        return gemini([{"text": text}] if text else None, finish, usage)
    return {**_line(text), "done": True, "done_reason": finish, **(_OLLAMA_USAGE if usage is None else usage)}


def opening(dialect: Dialect, *, usage: JsonObject | None = None) -> tuple[bytes, ...]:
    """What a stream begins with, before any text. Anthropic counts the input there already."""
    if dialect is CHAT:
        return (chat_chunk({"role": "assistant", "content": ""}),)
    if dialect is RESPONSES:
        return (sse({"type": "response.created", "response": _response("", "in_progress", {})}),)
    if dialect is ANTHROPIC:
        return (
            sse({"type": "message_start", "message": {**_message([], usage), "stop_reason": None}}),
            sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        )
    return ()


def piece(dialect: Dialect, text: str) -> bytes:
    """One piece of text."""
    if dialect is CHAT:
        return chat_chunk({"content": text})
    if dialect is RESPONSES:
        return sse({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text})
    if dialect is ANTHROPIC:
        return sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    if dialect is GOOGLE:
        return sse(gemini([{"text": text}], None, {}))
    return line({**_line(text), "done": False})


def pieces(dialect: Dialect, words: Sequence[str] = WORDS, *, usage: JsonObject | None = None) -> tuple[bytes, ...]:
    """The opening and pieces of text."""
    return (*opening(dialect, usage=usage), *(piece(dialect, word) for word in words))


def closing(
    dialect: Dialect, text: str = TEXT, *, finish: str = "", usage: JsonObject | None = None
) -> tuple[bytes, ...]:
    """What a stream ends with: the finish, the usage, the terminal marker."""
    finish = finish or _GOOD_FINISH[dialect]
    if dialect is CHAT:
        last: JsonObject = {"id": "chatcmpl-1", "model": "m", "choices": [], **_usage(usage)}
        return (chat_chunk({}, finish), sse(last), b"data: [DONE]\n\n")
    if dialect is RESPONSES:
        response = _response(text, finish, usage)
        return (sse({"type": f"response.{response['status']}", "response": response}),)
    if dialect is ANTHROPIC:
        spent: JsonObject = {"output_tokens": 3} if usage is None else usage
        return (
            sse({"type": "content_block_stop", "index": 0}),
            sse({"type": "message_delta", "delta": {"stop_reason": finish}, "usage": spent}),
            sse({"type": "message_stop"}),
        )
    if dialect is GOOGLE:
        return (sse(gemini(None, finish, usage)),)
    return (line(whole(OLLAMA, "", finish=finish, usage=usage)),)


def frames(
    dialect: Dialect, words: Sequence[str] = WORDS, *, finish: str = "", usage: JsonObject | None = None
) -> tuple[bytes, ...]:
    """A whole stream."""
    end = closing(dialect, "".join(words), finish=finish, usage=usage)
    return (*pieces(dialect, words, usage=usage), *end)


def problem(dialect: Dialect, status: int, message: str, code: str = "", **more: JsonValue) -> JsonObject:
    """An error body; `code` is the dialect's own word for what is wrong."""
    if dialect in (CHAT, RESPONSES):
        return {"error": {"message": message, "type": "error", "code": code or None, "param": None, **more}}
    if dialect is ANTHROPIC:
        return {"type": "error", "error": {"type": code or "api_error", "message": message, **more}, "request_id": "r"}
    if dialect is GOOGLE:
        return {"error": {"code": status, "message": message, "status": code or "INTERNAL", **more}}
    return {"error": message, **more}


def sse(value: JsonObject) -> bytes:
    """A server-sent event; one with a type is named after it."""
    kind = value.get("type")
    name = f"event: {kind}\n".encode() if isinstance(kind, str) else b""
    return name + b"data: " + encode_json(value) + b"\n\n"


def line(value: JsonObject) -> bytes:
    """A line of JSON."""
    return encode_json(value) + b"\n"


# --- the shapes of each dialect --------------------------------------------------------------------------------------

_STATES = frozenset({"completed", "in_progress", "failed"})
"""What a response's status can be besides cut short, which is told with a reason."""

_OLLAMA_USAGE: JsonObject = {"prompt_eval_count": 5, "eval_count": 3}


def _usage(usage: JsonObject | None) -> JsonObject:
    """OpenAI's usage; an empty one is left out."""
    if usage is None:
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    return {"usage": usage} if usage else {}


def chat_chunk(delta: JsonObject, finish: str | None = None) -> bytes:
    """A chunk of a chat completion."""
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def _response(text: str, finish: str, usage: JsonObject | None) -> JsonObject:
    if usage is None:
        usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    is_cut = finish not in _STATES
    status = "incomplete" if is_cut else finish
    content: list[JsonValue] = [{"type": "output_text", "text": text, "annotations": []}]
    item: JsonObject = {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}
    output: list[JsonValue] = [item] if text else []
    body: JsonObject = {"id": "resp_1", "object": "response", "model": "m", "status": status, "output": output}
    body["incomplete_details"] = {"reason": finish} if is_cut else None
    return {**body, "usage": usage} if usage else body


def _message(content: Sequence[JsonValue], usage: JsonObject | None) -> JsonObject:
    if usage is None:
        usage = {"input_tokens": 5, "output_tokens": 3}
    body: JsonObject = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [*content]}
    return {**body, "usage": usage} if usage else body


def gemini(parts: Sequence[JsonValue] | None, finish: str | None, usage: JsonObject | None = None) -> JsonObject:
    """An answer of Gemini's, or a chunk of one; without parts it has no content."""
    if usage is None:
        usage = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}
    candidate: dict[str, JsonValue] = {"index": 0}
    if parts is not None:
        candidate["content"] = {"role": "model", "parts": [*parts]}
    if finish is not None:
        candidate["finishReason"] = finish
    body: JsonObject = {"candidates": [candidate], "modelVersion": "m", "responseId": "r1"}
    return {**body, "usageMetadata": usage} if usage else body


def _line(text: str) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": text}
    return {"model": "m", "created_at": "2026-11-18T12:00:00Z", "message": message}
