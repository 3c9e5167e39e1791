"""F01 to F11: limits of rate, and accounts without credit."""

from __future__ import annotations

from collections.abc import Mapping

from dipeo.domain.errors import QuotaExhaustedError, RateLimitError
from dipeo.testing.simulator.faults.entry import (
    FaultCase,
    FaultRow,
    Outcome,
    only,
    refused,
    retried,
)
from dipeo.testing.simulator.faults.refusals import OPENAI, STATES_CODES, status_case
from dipeo.testing.simulator.faults.words import ANTHROPIC, CHAT, GOOGLE, OLLAMA, RESPONSES
from dipeo.testing.simulator.json_value import JsonValue

_LIMITED = {
    CHAT: "rate_limit_exceeded",
    RESPONSES: "rate_limit_exceeded",
    ANTHROPIC: "rate_limit_error",
    GOOGLE: "RESOURCE_EXHAUSTED",
    OLLAMA: "",
}


def _limited(name: str, headers: Mapping[str, str], outcome: Outcome) -> FaultCase:
    """A rate limit with this advice."""
    return status_case(
        name,
        429,
        outcome,
        codes=_LIMITED,
        message="Too many requests.",
        headers=headers,
    )


def _quota(quota_id: str, *, retry_in: str = "", value: str = "10") -> list[JsonValue]:
    """The details of Google's refusal."""
    violation: JsonValue = {"quotaId": quota_id, "quotaValue": value, "quotaMetric": "generate_requests"}
    kind = "type.googleapis.com/google.rpc"
    details: list[JsonValue] = [{"@type": f"{kind}.QuotaFailure", "violations": [violation]}]
    return [*details, {"@type": f"{kind}.RetryInfo", "retryDelay": retry_in}] if retry_in else details


_RAMP = "Nothing is sent for as long as the provider says; then one call, and twice as many in each second after."

ROWS = (
    FaultRow(
        id="F01",
        title="A rate limit that says how long to wait",
        cases=(_limited("F01", {"retry-after": "2"}, retried(RateLimitError, advised_s=2.0)),),
    ),
    FaultRow(
        id="F02",
        title="Milliseconds beside seconds: the milliseconds count",
        cases=(
            status_case(
                "F02",
                429,
                retried(RateLimitError, advised_s=1.5),
                codes={dialect: _LIMITED[dialect] for dialect in STATES_CODES},
                headers={"retry-after-ms": "1500", "retry-after": "2"},
            ),
        ),
        absent={GOOGLE: "Google has no such header.", OLLAMA: "Ollama has no such header."},
    ),
    FaultRow(
        id="F03",
        title="A wait longer than the deadline",
        cases=(_limited("F03", {"retry-after": "3600"}, refused(RateLimitError)),),
    ),
    FaultRow(
        id="F04",
        title="Waits that are no times: infinite, negative, in the past of nowhere",
        cases=(
            *(
                _limited(f"F04.{name}", {"retry-after": said}, retried(RateLimitError))
                for name, said in (("inf", "inf"), ("nan", "nan"), ("negative", "-5"), ("junk", "Fri, 99 Foo"))
            ),
            _limited("F04.2099", {"retry-after": "Thu, 01 Jan 2099 00:00:00 GMT"}, refused(RateLimitError)),
        ),
    ),
    FaultRow(
        id="F05",
        title="A quota whose delay stands in the body",
        cases=(
            status_case(
                "F05.minute",
                429,
                retried(RateLimitError, advised_s=46.0),
                codes={GOOGLE: "RESOURCE_EXHAUSTED"},
                details=_quota("GenerateRequestsPerMinutePerProjectPerModel", retry_in="46s"),
            ),
            status_case(
                "F05.day",
                429,
                refused(QuotaExhaustedError),
                codes={GOOGLE: "RESOURCE_EXHAUSTED"},
                details=_quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", retry_in="35640s"),
            ),
            status_case(
                "F05.never",
                429,
                refused(QuotaExhaustedError),
                codes={GOOGLE: "RESOURCE_EXHAUSTED"},
                details=_quota("GenerateRequestsPerMinutePerProjectPerModel", value="0"),
            ),
        ),
        absent=only(GOOGLE, why="Google alone says it in the body."),
    ),
    FaultRow(
        id="F06",
        title="OpenAI's spent credit under the status of a rate limit",
        cases=tuple(
            status_case(f"F06.{code}", 429, refused(QuotaExhaustedError), codes=dict.fromkeys(OPENAI, code))
            for code in (
                "insufficient_quota",
                "credit_balance_exhausted",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
            )
        ),
        absent=only(*OPENAI, why="OpenAI's own codes."),
    ),
    FaultRow(
        id="F07",
        title="Anthropic's spend limits under the status of a rate limit",
        cases=tuple(
            status_case(
                f"F07.{code}",
                429,
                refused(QuotaExhaustedError),
                codes={ANTHROPIC: "rate_limit_error"},
                details={"error_code": code},
            )
            for code in (
                "enforced_spend_limit_reached",
                "contract_spend_limit_reached",
                "linked_organization_spend_limit_reached",
            )
        ),
        absent=only(ANTHROPIC, why="Anthropic's own codes."),
    ),
    FaultRow(
        id="F08",
        title="A limit on how fast usage may grow",
        cases=(
            status_case(
                "F08",
                429,
                retried(RateLimitError, advised_s=3.0),
                codes={ANTHROPIC: "rate_limit_error"},
                headers={"retry-after": "3"},
                details={"error_code": "ramp_limit_exceeded"},
            ),
        ),
        absent=only(ANTHROPIC, why="Anthropic's own code."),
        note=_RAMP,
    ),
    FaultRow(
        id="F09",
        title="Anthropic's usage limit as a bad request, and its billing error",
        cases=(
            status_case(
                "F09.words",
                400,
                refused(QuotaExhaustedError),
                codes={ANTHROPIC: "invalid_request_error"},
                message="You have reached your specified API usage limits. You will regain access on 2026-12-01.",
            ),
            status_case("F09.billing", 402, refused(QuotaExhaustedError), codes={ANTHROPIC: "billing_error"}),
        ),
        absent=only(ANTHROPIC, why="Anthropic's own words."),
    ),
    FaultRow(
        id="F10",
        title="Google's prepaid credit is gone",
        cases=(status_case("F10", 402, refused(QuotaExhaustedError), codes={GOOGLE: "RESOURCE_EXHAUSTED"}),),
        absent=only(GOOGLE, why="Google's own status."),
    ),
    FaultRow(
        id="F11",
        title="OpenAI's request to slow down, under its new status and its old one",
        cases=tuple(
            status_case(
                f"F11.{status}",
                status,
                retried(RateLimitError, advised_s=2.0),
                codes=dict.fromkeys(OPENAI, "slow_down"),
                headers={"retry-after": "2"},
            )
            for status in (429, 503)
        ),
        absent=only(*OPENAI, why="OpenAI's own code."),
        note=_RAMP,
    ),
)
