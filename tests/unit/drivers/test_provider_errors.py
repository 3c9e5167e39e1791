"""A provider's refusal becomes one of our errors, by status and code, and never shows the key."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain import errors
from dipeo.domain.errors import DipeoError
from dipeo.domain.secret import Secret
from dipeo.infrastructure.llm.drivers.provider_errors import MAX_MESSAGE_CHARS, Refusal, error_from, read_refusal
from dipeo.infrastructure.llm.drivers.wire import WireReply

KEY = "sk-canary-0123456789abcdefghijklmnopqrstuvwxyz"
SECRET = Secret(KEY)

NAMES = ("error", "message", "detail", "details", "code", "type", "status", "error_code", "errors", "retryDelay", "x")
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([KEY, f"Bad key {KEY}."]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


def error_of(
    status: int,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    sample: str = "",
    table: Mapping[str, type[DipeoError]] | None = None,
) -> DipeoError:
    """The error for such a reply."""
    reply = WireReply(status=status, headers=headers or {}, json=body, sample=sample)
    return error_from(reply, read_refusal(body), table or {}, key=SECRET)


class TestReading:
    """What an error body says."""

    @pytest.mark.parametrize(
        ("body", "message", "codes", "status"),
        [
            (
                {"error": {"message": "No.", "type": "requests", "code": "rate_limit_exceeded", "param": None}},
                "No.",
                ("rate_limit_exceeded", "requests"),
                None,
            ),
            (
                {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}},
                "Busy.",
                ("overloaded_error",),
                None,
            ),
            (
                {"error": {"type": "rate_limit_error", "message": "No.", "details": {"error_code": "spend_limit"}}},
                "No.",
                ("spend_limit", "rate_limit_error"),
                None,
            ),
            ({"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}, "Busy.", ("UNAVAILABLE",), 503),
            (
                [{"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}],
                "No.",
                ("INVALID_ARGUMENT",),
                400,
            ),
            ({"error": "model not found"}, "model not found", (), None),
            ({"detail": "Not here."}, "Not here.", (), None),
            ({"message": "Unauthorized", "type": "auth"}, "Unauthorized", ("auth",), None),
            ({"error": {"code": None, "type": ""}, "message": "Outside."}, "Outside.", (), None),
            ({"error": {"code": 200}}, "", (), None),
            ({"error": {"code": True}}, "", (), None),
            ({"error": {"code": 10**30}}, "", (), None),
            ("plain text", "plain text", (), None),
            ([], "", (), None),
            ([[]], "", (), None),
            ({}, "", (), None),
            (None, "", (), None),
            (5, "", (), None),
        ],
    )
    def test_every_known_shape_is_read(
        self, body: Any, message: str, codes: tuple[str, ...], status: int | None
    ) -> None:
        """Message, codes from the most specific to the least, and a status that the body repeats."""
        assert read_refusal(body) == Refusal(message=message, codes=codes, status=status)

    @given(body=json_values)
    @settings(max_examples=250)
    def test_any_json_is_read(self, body: Any) -> None:
        """Whatever the body, there are a text, texts as codes, and a status of an error or none."""
        refusal = read_refusal(body)
        assert isinstance(refusal.message, str)
        assert all(isinstance(code, str) and code for code in refusal.codes)
        assert refusal.status is None or 400 <= refusal.status < 600


class TestSorting:
    """Which error it becomes."""

    @pytest.mark.parametrize(
        ("status", "kind", "is_retryable"),
        [
            (400, errors.InvalidRequestError, False),
            (401, errors.APIKeyRefusedError, False),
            (402, errors.QuotaExhaustedError, False),
            (403, errors.AccessDeniedError, False),
            (404, errors.ModelNotFoundError, False),
            (405, errors.ConfigurationError, False),
            (408, errors.ProviderError, True),
            (413, errors.RequestTooLargeError, False),
            (418, errors.InvalidRequestError, False),
            (422, errors.InvalidRequestError, False),
            (429, errors.RateLimitError, True),
            (301, errors.ConfigurationError, False),
            (307, errors.ConfigurationError, False),
            (308, errors.ConfigurationError, False),
            (500, errors.ProviderError, True),
            (501, errors.ProviderError, False),
            (502, errors.ProviderError, True),
            (503, errors.OverloadedError, True),
            (504, errors.ProviderError, True),
            (505, errors.ProviderError, False),
            (529, errors.OverloadedError, True),
            (599, errors.ProviderError, True),
        ],
    )
    def test_the_status_decides_where_no_code_does(
        self, status: int, kind: type[DipeoError], *, is_retryable: bool
    ) -> None:
        """The table of statuses; the provider's status is a fact of the error."""
        error = error_of(status, {"error": {"message": "No.", "type": "unheard_of"}})
        assert type(error) is kind
        assert error.is_retryable is is_retryable
        assert (error.status, error.provider_code) == (status, "unheard_of")

    @pytest.mark.parametrize("status", [301, 307, 404, 405])
    def test_an_address_that_is_not_the_services_is_named(self, status: int) -> None:
        """Nobody but the caller can mend it: the error names the setting, and says what is wrong with it."""
        error = error_of(status, None)
        assert (type(error), error.field) == (errors.ConfigurationError, "base_url")
        assert f"(HTTP {status})" in error.message
        assert ("redirect" in error.message) is (status < 400)
        assert "base URL" in (error.suggestion or "")
        assert error_of(400, None).field is None

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (400, "context_length_exceeded", errors.ContextTooLongError),
            (429, "insufficient_quota", errors.QuotaExhaustedError),
            (400, "model_not_found", errors.ModelNotFoundError),
            (400, "invalid_api_key", errors.APIKeyRefusedError),
        ],
    )
    def test_a_common_code_goes_before_the_status(self, status: int, code: str, kind: type[DipeoError]) -> None:
        """What a code says precisely is not overruled by a status."""
        assert type(error_of(status, {"error": {"code": code, "message": "No."}})) is kind

    def test_the_dialects_own_table_goes_first_and_the_most_specific_code_wins(self) -> None:
        """A vendor's meaning of a code counts for that vendor."""
        table = {"insufficient_quota": errors.RateLimitError, "spend": errors.QuotaExhaustedError}
        assert type(error_of(429, {"error": {"code": "insufficient_quota"}}, table=table)) is errors.RateLimitError
        body = {"error": {"type": "insufficient_quota", "details": {"error_code": "spend"}}}
        assert type(error_of(429, body, table=table)) is errors.QuotaExhaustedError

    def test_an_error_within_a_success_is_sorted_by_its_body(self) -> None:
        """A reply of status 200 that holds an error counts as what its body says."""
        error = error_of(200, {"error": {"code": 503, "message": "Busy."}})
        assert type(error) is errors.OverloadedError
        assert error.status == 503
        assert type(error_of(200, {"error": "boom"})) is errors.ProviderError

    def test_an_address_that_does_not_exist_is_no_unknown_model(self) -> None:
        """A 404 without any JSON comes from a wrong base URL."""
        assert type(error_of(404, None, sample="<html>")) is errors.ConfigurationError
        assert type(error_of(404, {"error": {"message": "no such model"}})) is errors.ModelNotFoundError

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_the_provider_may_forbid_a_retry(self, status: int) -> None:
        """A provider that says not to come back is believed."""
        assert error_of(status, headers={"x-should-retry": "false"}).is_retryable is False
        assert error_of(status, headers={"x-should-retry": "true"}).is_retryable is True

    def test_the_wait_is_read(self) -> None:
        """Headers and body are both looked at."""
        assert error_of(429, headers={"retry-after": "2"}).retry_after_s == 2.0
        body = {"error": {"code": 429, "details": [{"retryDelay": "46s"}]}}
        assert error_of(429, body).retry_after_s == 46.0
        assert error_of(429).retry_after_s is None


