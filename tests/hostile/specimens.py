"""Whole answers of five dialects, to be cut and mutated: written by hand here, or recorded.

Each handwritten one has text that is not ASCII, two tool calls with arguments in pieces, and reasoning.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen

from dipeo.domain.json_value import JsonObject
from dipeo.domain.service import LLMService
from tests.recordings import Recording, recordings

Event = Mapping[str, object]

SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"


@frozen(kw_only=True)
class Specimen:
    """An answer as it comes over the wire.

    `last_event` is a piece of the bytes of the event after which nothing is missing: an answer may be reported complete
    once that event's line is there, and no sooner.
    """

    name: str
    service: LLMService
    body: bytes = field(repr=False)
    media_type: str
    last_event: bytes = b""
    is_by_responses: bool = False

    @property
    def whole_at(self) -> int:
        """How many bytes must have come before the answer is whole."""
        end = self.body.index(b"\n", self.body.rindex(self.last_event))
        return end - self.body[:end].endswith(b"\r")

    def __str__(self) -> str:
        return self.name


def sse(events: Sequence[Event], *, named: bool = False, end: str = "") -> bytes:
    """Server-sent events; `named` puts each one's type before it."""
    lines = [
        (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
        for event in events
    ]
    return "".join([*lines, end]).encode()


# --- OpenAI's chat completions ---------------------------------------------------------------------------------------


def _chunk(delta: Event, finish: str | None = None) -> Event:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-5.4-mini",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _called(index: int, arguments: str, **more: object) -> Event:
    function: dict[str, object] = {"arguments": arguments}
    if "name" in more:
        function["name"] = more.pop("name")
    return {"tool_calls": [{"index": index, "type": "function", **more, "function": function}]}


CHAT: Final[Sequence[Event]] = (
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"reasoning_content": "First the ünits, "}),
    _chunk({"reasoning_content": "then the sum."}),
    _chunk({"content": "Grüße, "}),
    _chunk({"content": "周 and 🌍: "}),
    _chunk({"content": "here it is."}),
    _chunk(_called(0, "", id="call_a", name="look_up")),
    _chunk(_called(0, '{"place": "Zü')),
    _chunk(_called(0, 'rich"}')),
    _chunk(_called(1, '{"n": 4.5, "deep": [[1], {"a": null}]}', id="call_b", name="add")),
    _chunk({}, "tool_calls"),
    {
        "id": "chatcmpl-1",
        "model": "gpt-5.4-mini",
        "choices": [],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 34,
            "total_tokens": 46,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 7},
        },
    },
)

# --- OpenAI's responses ----------------------------------------------------------------------------------------------

_THOUGHT: Final[Event] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First the ünits."}],
    "encrypted_content": "gAAAA==",
}
_SAID: Final[Event] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [
        {
            "type": "output_text",
            "text": "Grüße, 周 and 🌍.",
            "annotations": [{"type": "url_citation", "url": "https://a.invalid/x", "title": "A"}],
        }
    ],
}
_ASKED: Final[Event] = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_a",
    "name": "look_up",
    "arguments": '{"place": "Zürich"}',
    "status": "completed",
}
_RESPONSE: Final[Event] = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-5.4",
    "error": None,
    "incomplete_details": None,
}
RESPONSE: Final[Event] = {
    **_RESPONSE,
    "status": "completed",
    "output": [_THOUGHT, _SAID, _ASKED],
    "usage": {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 34,
        "output_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": 46,
    },
}
RESPONSES: Final[Sequence[Event]] = (
    {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**_THOUGHT, "summary": []}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "First the "},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "ünits."},
    {"type": "response.output_item.done", "output_index": 0, "item": _THOUGHT},
    {"type": "response.output_item.added", "output_index": 1, "item": {**_SAID, "content": []}},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Grüße, "},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "周 and 🌍."},
    {"type": "response.output_item.done", "output_index": 1, "item": _SAID},
    {"type": "response.output_item.added", "output_index": 2, "item": {**_ASKED, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"place": "Zü'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": 'rich"}'},
    {"type": "response.output_item.done", "output_index": 2, "item": _ASKED},
    {"type": "response.completed", "response": RESPONSE},
)

