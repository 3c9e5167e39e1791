"""What one attempt came to."""

from collections.abc import Mapping
from enum import StrEnum


class Verdict(StrEnum):
    """The closed set of ways in which an attempt can fail; success has no verdict.

    Every outcome on the wire is sorted into exactly one of these, by status and structured code.
    """

    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    OVERLOADED = "overloaded"
    PROVIDER_ERROR = "provider_error"
    BAD_REQUEST = "bad_request"
    CONTEXT_TOO_LONG = "context_too_long"
    AUTH_FAILED = "auth_failed"
    ACCESS_DENIED = "access_denied"
    MODEL_NOT_FOUND = "model_not_found"
    REQUEST_TOO_LARGE = "request_too_large"
    EMPTY_RESPONSE = "empty_response"
    MALFORMED_RESPONSE = "malformed_response"
    INCOMPLETE_STREAM = "incomplete_stream"
    CONNECT_FAILED = "connect_failed"
    CONNECTION_LOST = "connection_lost"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    LOCAL_OVERLOAD = "local_overload"
    CONFIG_ERROR = "config_error"
    TOOL_CALL_INVALID = "tool_call_invalid"
    CANCELLED = "cancelled"


RETRYABLE_VERDICTS = frozenset(
    {
        Verdict.RATE_LIMITED,
        Verdict.OVERLOADED,
        Verdict.PROVIDER_ERROR,
        Verdict.EMPTY_RESPONSE,
        Verdict.CONNECT_FAILED,
        Verdict.TOOL_CALL_INVALID,
    }
)
"""Failures after which the same request may succeed, and whose bill, if any, is known."""

RETRY_LIMITS: Mapping[Verdict, int] = {
    Verdict.PROVIDER_ERROR: 2,
    Verdict.EMPTY_RESPONSE: 1,
    Verdict.TOOL_CALL_INVALID: 1,
}
"""How often a call is tried again for such a failure, whatever its allowance; others have no limit of their own."""

EARLY_RETRY_LIMITS: Mapping[Verdict, int] = {**RETRY_LIMITS, Verdict.OVERLOADED: 1}
"""The same where somebody else can be asked instead."""

OUTCOME_UNKNOWN_VERDICTS = frozenset(
    {
        Verdict.CONNECTION_LOST,
        Verdict.DEADLINE_EXCEEDED,
        Verdict.MALFORMED_RESPONSE,
        Verdict.INCOMPLETE_STREAM,
        Verdict.CANCELLED,
    }
)
"""Failures after which the provider may have done, and billed, the work."""
