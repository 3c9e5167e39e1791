"""How long to wait is read from whatever a provider says, and is always a number that can be waited."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.infrastructure.llm.drivers.retry_after import MAX_RETRY_AFTER_S, parse_retry_after

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEEK_S = 7 * 24 * 3600.0

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "details", "retryDelay", "@type", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def parse(body: Any = None, **headers: str) -> float | None:
    """What is read from these headers (with dashes for underscores) and this body."""
    return parse_retry_after({name.replace("_", "-"): text for name, text in headers.items()}, body=body, now=NOW)


def retry_info(delay: object) -> dict[str, object]:
    """Google's way of saying it."""
    violation = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []}
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [violation, info]}}


def test_nothing_said_is_none() -> None:
    """Without a word there is no wait, rather than a wait of zero."""
    assert parse() is None
    assert parse({"error": {"details": []}}) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        ("1.5", 1.5),
        (" 3 ", 3.0),
        ("3600", 3600.0),
        ("604800", WEEK_S),
        ("604801", WEEK_S),
        ("1e300", WEEK_S),
    ],
)
def test_seconds_are_read_and_clamped(said: str, seconds: float) -> None:
    """A number counts up to seven days; more is cut down to that."""
    assert parse(retry_after=said) == seconds


@pytest.mark.parametrize(
    "said",
    [
        "inf",
        "-inf",
        "Infinity",
        "nan",
        "-5",
        "-0.1",
        "",
        "soon",
        "Fri, 99 Foo",
        "1e999",
        "0x10",
        "2s",
        "1,5",
        "9" * 5000,
    ],
)
def test_junk_is_nothing_said(said: str) -> None:
    """Infinite, negative and unreadable values are ignored."""
    assert parse(retry_after=said) is None
    assert parse(retry_after_ms=said) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thursday, 01-Jan-26 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2099 00:00:00 GMT", WEEK_S),
        ("Fri, 31 Dec 9999 23:59:59 -2359", WEEK_S),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_dates_are_read_and_clamped(said: str, seconds: float) -> None:
    """A date counts from now; one that has passed is no wait, one far off is cut down."""
    assert parse(retry_after=said) == seconds


@pytest.mark.parametrize(
    "said",
    ["Thu, 32 Jan 2026 12:00:00 GMT", "Thu, 01 Jan 99999 12:00:00 GMT", "Thu, 01 Jan 2026 25:00:00 GMT", "Thu, 01 Jan"],
)
def test_dates_that_are_none_are_nothing_said(said: str) -> None:
    """A date that does not exist is junk."""
    assert parse(retry_after=said) is None


def test_milliseconds_go_first() -> None:
    """The finer statement wins; where it is junk, the coarser counts."""
    assert parse(retry_after_ms="1500", retry_after="2") == 1.5
    assert parse(retry_after_ms="0", retry_after="2") == 0.0
    assert parse(retry_after_ms="nan", retry_after="2") == 2.0
    assert parse(retry_after_ms="-5", retry_after="2") == 2.0
    assert parse(retry_after_ms="1e300") == WEEK_S


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("46s", 46.0), ("34.074824224s", 34.074824224), ("0s", 0.0), ("35640s", 35640.0), ("999999999s", WEEK_S)],
)
def test_googles_retry_info_is_read(delay: str, seconds: float) -> None:
    """The delay among the details of an error body counts where no header speaks."""
    assert parse(retry_info(delay)) == seconds
    assert parse(retry_info(delay), retry_after="7") == 7.0
    assert parse(retry_info(delay), retry_after="junk") == seconds


@pytest.mark.parametrize(
    "delay", ["46", "-46s", "s", "46 s", "4 6s", "infs", "nans", "1e9s", "46s\n", 46, None, ["46s"], {}]
)
def test_a_broken_retry_info_is_nothing_said(delay: object) -> None:
    """What is no duration is ignored."""
    assert parse(retry_info(delay)) is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        5,
        {},
        {"error": None},
        {"error": "x"},
        {"error": {"details": {}}},
        {"error": {"details": ["x", 5]}},
    ],
)
def test_bodies_of_other_shapes_are_nothing_said(body: Any) -> None:
    """Nothing is assumed of the body."""
    assert parse(body) is None


@given(
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms"]),
        st.text(max_size=70)
        | st.floats().map(str)
        | st.integers().map(str)
        | st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
        | st.from_regex(
            r"[A-Z][a-z]{2}, \d{1,3} (Jan|Feb|Foo) \d{1,6} \d\d:\d\d:\d\d ([+-]\d{4}|GMT|[A-Z]{3})", fullmatch=True
        ),
    ),
    body=json_values,
)
@settings(max_examples=400)
def test_whatever_is_said_can_be_waited(headers: dict[str, str], body: Any) -> None:
    """Reading never raises, and gives nothing or a finite number from 0 to seven days."""
    for now in (NOW, None):
        seconds = parse_retry_after(headers, body=body, now=now)
        assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= MAX_RETRY_AFTER_S)
