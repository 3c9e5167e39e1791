"""xAI: the usage so far on every chunk, text tokens counted apart."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._openai_words import mask_ends, usual_words
from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.dialects.flavours._reasoning import reasoning_content, reasoning_content_delta
from dipeo.testing.simulator.dialects.flavours.plain import no_headers, plain_usage, uuid_id
from dipeo.testing.simulator.exchange import Answer, Incoming, ParsedCall, Problem
from dipeo.testing.simulator.json_value import JsonObject, as_count


def _xai_usage(answer: Answer) -> JsonObject:
    details: JsonObject = {
        "text_tokens": answer.input_tokens,
        "audio_tokens": 0,
        "image_tokens": 0,
        "cached_tokens": answer.cached_tokens,
    }
    completion: JsonObject = {"reasoning_tokens": answer.reasoning_tokens, "audio_tokens": 0}
    return {**plain_usage(answer), "prompt_tokens_details": details, "completion_tokens_details": completion}


def _xai_reply(head: JsonObject, choice: JsonObject, usage: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "choices": [choice], "usage": usage, "system_fingerprint": "fp_51ac0e1d3b"}


def _xai_chunk(head: JsonObject, choice: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "choices": [choice], "system_fingerprint": "fp_51ac0e1d3b"}


def _xai_delta_choice(delta: JsonObject, finish: str | None) -> JsonObject:
    choice: JsonObject = {"index": 0, "delta": delta}
    return choice if finish is None else {**choice, "finish_reason": finish}


def _xai_finish(chunks: list[JsonObject], usage: JsonObject, _call: ParsedCall, *, is_asked: bool) -> list[JsonObject]:
    last: JsonObject = {**chunks[-1], "usage": usage}
    if not is_asked:
        return [*chunks[:-1], last]
    return [*({**chunk, "usage": _usage_so_far(usage, count)} for count, chunk in enumerate(chunks[:-1])), last]


def _usage_so_far(usage: JsonObject, generated: int) -> JsonObject:
    prompt, total = as_count(usage["prompt_tokens"]) or 0, as_count(usage["completion_tokens"]) or 0
    so_far = min(generated, total)
    return {**usage, "completion_tokens": so_far, "total_tokens": prompt + so_far}


_OPENAI_CODES = frozenset({"invalid_api_key", "model_not_found", "unknown_url"})
_ERROR_CODES = {
    400: "Client specified an invalid argument",
    401: "The caller does not have valid authentication credentials",
    403: "The caller does not have permission to execute the specified operation",
    404: "Some requested entity was not found",
    429: "Some resource has been exhausted",
    503: "The service is currently unavailable",
}


def _xai_error(problem: Problem) -> JsonObject:
    # xAI's errors are flat, and what others call the message is under `error`.
    usual = _ERROR_CODES.get(problem.status, _ERROR_CODES[400 if problem.status < 500 else 503])
    code = usual if problem.code in _OPENAI_CODES else problem.code
    return {"code": code or usual, "error": problem.message or usual_words(problem.status)[2]}


XAI = Flavour(
    service="xai",
    owner="xai",
    models=("grok-4.3", "grok-4-1-fast-non-reasoning", "grok-4-1-fast-reasoning"),
    reply_id=uuid_id,
    usage=_xai_usage,
    message=lambda content: {"role": "assistant", "content": content, "refusal": None},
    reply=_xai_reply,
    opening_delta={"content": "", "role": "assistant"},
    piece_delta=lambda text: {"content": text, "role": "assistant"},
    closing_delta={"role": "assistant"},
    delta_choice=_xai_delta_choice,
    chunk=_xai_chunk,
    finish_chunks=_xai_finish,
    request_headers=lambda incoming: {"x-request-id": uuid_id(incoming)},
    limit_headers=no_headers,
    empty_content="",
    call_id=lambda incoming, call, index: call.id or f"call_{incoming.hex_token(f'call {index}', 8)}",
    is_call_streamed_whole=True,
    reasoning=reasoning_content,
    reasoning_delta=reasoning_content_delta,
    has_responses=True,
    error=_xai_error,
    missing_key_message="No API key provided. You can obtain an API key from https://console.x.ai.",
    wrong_key_message=lambda credential: (
        f"Incorrect API key provided: {mask_ends(credential)}. You can obtain an API key from https://console.x.ai."
    ),
)
