"""OpenRouter: comments and white space while it waits, the upstream provider, the cost of every call."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._openai_words import usual_words
from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.dialects.flavours._reasoning import (
    check_reasoning_details,
    reasoning_details,
    reasoning_details_delta,
    reasoning_details_end,
)
from dipeo.testing.simulator.dialects.flavours.plain import no_headers, plain_usage
from dipeo.testing.simulator.exchange import Answer, Incoming, ParsedCall, Problem
from dipeo.testing.simulator.json_value import JsonObject

_NATIVE_FINISH = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
_PROVIDER = "Simulated Provider"
_INPUT_USD_PER_TOKEN = 0.000001
_OUTPUT_USD_PER_TOKEN = 0.000005


def _usage(answer: Answer) -> JsonObject:
    input_usd = round(answer.input_tokens * _INPUT_USD_PER_TOKEN, 9)
    output_usd = round(answer.output_tokens * _OUTPUT_USD_PER_TOKEN, 9)
    cost_usd = round(input_usd + output_usd, 9)
    return {
        **plain_usage(answer),
        "cost": cost_usd,
        "is_byok": False,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": 0,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": cost_usd,
            "upstream_inference_prompt_cost": input_usd,
            "upstream_inference_completions_cost": output_usd,
        },
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    }


def _message(content: str | None) -> JsonObject:
    return {"role": "assistant", "content": content, "refusal": None, "reasoning": None}


def _choice(message: JsonObject, finish: str) -> JsonObject:
    native = _NATIVE_FINISH[finish]
    return {
        "index": 0,
        "logprobs": None,
        "finish_reason": finish,
        "native_finish_reason": native,
        "message": message,
    }


def _delta_choice(delta: JsonObject, finish: str | None) -> JsonObject:
    native = None if finish is None else _NATIVE_FINISH[finish]
    return {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": native}


def _reply(head: JsonObject, choice: JsonObject, usage: JsonObject, _incoming: Incoming) -> JsonObject:
    provider: JsonObject = {"provider": _PROVIDER, "system_fingerprint": None, "service_tier": None}
    return {**head, **provider, "choices": [choice], "usage": usage}


def _chunk(head: JsonObject, choice: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "provider": _PROVIDER, "choices": [choice]}


def _finish_chunks(
    chunks: list[JsonObject], usage: JsonObject, _call: ParsedCall, *, is_asked: bool
) -> list[JsonObject]:
    # The chunk with the finish reason comes twice, the second time with the usage, asked for or not.
    return [*chunks, {**chunks[-1], "service_tier": None, "usage": usage}]


def _error(problem: Problem) -> JsonObject:
    message = problem.message or usual_words(problem.status)[2]
    error: JsonObject = {"message": message, "code": problem.status}
    if problem.code is not None:
        error["metadata"] = {"error_type": problem.code, "provider_name": _PROVIDER}
    return {"error": error, "user_id": "user_simulated"}


OPENROUTER = Flavour(
    service="openrouter",
    owner="openrouter",
    models=("anthropic/claude-haiku-4.5", "openai/gpt-5.2", "google/gemini-2.5-flash"),
    reply_id=lambda incoming: f"gen-{incoming.created_s}-{incoming.token('reply', 20)}",
    usage=_usage,
    message=_message,
    choice=_choice,
    reply=_reply,
    opening_delta={"content": "", "role": "assistant"},
    piece_delta=lambda text: {"content": text, "role": "assistant"},
    closing_delta={"content": "", "role": "assistant"},
    delta_choice=_delta_choice,
    chunk=_chunk,
    finish_chunks=_finish_chunks,
    request_headers=lambda incoming: {"x-generation-id": f"gen-{incoming.created_s}-{incoming.token('reply', 20)}"},
    limit_headers=no_headers,
    call_id=lambda incoming, call, index: call.id or f"toolu_bdrk_01{incoming.token(f'call {index}', 22)}",
    reasoning=reasoning_details,
    reasoning_delta=reasoning_details_delta,
    reasoning_end=reasoning_details_end,
    check_reasoning=check_reasoning_details,
    embedding_models={"openai/text-embedding-3-small": 1536},
    has_responses=True,
    error=_error,
    missing_key_message="No auth credentials found",
    wrong_key_message=lambda _credential: "User not found.",
    missing_model_message=lambda model: f"No endpoints found for {model}.",
    stream_comments=(b": OPENROUTER PROCESSING\n\n", b": OPENROUTER PROCESSING\n\n"),
    unary_padding=b"\n         \n\n         \n",
)
