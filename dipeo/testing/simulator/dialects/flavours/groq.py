"""Groq: its own id and timings under `x_groq`."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._openai_words import usual_words
from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.dialects.flavours._reasoning import plain_reasoning, plain_reasoning_delta
from dipeo.testing.simulator.dialects.flavours.plain import plain_choice, plain_message, uuid_id
from dipeo.testing.simulator.exchange import Answer, Incoming, ParsedCall, Problem
from dipeo.testing.simulator.json_value import JsonObject


def _groq_usage(answer: Answer) -> JsonObject:
    usage: JsonObject = {
        "queue_time": 0.012,
        "prompt_tokens": answer.input_tokens,
        "prompt_time": 0.002,
        "completion_tokens": answer.output_tokens,
        "completion_time": round(answer.output_tokens / 1200, 9),
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "total_time": round(0.002 + answer.output_tokens / 1200, 9),
    }
    if answer.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": answer.cached_tokens}
    if answer.reasoning_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": answer.reasoning_tokens}
    return usage


def _groq_id(incoming: Incoming) -> str:
    return f"req_01{incoming.token('request', 24).lower()}"


def _groq_reply(head: JsonObject, choice: JsonObject, usage: JsonObject, incoming: Incoming) -> JsonObject:
    fields: JsonObject = {"usage": usage, "system_fingerprint": "fp_a97cfe35ae", "x_groq": {"id": _groq_id(incoming)}}
    return {**head, "choices": [choice], **fields}


def _groq_chunk(head: JsonObject, choice: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "system_fingerprint": "fp_a97cfe35ae", "choices": [choice]}


def _groq_finish(chunks: list[JsonObject], usage: JsonObject, call: ParsedCall, *, is_asked: bool) -> list[JsonObject]:
    name: JsonObject = {"id": _groq_id(call.incoming)}
    first: JsonObject = {**chunks[0], "x_groq": name}
    last: JsonObject = {**chunks[-1], "x_groq": {**name, "usage": usage}}
    asked: list[JsonObject] = [{**chunks[-1], "choices": [], "usage": usage}] if is_asked else []
    return [first, *chunks[1:-1], last, *asked]


def _groq_error(problem: Problem) -> JsonObject:
    kind, usual_code, usual_message = usual_words(problem.status)
    error: JsonObject = {"message": problem.message or usual_message, "type": kind}
    if problem.code or usual_code:
        error["code"] = problem.code or usual_code
    return {"error": error}


def _groq_limits() -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-limit-tokens": "12000",
        "x-ratelimit-remaining-requests": "14399",
        "x-ratelimit-remaining-tokens": "11994",
        "x-ratelimit-reset-requests": "6s",
        "x-ratelimit-reset-tokens": "30ms",
    }


GROQ = Flavour(
    service="groq",
    owner="Groq",
    models=("llama-3.3-70b-versatile", "llama-3.1-8b-instant", "openai/gpt-oss-120b"),
    reply_id=lambda incoming: f"chatcmpl-{uuid_id(incoming)}",
    usage=_groq_usage,
    message=plain_message,
    choice=plain_choice,
    reply=_groq_reply,
    opening_delta={"role": "assistant", "content": ""},
    chunk=_groq_chunk,
    finish_chunks=_groq_finish,
    request_headers=lambda incoming: {"x-request-id": _groq_id(incoming)},
    limit_headers=_groq_limits,
    is_call_streamed_whole=True,
    reasoning=plain_reasoning,
    reasoning_delta=plain_reasoning_delta,
    has_responses=True,
    error=_groq_error,
    missing_key_message="Invalid API Key",
    wrong_key_message=lambda _credential: "Invalid API Key",
)
