"""Anthropic messages."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import attrs

from dipeo.testing.simulator.answers import estimate_request_tokens
from dipeo.testing.simulator.dialects._anthropic_models import check_thinking_kind, describe_model, list_models
from dipeo.testing.simulator.dialects._anthropic_reply import event, render_blocks, server_tool_usage, write_blocks
from dipeo.testing.simulator.dialects._anthropic_request import parse_messages_request
from dipeo.testing.simulator.dialects._frames import FrameWriter
from dipeo.testing.simulator.dialects._reading import bearer_token, is_missing_model, is_wrong_key
from dipeo.testing.simulator.exchange import (
    Answer,
    Document,
    Errand,
    Incoming,
    ParsedCall,
    Problem,
    StreamFrames,
    refuse,
)
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_object, as_text, encode_json

_STOP_REASONS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}
_MODELS_PATH = "/v1/models/"
# status -> (type, message)
_USUAL = {
    400: ("invalid_request_error", "Error"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not Found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}


@attrs.frozen(slots=True)
class AnthropicDialect:
    """The Messages API."""

    service: str = attrs.field(default="anthropic", init=False)
    sdk_suffix: str = attrs.field(default="", init=False)

    def credential(self, incoming: Incoming) -> str | None:
        """The `x-api-key` header, or a bearer token."""
        return incoming.headers.get("x-api-key") or bearer_token(incoming)

    def check_credential(self, incoming: Incoming, credential: str | None) -> None:
        """401 without a key, and for one that says it is wrong."""
        if credential is None:
            raise refuse(401, "x-api-key header is required")
        if is_wrong_key(credential):
            is_token = not incoming.headers.get("x-api-key")
            raise refuse(401, "Invalid bearer token" if is_token else "invalid x-api-key")

    def errand(self, incoming: Incoming) -> Errand | None:
        """The models, and the count of a request's tokens."""
        if incoming.method in ("GET", "HEAD"):
            if incoming.path == "/v1/models":
                return partial(_list_models, incoming)
            if incoming.path.startswith(_MODELS_PATH):
                return partial(_describe_model, incoming, incoming.path.removeprefix(_MODELS_PATH))
        if incoming.method == "POST" and incoming.path == "/v1/messages/count_tokens":
            return partial(self._count_tokens, incoming)
        return None

    def _count_tokens(self, incoming: Incoming) -> Document:
        call = parse_messages_request(incoming, is_limit_needed=False)
        _check_model(call)
        count = estimate_request_tokens(call)
        return Document(headers=_headers(incoming, "application/json"), body=encode_json({"input_tokens": count}))

    def is_completion(self, incoming: Incoming) -> bool:
        """POST to messages."""
        return incoming.method == "POST" and incoming.path == "/v1/messages"

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read and check the body."""
        call = parse_messages_request(incoming)
        _check_model(call)
        return call

    def render(self, call: ParsedCall, answer: Answer) -> Document:
        """A message."""
        message: JsonObject = {
            **_message_head(call, answer),
            "content": render_blocks(call, answer),
            "stop_reason": _stop_reason(answer),
            "stop_sequence": answer.stop_sequence,
            "stop_details": None,
            "usage": {
                **_usage_start(call, answer, answer.output_tokens),
                **server_tool_usage(answer),
                "output_tokens_details": {"thinking_tokens": answer.reasoning_tokens},
            },
        }
        headers = {**_headers(call.incoming, "application/json"), **_limit_headers()}
        return Document(headers=headers, body=encode_json(message))

    def render_stream(self, call: ParsedCall, answer: Answer) -> StreamFrames:
        """`message_start` to `message_stop`."""
        writer = FrameWriter()
        writer.frame(self._opening(call, answer))
        write_blocks(writer, call, answer)
        writer.frame(event(_message_delta(answer)))
        writer.frame(event({"type": "message_stop"}))
        return writer.finish({**_headers(call.incoming, "text/event-stream; charset=utf-8"), **_limit_headers()})

    def render_problem(self, incoming: Incoming, problem: Problem) -> Document:
        """The error envelope, with the request id."""
        headers = _headers(incoming, "application/json")
        headers["x-should-retry"] = "true" if problem.status in (408, 409, 429) or problem.status >= 500 else "false"
        value: JsonObject = {**_error(problem), "request_id": headers["request-id"]}
        return Document(status=problem.status, headers=headers, body=encode_json(value))

    def render_error_event(self, call: ParsedCall, problem: Problem) -> bytes:
        """An `error` event."""
        # Inside a stream an overloaded service says 529's words, whatever the gateway in front of it would say.
        status = 529 if problem.status == 503 else problem.status
        return event(_error(attrs.evolve(problem, status=status)))

    def unknown_path(self, incoming: Incoming) -> Problem:
        """Anthropic's words for a path it does not know."""
        return Problem(status=404, message="Not found")

    def _opening(self, call: ParsedCall, answer: Answer) -> bytes:
        message: JsonObject = {
            **_message_head(call, answer),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": _usage_start(call, answer, min(answer.output_tokens, 1)),
        }
        return event({"type": "message_start", "message": message})


