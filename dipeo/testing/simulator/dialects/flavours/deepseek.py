"""DeepSeek: cache hits and misses, the usage on the last choice."""

from __future__ import annotations

from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.dialects.flavours._reasoning import (
    check_reasoning_content,
    reasoning_content,
    reasoning_content_delta,
)
from dipeo.testing.simulator.dialects.flavours.plain import (
    no_headers,
    plain_choice,
    plain_message,
    plain_usage,
    usage_on_last_choice,
    uuid_id,
)
from dipeo.testing.simulator.exchange import Answer, Incoming
from dipeo.testing.simulator.json_value import JsonObject


def _deepseek_usage(answer: Answer) -> JsonObject:
    usage: JsonObject = {
        **plain_usage(answer),
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
        "prompt_cache_hit_tokens": answer.cached_tokens,
        "prompt_cache_miss_tokens": answer.input_tokens - answer.cached_tokens,
    }
    if answer.reasoning_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": answer.reasoning_tokens}
    return usage


_DEEPSEEK_PRINT = "fp_8b330d02d0_prod0820_fp8_kvcache_20260402"


def _deepseek_reply(head: JsonObject, choice: JsonObject, usage: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "choices": [choice], "usage": usage, "system_fingerprint": _DEEPSEEK_PRINT}


def _deepseek_chunk(head: JsonObject, choice: JsonObject, _incoming: Incoming) -> JsonObject:
    return {**head, "system_fingerprint": _DEEPSEEK_PRINT, "choices": [choice], "usage": None}


DEEPSEEK = Flavour(
    service="deepseek",
    owner="deepseek",
    models=("deepseek-chat", "deepseek-reasoner"),
    reply_id=uuid_id,
    usage=_deepseek_usage,
    message=plain_message,
    choice=plain_choice,
    reply=_deepseek_reply,
    opening_delta={"role": "assistant", "content": ""},
    closing_delta={"content": ""},
    chunk=_deepseek_chunk,
    finish_chunks=usage_on_last_choice,
    request_headers=lambda incoming: {"x-ds-trace-id": incoming.hex_token("request", 32)},
    limit_headers=no_headers,
    empty_content="",
    call_id=lambda incoming, call, index: call.id or f"call_{index:02}_{incoming.token(f'call {index}', 20)}",
    reasoning=reasoning_content,
    reasoning_delta=reasoning_content_delta,
    check_reasoning=check_reasoning_content,
    missing_key_message="Authentication Fails (auth header format should be Bearer sk-...)",
    wrong_key_message=lambda credential: f"Authentication Fails, Your api key: ****{credential[-4:]} is invalid",
)