# --- Anthropic's messages --------------------------------------------------------------------------------------------


def _opened(index: int, **block: object) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _grown(index: int, **delta: object) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _ended(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


MESSAGES: Final[Sequence[Event]] = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 12, "cache_read_input_tokens": 3, "output_tokens": 1},
        },
    },
    _opened(0, type="thinking", thinking="", signature=""),
    {"type": "ping"},
    _grown(0, type="thinking_delta", thinking="First the ünits."),
    _grown(0, type="signature_delta", signature="EqQB=="),
    _ended(0),
    _opened(1, type="text", text=""),
    _grown(1, type="text_delta", text="Grüße, "),
    _grown(1, type="text_delta", text="周 and 🌍."),
    _ended(1),
    _opened(2, type="tool_use", id="toolu_1", name="look_up", input={}),
    _grown(2, type="input_json_delta", partial_json='{"place": "Zü'),
    _grown(2, type="input_json_delta", partial_json='rich"}'),
    _ended(2),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 34}},
    {"type": "message_stop"},
)

# --- Google's generateContent ----------------------------------------------------------------------------------------


def _candidate(*parts: Event, **more: object) -> Event:
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}],
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r-1",
        "usageMetadata": {"promptTokenCount": 12, "totalTokenCount": 12},
    }


GEMINI: Final[Sequence[Event]] = (
    _candidate({"text": "First the ünits.", "thought": True}),
    _candidate({"text": "Grüße, "}),
    _candidate({"text": "周 and 🌍."}),
    _candidate({"functionCall": {"name": "look_up", "args": {"place": "Zürich"}}, "thoughtSignature": "CikB0e2K"}),
    {
        **_candidate(
            {"functionCall": {"id": "fc_2", "name": "add", "args": {"n": 4.5, "deep": [[1], {"a": None}]}}},
            finishReason="STOP",
            groundingMetadata={
                "webSearchQueries": ["x"],
                "groundingChunks": [{"web": {"uri": "https://a.invalid/x", "title": "A"}}],
                "groundingSupports": [{"segment": {"text": "Grüße"}, "groundingChunkIndices": [0]}],
            },
        ),
        "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 27, "thoughtsTokenCount": 7},
    },
)

# --- Ollama's chat ---------------------------------------------------------------------------------------------------


def _line(*, done: bool = False, **message: object) -> Event:
    said = {"role": "assistant", "content": "", **message}
    return {"model": "qwen3:8b", "created_at": "2026-05-01T10:00:00Z", "message": said, "done": done}


OLLAMA: Final[Sequence[Event]] = (
    _line(thinking="First the ünits."),
    _line(content="Grüße, "),
    _line(content="周 and 🌍."),
    _line(tool_calls=[{"function": {"name": "look_up", "arguments": {"place": "Zürich"}}}]),
    _line(tool_calls=[{"function": {"index": 1, "name": "add", "arguments": {"n": 4.5, "deep": [[1], {"a": None}]}}}]),
    {**_line(done=True), "done_reason": "stop", "total_duration": 5, "prompt_eval_count": 12, "eval_count": 34},
)


OWN_STREAMS: Final[Sequence[Specimen]] = (
    Specimen(
        name="own openai chat",
        service=LLMService.OPENAI,
        body=sse(CHAT, end="data: [DONE]\n\n"),
        media_type=SSE,
        last_event=b"data: [DONE]",
    ),
    Specimen(
        name="own openai responses",
        service=LLMService.OPENAI,
        body=sse(RESPONSES, named=True),
        media_type=SSE,
        last_event=b'data: {"type": "response.completed"',
        is_by_responses=True,
    ),
    Specimen(
        name="own anthropic",
        service=LLMService.ANTHROPIC,
        body=sse(MESSAGES, named=True),
        media_type=SSE,
        last_event=b'data: {"type": "message_stop"',
    ),
    Specimen(
        name="own gemini",
        service=LLMService.GOOGLE,
        body=sse(GEMINI),
        media_type=SSE,
        last_event=b'"finishReason"',
    ),
    Specimen(
        name="own ollama",
        service=LLMService.OLLAMA,
        body="".join(json.dumps(line, ensure_ascii=False) + "\n" for line in OLLAMA).encode(),
        media_type=NDJSON,
        last_event=b'"done": true',
    ),
)


