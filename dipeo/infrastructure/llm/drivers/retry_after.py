"""How long a provider asks us to wait, in all the ways in which they say so."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from dipeo.domain.json_value import JsonValue

MAX_RETRY_AFTER_S: Final = 7 * 24 * 3600.0
"""A longer wait is nonsense or "never"; the value is clamped so that it stays a usable number."""

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def parse_retry_after(
    headers: Mapping[str, str], *, body: JsonValue = None, now: datetime | None = None
) -> float | None:
    """The seconds to wait, from 0 to seven days, or None where nothing usable is said. Never raises.

    Read in this order: `retry-after-ms` (milliseconds), `retry-after` (seconds, or an HTTP date as RFC 9110 section
    10.2.3 has it), and `RetryInfo.retryDelay` in a Google error body. Negative, infinite and unreadable values count as
    nothing said.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER_S)
    said = headers.get("retry-after")
    seconds = _number(said)
    if seconds is None and said is not None:
        seconds = _until(said, now or _sent_at(headers))
    if seconds is None:
        seconds = _retry_info(body)
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER_S)


def _sent_at(headers: Mapping[str, str]) -> datetime:
    """When the reply was sent, by the provider's own clock: a date to wait for is meant on that one."""
    try:
        sent_at = parsedate_to_datetime(headers.get("date", "")[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return datetime.now(UTC)
    return sent_at if sent_at.tzinfo is not None else sent_at.replace(tzinfo=UTC)


def _number(text: str | None) -> float | None:
    if text is None or len(text) > 32:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def _retry_info(body: JsonValue) -> float | None:
    error = body.get("error") if isinstance(body, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    if not isinstance(details, list):
        return None
    for detail in details:
        delay = detail.get("retryDelay") if isinstance(detail, Mapping) else None
        match = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
        if match:
            return float(match.group(1))
    return None
