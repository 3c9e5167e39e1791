"""What may differ between the services that speak chat completions; the defaults are OpenAI's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from dipeo.testing.simulator.dialects._openai_reply import call_id
from dipeo.testing.simulator.exchange import Answer, AnsweredCall, Incoming, ParsedCall, Problem
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, encode_json

from . import _openai_words


def _openai_usage(answer: Answer) -> JsonObject:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _openai_message(content: str | None) -> JsonObject:
    return {"role": "assistant", "content": content, "refusal": None, "annotations": []}


def _openai_choice(message: JsonObject, finish: str) -> JsonObject:
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}


def _openai_reply(head: JsonObject, choice: JsonObject, usage: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "choices": [choice], "usage": usage, "service_tier": "default", "system_fingerprint": None}


def _openai_chunk(head: JsonObject, choice: JsonObject, _incoming: Incoming) -> JsonObject:
    fields: JsonObject = {"service_tier": "default", "system_fingerprint": None, "choices": [choice], "usage": None}
    return {**head, **fields}


def _openai_finish(
    chunks: list[JsonObject], usage: JsonObject, call: ParsedCall, *, is_asked: bool
) -> list[JsonObject]:
    # Where it was asked for, the usage is one more chunk, without choices.
    if not is_asked:
        return [{key: value for key, value in chunk.items() if key != "usage"} for chunk in chunks]
    return [*chunks, {**chunks[-1], "choices": [], "usage": usage}]


def _openai_headers(incoming: Incoming) -> dict[str, str]:
    return {
        "openai-processing-ms": "42",
        "openai-version": "2020-10-01",
        "x-request-id": f"req_{incoming.hex_token('request', 32)}",
    }


def _openai_limit_headers() -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-limit-tokens": "4000000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-remaining-tokens": "3999900",
        "x-ratelimit-reset-requests": "12ms",
        "x-ratelimit-reset-tokens": "0s",
    }


def _no_extra_checks(_body: JsonObject) -> None:
    return None


def _hidden_reasoning(message: JsonObject, _answer: Answer) -> JsonObject:
    return message


@attrs.frozen(slots=True, kw_only=True)
class Flavour:
    """What sets one OpenAI-compatible service apart; the defaults are OpenAI's own."""

    service: str = "openai"
    owner: str = "openai"
    models: tuple[str, ...] = ("gpt-5.4", "gpt-5-mini", "gpt-5-nano", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini")
    reply_id: Callable[[Incoming], str] = lambda incoming: f"chatcmpl-{incoming.token('reply', 29)}"
    usage: Callable[[Answer], JsonObject] = _openai_usage
    message: Callable[[str | None], JsonObject] = _openai_message
    choice: Callable[[JsonObject, str], JsonObject] = _openai_choice
    reply: Callable[[JsonObject, JsonObject, JsonObject, Incoming], JsonObject] = _openai_reply
    opening_delta: JsonObject = attrs.field(factory=lambda: {"role": "assistant", "content": "", "refusal": None})
    piece_delta: Callable[[str], JsonObject] = lambda text: {"content": text}
    closing_delta: JsonObject = attrs.field(factory=dict)
    delta_choice: Callable[[JsonObject, str | None], JsonObject] = lambda delta, finish: {
        "index": 0,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish,
    }
    chunk: Callable[[JsonObject, JsonObject, Incoming], JsonObject] = _openai_chunk
    finish_chunks: Callable[..., list[JsonObject]] = _openai_finish
    check_body: Callable[[JsonObject], None] = _no_extra_checks
    request_headers: Callable[[Incoming], dict[str, str]] = _openai_headers
    limit_headers: Callable[[], dict[str, str]] = _openai_limit_headers
    error: Callable[[Problem], JsonObject] = _openai_words.openai_error
    missing_key_message: str = _openai_words.MISSING_KEY
    wrong_key_message: Callable[[str], str] = _openai_words.wrong_key
    missing_model_message: Callable[[str], str] = _openai_words.missing_model
    # What a message without text has as its content next to tool calls.
    empty_content: str | None = None
    call_id: Callable[[Incoming, AnsweredCall, int], str] = call_id
    has_indexed_calls: bool = False
    is_call_streamed_whole: bool = False
    # A call that was named in the request ends with "stop" at OpenAI.
    named_choice_finish: str = "tool_calls"
    reasoning: Callable[[JsonObject, Answer], JsonObject] = _hidden_reasoning
    reasoning_delta: Callable[[str], JsonObject] | None = None
    reasoning_end: Callable[[Answer], JsonObject] | None = None
    check_reasoning: Callable[[JsonObject], None] = _no_extra_checks
    embedding_models: Mapping[str, int] = attrs.field(factory=dict)
    has_responses: bool = False
    stream_comments: tuple[bytes, ...] = ()
    unary_padding: bytes = b""
    encode: Callable[[JsonValue], bytes] = encode_json