def _as_text(body: JsonObject | Event) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


OWN_ANSWERS: Final[Sequence[Specimen]] = tuple(
    Specimen(name=name, service=service, body=_as_text(body), media_type=JSON, is_by_responses="responses" in name)
    for name, service, body in (
        (
            "openai chat, unary",
            LLMService.OPENAI,
            {
                "id": "chatcmpl-1",
                "model": "gpt-5.4-mini",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "tool_calls",
                        "message": {
                            "role": "assistant",
                            "content": "Grüße, 周.",
                            "reasoning_content": "First the ünits.",
                            "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.invalid"}}],
                            "tool_calls": [
                                {
                                    "id": "call_a",
                                    "type": "function",
                                    "function": {"name": "look_up", "arguments": '{"place": "Zürich"}'},
                                }
                            ],
                        },
                    }
                ],
                "usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46},
            },
        ),
        ("openai responses, unary", LLMService.OPENAI, RESPONSE),
        (
            "anthropic, unary",
            LLMService.ANTHROPIC,
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [
                    {"type": "thinking", "thinking": "First the ünits.", "signature": "EqQB=="},
                    {"type": "text", "text": "Grüße, 周.", "citations": [{"type": "char_location", "cited_text": "x"}]},
                    {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"place": "Zürich"}},
                ],
                "stop_reason": "tool_use",
                "usage": {"input_tokens": 12, "cache_read_input_tokens": 3, "output_tokens": 34},
            },
        ),
        ("gemini, unary", LLMService.GOOGLE, GEMINI[-1]),
        ("gemini text, unary", LLMService.GOOGLE, _candidate({"text": "Grüße, 周."}, finishReason="STOP")),
        ("ollama, unary", LLMService.OLLAMA, {**_line(content="Grüße, 周.", done=True), "done_reason": "stop"}),
    )
)

_SERVICES: Final = {
    "openai": LLMService.OPENAI,
    "anthropic": LLMService.ANTHROPIC,
    "gemini": LLMService.GOOGLE,
    "ollama": LLMService.OLLAMA,
}
_DIALECTS: Final[Mapping[str, tuple[str, bytes]]] = {
    "chat.completions": (SSE, b"data: [DONE]"),
    "responses": (SSE, b'data: {"type":"response.completed"'),
    "messages": (SSE, b'data: {"type":"message_stop"'),
    "streamGenerateContent": (SSE, b'"finishReason"'),
    "ollama.chat": (NDJSON, b'"done":true'),
}


def recorded_streams(*, up_to_bytes: int) -> list[Specimen]:
    """The recorded streams of the five dialects that are no longer than this; none where there are no recordings."""
    found = recordings(*_DIALECTS)
    return [_recorded(each) for each in found if _is_wanted(each) and len(each.body) <= up_to_bytes]


def _is_wanted(recording: Recording) -> bool:
    if not recording.is_stream or recording.status != 200 or recording.provider not in _SERVICES:
        return False
    # Ollama's compatible interface is asked as another service, and is the first dialect again.
    return (recording.provider, recording.endpoint) != ("ollama", "chat.completions")


def _recorded(recording: Recording) -> Specimen:
    media_type, last_event = _DIALECTS[recording.endpoint]
    return Specimen(
        name=recording.id,
        service=_SERVICES[recording.provider],
        body=recording.body,
        media_type=media_type,
        last_event=last_event,
        is_by_responses=recording.endpoint == "responses",
    )
