"""After which failures somebody else is worth asking."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from dipeo.domain.errors import DipeoError, UnsupportedParameterError
from dipeo.domain.verdict import Verdict


class FallbackRule(StrEnum):
    """Who is worth asking after a failure."""

    ANYBODY = "anybody"
    OTHER_KEY = "another key"
    BIGGER_WINDOW = "a bigger window"
    NOBODY = "nobody"


FALLBACK_RULES: Final[Mapping[Verdict, FallbackRule]] = {
    Verdict.RATE_LIMITED: FallbackRule.ANYBODY,
    Verdict.QUOTA_EXHAUSTED: FallbackRule.ANYBODY,
    Verdict.OVERLOADED: FallbackRule.ANYBODY,
    Verdict.PROVIDER_ERROR: FallbackRule.ANYBODY,
    Verdict.ACCESS_DENIED: FallbackRule.ANYBODY,
    Verdict.MODEL_NOT_FOUND: FallbackRule.ANYBODY,
    Verdict.EMPTY_RESPONSE: FallbackRule.ANYBODY,
    Verdict.MALFORMED_RESPONSE: FallbackRule.ANYBODY,
    Verdict.INCOMPLETE_STREAM: FallbackRule.ANYBODY,
    Verdict.CONNECT_FAILED: FallbackRule.ANYBODY,
    Verdict.CONNECTION_LOST: FallbackRule.ANYBODY,
    Verdict.DEADLINE_EXCEEDED: FallbackRule.ANYBODY,
    Verdict.LOCAL_OVERLOAD: FallbackRule.ANYBODY,
    Verdict.TOOL_CALL_INVALID: FallbackRule.ANYBODY,
    Verdict.AUTH_FAILED: FallbackRule.OTHER_KEY,
    Verdict.CONTEXT_TOO_LONG: FallbackRule.BIGGER_WINDOW,
    Verdict.BAD_REQUEST: FallbackRule.NOBODY,
    Verdict.REQUEST_TOO_LARGE: FallbackRule.NOBODY,
    Verdict.CONFIG_ERROR: FallbackRule.NOBODY,
    Verdict.CANCELLED: FallbackRule.NOBODY,
}
"""A bad request is as bad elsewhere, and a setting that keeps dipeo from working must be seen."""


def rule_after(error: DipeoError) -> FallbackRule:
    """Who is worth asking after this failure.

    By verdict alone, but for a parameter that a model does not take: that is one model's limit and no bad request.
    """
    if isinstance(error, UnsupportedParameterError):
        return FallbackRule.ANYBODY
    return FallbackRule.NOBODY if error.verdict is None else FALLBACK_RULES[error.verdict]
