"""What each provider says about its rate limits: in headers, in the words of a refusal, in its details."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, TypeAlias

from dipeo.testing.simulator.exchange import ParsedCall, Problem
from dipeo.testing.simulator.json_value import JsonValue
from dipeo.testing.simulator.rate_limits import Admission, LimitState

Headers: TypeAlias = dict[str, str]

# These tell nothing in headers: Gemini names the wait in the body, the others leave it at the status.
_WITHOUT_HEADERS: Final = frozenset({"google", "deepseek", "ollama"})
_WITHOUT_WAIT: Final = frozenset({"google", "deepseek", "ollama", "mistral"})


def limit_headers(service: str, admission: Admission) -> Headers:
    """The headers of an answer, good or refused."""
    headers: Headers = {}
    if service not in _WITHOUT_HEADERS:
        # Of several limits on the same thing, the one with the least room left is told.
        for state in sorted(admission.states, key=lambda state: -state.remaining / state.limit.amount):
            headers |= _WORDS.get(service, _openai_words)(state, admission)
    refusal = admission.refused_by
    if refusal is not None:
        headers |= _wait_headers(service, refusal)
    return headers


def limit_problem(service: str, call: ParsedCall, admission: Admission) -> Problem | None:
    """The refusal in the provider's words; None for a call that is admitted."""
    state = admission.refused_by
    if state is None:
        return None
    if service == "google":
        return Problem(status=429, details=_gemini_details(call, state))
    if service in ("openai", "groq"):
        return Problem(status=429, code="rate_limit_exceeded", message=_openai_message(call, state))
    return Problem(status=429)


def _wait_headers(service: str, state: LimitState) -> Headers:
    if state.wait_s is None:
        return {"x-should-retry": "false"} if service in ("openai", "anthropic") else {}
    if service in _WITHOUT_WAIT:
        return {}
    # Rounded up: whoever waits as told must not come too early.
    headers = {"retry-after": str(math.ceil(state.wait_s))}
    if service == "openai":
        headers["retry-after-ms"] = str(math.ceil(state.wait_s * 1000))
    return headers


def _openai_words(state: LimitState, _admission: Admission) -> Headers:
    name = state.limit.measure
    return {
        f"x-ratelimit-limit-{name}": str(state.limit.amount),
        f"x-ratelimit-remaining-{name}": str(state.remaining),
        f"x-ratelimit-reset-{name}": go_duration(state.reset_s),
    }


def _anthropic_words(state: LimitState, admission: Admission) -> Headers:
    reset = (admission.now + timedelta(seconds=math.ceil(state.reset_s))).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = ("requests",) if state.limit.measure == "requests" else ("tokens", "input-tokens")
    headers: Headers = {}
    for name in names:
        headers[f"anthropic-ratelimit-{name}-limit"] = str(state.limit.amount)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(state.remaining)
        headers[f"anthropic-ratelimit-{name}-reset"] = reset
    return headers


def _mistral_words(state: LimitState, _admission: Admission) -> Headers:
    is_requests = state.limit.measure == "requests"
    name = f"{'req' if is_requests else 'tokens'}-{'day' if state.limit.is_daily else 'minute'}"
    headers = {
        f"x-ratelimit-limit-{name}": str(state.limit.amount),
        f"x-ratelimit-remaining-{name}": str(state.remaining),
    }
    return headers if is_requests else {**headers, "x-ratelimit-tokens-query-cost": str(state.units)}


def _openrouter_words(state: LimitState, admission: Admission) -> Headers:
    reset_at = admission.now + timedelta(seconds=state.reset_s)
    return {
        "x-ratelimit-limit": str(state.limit.amount),
        "x-ratelimit-remaining": str(state.remaining),
        "x-ratelimit-reset": str(math.ceil(reset_at.timestamp() * 1000)),
    }


_WORDS: Final[Mapping[str, Callable[[LimitState, Admission], Headers]]] = {
    "anthropic": _anthropic_words,
    "mistral": _mistral_words,
    "openrouter": _openrouter_words,
}
"""Those that are not here word it as OpenAI does."""


def go_duration(seconds: float) -> str:
    """A time as the language Go writes it, in whole milliseconds, rounded up: `12ms`, `6s`, `1m30s`, `2h0m0.5s`."""
    total_ms = math.ceil(seconds * 1000)
    if total_ms < 1000:
        return f"{total_ms}ms" if total_ms else "0s"
    minutes, left_ms = divmod(total_ms, 60_000)
    text = f"{left_ms // 1000}.{left_ms % 1000:03}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _openai_message(call: ParsedCall, state: LimitState) -> str:
    unit = ("RP" if state.limit.measure == "requests" else "TP") + ("D" if state.limit.is_daily else "M")
    name = f"{state.limit.measure} per {'day' if state.limit.is_daily else 'min'} ({unit})"
    used = state.limit.amount - state.remaining
    if state.wait_s is None:
        return (
            f"Request too large for {call.model} on {name}: Limit {state.limit.amount}, Requested {state.units}. "
            "The input or output tokens must be reduced in order to run successfully."
        )
    return (
        f"Rate limit reached for {call.model} on {name}: Limit {state.limit.amount}, Used {used}, "
        f"Requested {state.units}. Please try again in {go_duration(state.wait_s)}."
    )


def _gemini_details(call: ParsedCall, state: LimitState) -> JsonValue:
    is_requests = state.limit.measure == "requests"
    period = "PerDay" if state.limit.is_daily else "PerMinute"
    quota = f"Generate{'Requests' if is_requests else 'ContentInputTokens'}{period}PerProjectPerModel"
    metric = "generate_content_paid_tier_" + ("requests" if is_requests else "input_token_count")
    details: list[JsonValue] = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [
                {
                    "quotaMetric": f"generativelanguage.googleapis.com/{metric}",
                    "quotaId": quota,
                    "quotaDimensions": {"location": "global", "model": call.model},
                    "quotaValue": str(state.limit.amount),
                }
            ],
        }
    ]
    if state.wait_s is not None:
        delay = f"{math.ceil(state.wait_s * 1000) / 1000:g}" if state.wait_s < 1000 else str(math.ceil(state.wait_s))
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay}s"})
    return details
