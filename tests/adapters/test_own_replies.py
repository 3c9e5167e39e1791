"""Replies written by hand, for what no recording shows: each dialect's edges."""

import json
from typing import Any

import pytest

from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import (
    ContextTooLongError,
    DipeoError,
    EmptyResponseError,
    IncompleteStreamError,
    MalformedResponseError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    ToolCallInvalidError,
)
from dipeo.domain.service import LLMService
from tests.adapters.replay import ReplayWire, adapter_over, request_for

OPENAI, CLAUDE, GEMINI, OLLAMA = LLMService.OPENAI, LLMService.ANTHROPIC, LLMService.GOOGLE, LLMService.OLLAMA


def replay(service: LLMService, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    return adapter_over(ReplayWire(status=status, headers=headers or {}, body=body), service)


UNARY: dict[str, tuple[LLMService, dict[str, Any], FinishReason]] = {
    "openai, filtered": (
        OPENAI,
        {"model": "m", "choices": [{"finish_reason": "content_filter", "message": {"content": None}}]},
        FinishReason.CONTENT_FILTER,
    ),
    "openai, a reason that nobody knows": (
        OPENAI,
        {"model": "m", "choices": [{"finish_reason": "tired", "message": {"content": "Well."}}]},
        FinishReason.OTHER,
    ),
    "claude, refused": (
        CLAUDE,
        {"type": "message", "model": "m", "content": [], "stop_reason": "refusal"},
        FinishReason.CONTENT_FILTER,
    ),
    "claude, a kind of block that nobody knows": (
        CLAUDE,
        {
            "type": "message",
            "content": [{"type": "hologram"}, {"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
        },
        FinishReason.STOP,
    ),
    "gemini, prompt blocked": (GEMINI, {"promptFeedback": {"blockReason": "JAILBREAK"}}, FinishReason.CONTENT_FILTER),
    "gemini, answer blocked": (
        GEMINI,
        {"candidates": [{"finishReason": "SAFETY"}]},
        FinishReason.CONTENT_FILTER,
    ),
    "ollama, cut": (
        OLLAMA,
        {"message": {"content": "Hi"}, "done": True, "done_reason": "length"},
        FinishReason.LENGTH,
    ),
}


@pytest.mark.parametrize("name", UNARY)
async def test_an_unusual_answer_is_told_as_what_it_is(name: str) -> None:
    """Filtered, refused, cut and unheard-of endings are answers, each with its reason; missing usage is not zero."""
    service, body, reason = UNARY[name]
    completion = await replay(service, json.dumps(body).encode()).complete(request_for(service))
    assert completion.finish_reason is reason
    assert not completion.usage.is_reported


USELESS: dict[str, tuple[LLMService, bytes, type[DipeoError]]] = {
    "openai, no choices": (OPENAI, b'{"choices": []}', EmptyResponseError),
    "openai, null": (OPENAI, b"null", MalformedResponseError),
    "claude, empty": (CLAUDE, b'{"type": "message", "content": [], "stop_reason": "end_turn"}', EmptyResponseError),
    "claude, another thing": (CLAUDE, b'{"type": "pudding"}', MalformedResponseError),
    "gemini, nothing": (GEMINI, b"{}", MalformedResponseError),
    "gemini, no parts": (
        GEMINI,
        b'{"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}',
        EmptyResponseError,
    ),
    "gemini, broken call": (
        GEMINI,
        b'{"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}',
        ToolCallInvalidError,
    ),
    "ollama, loaded": (
        OLLAMA,
        b'{"message": {"content": ""}, "done": true, "done_reason": "load"}',
        EmptyResponseError,
    ),
    "ollama, not done": (OLLAMA, b'{"message": {"content": "Hi"}, "done": false}', MalformedResponseError),
}


@pytest.mark.parametrize("name", USELESS)
async def test_an_answer_without_an_answer_is_an_error(name: str) -> None:
    """What a client library would hand out as a success with nothing in it is an error of its own kind."""
    service, body, kind = USELESS[name]
    with pytest.raises(kind):
        await replay(service, body).complete(request_for(service))


REFUSALS: dict[str, tuple[LLMService, int, dict[str, Any], type[DipeoError]]] = {
    "openai, no credit": (OPENAI, 429, {"error": {"code": "insufficient_quota"}}, QuotaExhaustedError),
    "openai, too fast": (OPENAI, 429, {"error": {"code": "rate_limit_exceeded"}}, RateLimitError),
    "openai, too long": (OPENAI, 400, {"error": {"code": "context_length_exceeded"}}, ContextTooLongError),
    "claude, overloaded": (CLAUDE, 529, {"type": "error", "error": {"type": "overloaded_error"}}, OverloadedError),
    "claude, spent": (
        CLAUDE,
        400,
        {"error": {"type": "invalid_request_error", "message": "You have reached your specified API usage limits."}},
        QuotaExhaustedError,
    ),
    "gemini, spent for the day": (
        GEMINI,
        429,
        {"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"violations": [{"quotaId": "RequestsPerDay"}]}]}},
        QuotaExhaustedError,
    ),
    "ollama, busy": (OLLAMA, 503, {"error": "server busy, please try again."}, OverloadedError),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_sorted_by_its_code(name: str) -> None:
    """The structured code decides before the status, and words only in the listed cases."""
    service, status, body, kind = REFUSALS[name]
    with pytest.raises(DipeoError) as caught:
        await replay(service, json.dumps(body).encode(), status=status).complete(request_for(service))
    assert type(caught.value) is kind
    assert caught.value.status == status


STREAMS: dict[str, tuple[LLMService, bytes]] = {
    "openai": (
        OPENAI,
        (
            b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'
            b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        ),
    ),
    "claude": (
        CLAUDE,
        (
            b'data: {"type": "message_start", "message": {"model": "m"}}\n\n'
            b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}\n\n'
            b'data: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}\n\n'
            b'data: {"type": "message_stop"}\n\n'
        ),
    ),
    "gemini": (
        GEMINI,
        (
            b'data: {"candidates": [{"content": {"parts": [{"text": "H"}]}}]}\r\n\r\n'
            b'data: {"candidates": [{"content": {"parts": [{"text": "i"}]}, "finishReason": "STOP"}]}\r\n\r\n'
        ),
    ),
    "ollama": (
        OLLAMA,
        (
            b'{"message": {"content": "Hi"}, "done": false}\n'
            b'{"message": {"content": ""}, "done": true, "done_reason": "stop"}\n'
        ),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_cut_at_any_byte_is_whole_or_an_error(name: str) -> None:
    """Wherever the bytes of a stream end, what is reported complete is the whole answer."""
    service, body = STREAMS[name]
    completion = await replay(service, body).stream(request_for(service)).collect()
    assert completion.text == "Hi"
    for end in range(len(body)):
        try:
            completion = await replay(service, body[:end]).stream(request_for(service)).collect()
        except (IncompleteStreamError, EmptyResponseError, MalformedResponseError):
            continue
        assert completion.text == "Hi"