class TestWords:
    """What the error says."""

    def test_it_repeats_what_the_provider_says(self) -> None:
        """The provider's words follow ours; without any, the status does."""
        assert "It says: Too many." in error_of(429, {"error": {"message": "Too many."}}).message
        assert "(HTTP 429)" in error_of(429).message

    def test_long_words_are_cut(self) -> None:
        """A megabyte of message stays a line."""
        error = error_of(400, {"error": {"message": "x" * 10**6, "code": "y" * 10**6}})
        assert len(error.message) < MAX_MESSAGE_CHARS + 200
        assert len(json.dumps(error.to_dict())) < 5000

    def test_the_key_is_masked_in_words_and_sample(self) -> None:
        """A provider that repeats the key does not get it into our errors."""
        error = error_of(401, {"error": {"message": f"Incorrect API key: {KEY}."}}, sample=f"key={KEY}")
        assert KEY not in json.dumps(error.to_dict())
        assert "***" in error.message
        assert "***" in str(error.context["sample"])

    @pytest.mark.parametrize("position", range(MAX_MESSAGE_CHARS - len(KEY) - 1, MAX_MESSAGE_CHARS + 1, 7))
    def test_a_cut_does_not_leave_half_a_key(self, position: int) -> None:
        """A key that stands where the words are cut is masked whole, not shown in part."""
        error = error_of(401, {"error": {"message": "x" * position + KEY + "y" * 100}})
        assert KEY[:10] not in error.message

    @given(status=st.integers(300, 599), body=json_values)
    @settings(max_examples=250)
    def test_any_refusal_becomes_an_error_without_the_key(self, status: int, body: Any) -> None:
        """Whatever the body, there is an error that is JSON, can be printed, and does not hold the key."""
        error = error_of(status, body, sample=json.dumps(body)[:200])
        shown = json.dumps(error.to_dict(), allow_nan=False) + str(error)
        assert KEY not in shown
        assert error.status is not None
        assert not isinstance(error, errors.AuthenticationError | errors.PermissionDeniedError)