def _stop_reason(answer: Answer) -> str:
    return "refusal" if answer.refusal else _STOP_REASONS[answer.finish]


def _check_model(call: ParsedCall) -> None:
    if is_missing_model(call.model):
        raise refuse(404, f"model: {call.model}")
    check_thinking_kind(call.model, as_text(as_object(call.body.get("thinking")).get("type")))


def _list_models(incoming: Incoming) -> Document:
    value = list_models(incoming.query.get("after_id"), incoming.query.get("limit", ""))
    return Document(headers=_headers(incoming, "application/json"), body=encode_json(value))


def _describe_model(incoming: Incoming, name: str) -> Document:
    return Document(headers=_headers(incoming, "application/json"), body=encode_json(describe_model(name)))


def _message_head(call: ParsedCall, answer: Answer) -> JsonObject:
    message_id = f"msg_01{call.incoming.token('reply', 22)}"
    return {"model": answer.model, "id": message_id, "type": "message", "role": "assistant"}


def _message_delta(answer: Answer) -> JsonObject:
    delta: JsonObject = {
        "stop_reason": _stop_reason(answer),
        "stop_sequence": answer.stop_sequence,
        "stop_details": None,
    }
    usage: JsonObject = {
        "input_tokens": answer.input_tokens - answer.cached_tokens - answer.cache_write_tokens,
        "cache_creation_input_tokens": answer.cache_write_tokens,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"thinking_tokens": answer.reasoning_tokens},
        **server_tool_usage(answer),
    }
    return {"type": "message_delta", "delta": delta, "usage": usage}


def _usage_start(call: ParsedCall, answer: Answer, output_tokens: int) -> JsonObject:
    is_for_an_hour = _asks_for_an_hour(call.body)
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens - answer.cache_write_tokens,
        "cache_creation_input_tokens": answer.cache_write_tokens,
        "cache_read_input_tokens": answer.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0 if is_for_an_hour else answer.cache_write_tokens,
            "ephemeral_1h_input_tokens": answer.cache_write_tokens if is_for_an_hour else 0,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
        "inference_geo": "global",
    }


def _asks_for_an_hour(value: JsonValue) -> bool:
    """Whether a mark for the cache anywhere in the request asks for the longer of both times."""
    if isinstance(value, list):
        return any(_asks_for_an_hour(each) for each in value)
    if not isinstance(value, dict):
        return False
    is_marked = as_object(value.get("cache_control")).get("ttl") == "1h"
    return is_marked or any(_asks_for_an_hour(each) for each in value.values())


def _error(problem: Problem) -> JsonObject:
    usual = _USUAL.get(problem.status) or (_USUAL[500] if problem.status >= 500 else _USUAL[400])
    error: JsonObject = {"type": problem.code or usual[0], "message": problem.message or usual[1]}
    if problem.details is not None:
        error["details"] = problem.details
    return {"type": "error", "error": error}


def _headers(incoming: Incoming, content_type: str) -> dict[str, str]:
    return {"content-type": content_type, "request-id": f"req_011{incoming.token('request', 21)}"}


def _limit_headers() -> dict[str, str]:
    reset = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers: dict[str, str] = {}
    limits = {"requests": 4000, "input-tokens": 2_000_000, "output-tokens": 400_000, "tokens": 2_400_000}
    for kind, limit in limits.items():
        name = f"anthropic-ratelimit-{kind}"
        headers[f"{name}-limit"] = str(limit)
        headers[f"{name}-remaining"] = str(limit - 1 if kind == "requests" else limit)
        headers[f"{name}-reset"] = reset
    return headers
