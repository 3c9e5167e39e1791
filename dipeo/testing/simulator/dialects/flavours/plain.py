"""What several OpenAI-compatible services share."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import Answer, Incoming, ParsedCall
from dipeo.testing.simulator.json_value import JsonObject


def uuid_id(incoming: Incoming) -> str:
    """An id in the form of a UUID."""
    digits = incoming.hex_token("reply", 32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def plain_message(content: str | None) -> JsonObject:
    """A message without anything special."""
    return {"role": "assistant", "content": content}


def plain_choice(message: JsonObject, finish: str) -> JsonObject:
    """A choice in the usual order of keys."""
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}


def choice_without_logprobs(message: JsonObject, finish: str) -> JsonObject:
    """A choice that never mentions log probabilities."""
    return {"index": 0, "finish_reason": finish, "message": message}


def delta_without_logprobs(delta: JsonObject, finish: str | None) -> JsonObject:
    """The choice of a chunk that never mentions log probabilities."""
    return {"index": 0, "delta": delta, "finish_reason": finish}


def no_headers() -> dict[str, str]:
    """No rate limit headers."""
    return {}


def plain_usage(answer: Answer) -> JsonObject:
    """The three totals."""
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def usage_on_last_choice(
    chunks: list[JsonObject], usage: JsonObject, _call: ParsedCall, *, is_asked: bool
) -> list[JsonObject]:
    """The usage on the chunk with the finish reason, asked for or not."""
    return [*chunks[:-1], {**chunks[-1], "usage": usage}]
