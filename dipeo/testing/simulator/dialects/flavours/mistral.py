"""Mistral: strict about unknown fields, the usage on the last choice without being asked."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._openai_words import usual_words
from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.dialects.flavours._mistral_turns import check_mistral_turns
from dipeo.testing.simulator.dialects.flavours._reasoning import thinking_chunk_delta, thinking_chunks
from dipeo.testing.simulator.dialects.flavours.plain import (
    choice_without_logprobs,
    delta_without_logprobs,
    plain_usage,
    usage_on_last_choice,
    uuid_id,
)
from dipeo.testing.simulator.exchange import Answer, Incoming, Problem, RefusalError
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_object


def _mistral_usage(answer: Answer) -> JsonObject:
    return {**plain_usage(answer), "prompt_tokens_details": {"cached_tokens": answer.cached_tokens}}


def _mistral_reply(head: JsonObject, choice: JsonObject, usage: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "usage": {**usage, "service_tier": "standard"}, "choices": [choice]}


def _mistral_chunk(head: JsonObject, choice: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "choices": [choice]}


def _check_mistral_body(body: JsonObject) -> None:
    extra: list[JsonValue] = []
    if "stream_options" in body:
        options = as_object(body["stream_options"])
        extra += [_extra_field(["body", "stream_options", name], value) for name, value in options.items()]
        extra += [] if options else [_extra_field(["body", "stream_options"], body["stream_options"])]
    if "max_completion_tokens" in body:
        extra.append(_extra_field(["body", "max_completion_tokens"], body["max_completion_tokens"]))
    messages = body.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and "name" in message and message.get("role") != "tool":
            location: list[JsonValue] = ["body", "messages", index, message.get("role"), "name"]
            extra.append(_extra_field(location, message["name"]))
    if extra:
        raise RefusalError(Problem(status=422, details=extra))


def _extra_field(location: list[JsonValue], value: JsonValue) -> JsonObject:
    return {"type": "extra_forbidden", "loc": location, "msg": "Extra inputs are not permitted", "input": value}


_MISTRAL_TYPES = {
    400: ("invalid_request_error", None),
    404: ("invalid_model", "1500"),
    422: ("invalid_request_error", None),
    429: ("rate_limited", "1300"),
    503: ("service_unavailable", "3505"),
}


def _mistral_error(problem: Problem) -> JsonObject:
    if problem.status == 401:
        return {"detail": problem.message or "Invalid API Key"}
    kind, code = _MISTRAL_TYPES.get(problem.status, ("internal_server_error", "3000"))
    message: JsonValue = problem.message or usual_words(problem.status)[2]
    if problem.details is not None:
        message = {"detail": problem.details}
    error: JsonObject = {"object": "error", "message": message, "type": kind, "param": problem.param}
    error["code"] = problem.code or code
    # Complaints about fields come from a layer that does not add the status.
    return error if problem.details is not None else {**error, "raw_status_code": problem.status}


MISTRAL = Flavour(
    service="mistral",
    owner="mistralai",
    models=("mistral-large-latest", "mistral-medium-latest", "mistral-small-latest"),
    reply_id=lambda incoming: incoming.hex_token("reply", 32),
    usage=_mistral_usage,
    message=lambda content: {"role": "assistant", "tool_calls": None, "content": content},
    choice=choice_without_logprobs,
    reply=_mistral_reply,
    opening_delta={"role": "assistant", "content": ""},
    closing_delta={"content": ""},
    delta_choice=delta_without_logprobs,
    chunk=_mistral_chunk,
    finish_chunks=usage_on_last_choice,
    check_body=_check_mistral_body,
    request_headers=lambda incoming: {"mistral-correlation-id": uuid_id(incoming)},
    limit_headers=lambda: {
        "x-ratelimit-limit-tokens-minute": "100000",
        "x-ratelimit-remaining-tokens-minute": "97127",
        "x-ratelimit-limit-req-minute": "100",
        "x-ratelimit-remaining-req-minute": "86",
        "x-ratelimit-tokens-query-cost": "171",
    },
    empty_content="",
    call_id=lambda incoming, call, index: call.id or incoming.token(f"call {index}", 9),
    has_indexed_calls=True,
    is_call_streamed_whole=True,
    reasoning=thinking_chunks,
    reasoning_delta=thinking_chunk_delta,
    check_reasoning=check_mistral_turns,
    embedding_models={"mistral-embed": 1024},
    error=_mistral_error,
    missing_key_message="Unauthorized",
    wrong_key_message=lambda _credential: "Invalid API Key",
    missing_model_message=lambda model: f"Invalid model: {model}",
)
