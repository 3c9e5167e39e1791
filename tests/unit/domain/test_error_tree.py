"""Errors are what the drawing says, and travel whole: by pickle, by copy, as JSON."""

import copy
import inspect
import json
import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo import errors as published
from dipeo.domain import errors
from dipeo.domain.attempt import Attempt
from dipeo.domain.errors import DipeoError, DipeoUsageError
from dipeo.domain.service import LLMService
from dipeo.domain.usage import Usage
from dipeo.domain.verdict import OUTCOME_UNKNOWN_VERDICTS, RETRYABLE_VERDICTS, Verdict

TRUNK = {
    "InvalidRequestError": 400,
    "ValidationError": 400,
    "UnknownFeatureError": 400,
    "UnknownOperationError": 400,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "RunNotFoundError": 404,
    "IdempotencyConflictError": 409,
    "RateLimitError": 429,
    "AgentFailureError": 500,
    "ProviderError": 502,
    "ModelUnavailableError": 503,
    "InsufficientResourcesError": 503,
    "TimeoutError": 504,
}
DEFINED: dict[str, type[Exception]] = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == errors.__name__
}
KINDS: list[type[DipeoError]] = [kind for kind in DEFINED.values() if issubclass(kind, DipeoError)]
USAGE_KINDS = [kind for kind in DEFINED.values() if issubclass(kind, DipeoUsageError)]

ATTEMPTS = tuple(
    Attempt(
        call_id="call-1",
        number=number,
        service=LLMService.ANTHROPIC,
        model="m",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        latency_ms=12.5,
        verdict=verdict,
        usage=Usage(input_tokens=3),
        decision="tried again",
    )
    for number, verdict in ((1, Verdict.RATE_LIMITED), (2, Verdict.CONNECTION_LOST))
)
FACTS: dict[str, Any] = {
    "suggestion": "Do this.",
    "verdict": Verdict.CONNECTION_LOST,
    "provider": "anthropic",
    "model": "m",
    "operation": "summarize",
    "field": "f",
    "status": 418,
    "provider_code": "teapot",
    "request_id": "req-1",
    "retry_after_s": 1.5,
    "is_retryable": True,
}
CONTEXT: dict[str, Any] = {"partial_text": "Hel", "sample": "<html>", "nested": {"a": [1, None, "é"]}, "count": 0}


def drawn() -> dict[str, tuple[str, str | None]]:
    """Each class in the drawing with its parent and the status beside it."""
    tree: dict[str, tuple[str, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"((?:│   |    |├── |└── )*)(\w+Error)(?: \((\d+)\))?", line)
        if match is None:
            continue
        depth = len(match.group(1)) // 4
        path = [*path[:depth], match.group(2)]
        tree[match.group(2)] = (path[-2] if depth else "Exception", match.group(3))
    return tree


def state_of(error: DipeoError) -> dict[str, Any]:
    """All that an error holds."""
    return {**vars(error), "type": type(error), "args": error.args, "str": str(error)}


class TestTree:
    """The drawing at the top of the module."""

    def test_the_drawing_holds_every_class_and_no_other(self) -> None:
        """What is drawn exists, and what exists is drawn, each below its own parent."""
        classes = {name: kind.__bases__[0].__name__ for name, kind in DEFINED.items()}
        assert {name: parent for name, (parent, _) in drawn().items()} == classes

    def test_no_class_has_two_parents(self) -> None:
        """A drawing cannot show them."""
        assert all(len(kind.__bases__) == 1 for kind in DEFINED.values())

    def test_the_drawing_tells_the_statuses(self) -> None:
        """A status is drawn where it differs from the parent's, and inherited where none is drawn."""
        for name, (parent, status) in drawn().items():
            kind = DEFINED[name]
            if not issubclass(kind, DipeoError) or name == "DipeoError":
                assert status is None
                continue
            above = DEFINED[parent]
            assert issubclass(above, DipeoError)
            assert kind.http_status == (int(status) if status else above.http_status), name

    @pytest.mark.parametrize(("name", "status"), TRUNK.items())
    def test_the_trunk_has_its_statuses(self, name: str, status: int) -> None:
        """The fourteen published errors answer over HTTP as published."""
        kind = DEFINED[name]
        assert issubclass(kind, DipeoError)
        assert kind.http_status == status

    def test_mistakes_of_programs_are_no_outages(self) -> None:
        """A handler for what goes wrong outside does not catch a bug, nor the other way round."""
        assert USAGE_KINDS
        assert not any(issubclass(kind, DipeoError) for kind in USAGE_KINDS)
        assert not any(issubclass(kind, DipeoUsageError) for kind in KINDS)

    def test_every_error_has_a_code_of_its_own_and_words(self) -> None:
        """Codes tell the classes apart; each class has a docstring and a default message."""
        codes = [kind.code for kind in KINDS]
        assert len(set(codes)) == len(codes)
        assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
        assert all((kind.__doc__ or "").strip() for kind in DEFINED.values())
        assert all("default_message" in vars(kind) for kind in KINDS)

    def test_no_error_hides_a_builtin_but_the_published_one(self) -> None:
        """`TimeoutError` alone shares its name, and is no subclass of the builtin."""
        builtins = vars(__import__("builtins"))
        assert {name for name in DEFINED if name in builtins} == {"TimeoutError"}
        assert not issubclass(errors.TimeoutError, OSError)


class TestPublished:
    """`dipeo.errors`."""

    def test_every_error_is_published(self) -> None:
        """All classes of the tree can be imported from `dipeo.errors`, and are the same classes."""
        for name, kind in DEFINED.items():
            assert getattr(published, name) is kind

    def test_a_star_import_hides_nobodys_names(self) -> None:
        """All come by a star import but the two whose names others use too."""
        namespace: dict[str, object] = {}
        exec("from dipeo.errors import *", namespace)
        assert set(DEFINED) - set(namespace) == {"TimeoutError", "ValidationError"}
        assert namespace["Verdict"] is Verdict


class TestFacts:
    """What an error carries."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_error_needs_no_arguments(self, kind: type[DipeoError]) -> None:
        """Each has a message, a verdict where one fits, and says whether to retry by it."""
        error = kind()
        assert error.message == kind.default_message == error.args[0]
        assert error.is_retryable is (error.verdict in RETRYABLE_VERDICTS)
        assert error.is_outcome_unknown is (error.verdict in OUTCOME_UNKNOWN_VERDICTS)
        assert str(error).startswith(error.message)

    @pytest.mark.parametrize(
        ("name", "is_retryable", "is_unknown"),
        [
            ("RateLimitError", True, False),
            ("QuotaExhaustedError", False, False),
            ("OverloadedError", True, False),
            ("ModelNotFoundError", False, False),
            ("ProviderError", True, False),
            ("APIKeyRefusedError", False, False),
            ("AccessDeniedError", False, False),
            ("ConnectFailedError", True, False),
            ("EmptyResponseError", True, False),
            ("ConnectionLostError", False, True),
            ("DeadlineExceededError", False, True),
            ("IncompleteStreamError", False, True),
            ("MalformedResponseError", False, True),
            ("ToolCallInvalidError", True, False),
            ("InvalidRequestError", False, False),
            ("ContextTooLongError", False, False),
            ("RequestTooLargeError", False, False),
            ("ConfigurationError", False, False),
            ("LocalOverloadError", False, False),
        ],
    )
    def test_the_verdicts_are_those_of_the_catalogue(self, name: str, *, is_retryable: bool, is_unknown: bool) -> None:
        """What is retried by default, and where somebody may have been billed, is fixed."""
        kind = DEFINED[name]
        assert issubclass(kind, DipeoError)
        assert (kind().is_retryable, kind().is_outcome_unknown) == (is_retryable, is_unknown)

    def test_what_is_said_goes_before_the_defaults(self) -> None:
        """A verdict or a flag that is passed in is kept."""
        assert errors.RateLimitError(is_retryable=False).is_retryable is False
        assert errors.ValidationError(verdict=Verdict.OVERLOADED).is_retryable is True
        assert errors.RateLimitError(suggestion="x").suggestion == "x"

    def test_the_text_says_who_and_what_to_do(self) -> None:
        """Provider and model stand in front, the suggestion behind."""
        error = errors.RateLimitError("Slow down.", provider="openai", model="m", suggestion="Wait.")
        assert str(error) == "[openai m] Slow down. Wait."

    def test_context_without_a_value_is_left_out(self) -> None:
        """None says nothing; zero and emptiness do."""
        assert DipeoError(a=None, b=0, c="").context == {"b": 0, "c": ""}

    def test_a_broken_stream_keeps_what_arrived(self) -> None:
        """The partial text is there by name, and empty where there was none."""
        assert errors.IncompleteStreamError(partial_text="Hel").partial_text == "Hel"
        assert errors.IncompleteStreamError().partial_text == ""
        assert errors.IncompleteStreamError(partial_text=5).partial_text == ""


class TestTravelling:
    """Errors cross process borders."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_error_survives_every_way_of_copying(self, kind: type[DipeoError]) -> None:
        """Message, every fact, context and attempts are the same after pickling and copying."""
        error = kind("What happened.", **FACTS, **CONTEXT).with_attempts(ATTEMPTS)
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert state_of(pickle.loads(pickle.dumps(error, protocol=protocol))) == state_of(error)
        assert state_of(copy.copy(error)) == state_of(error)
        assert state_of(copy.deepcopy(error)) == state_of(error)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_bare_error_survives_too(self, kind: type[DipeoError]) -> None:
        """What was left to the defaults stays so, and a fact that was set later is not lost."""
        error = kind()
        assert state_of(pickle.loads(pickle.dumps(error))) == state_of(error)
        error.provider, error.is_retryable = "openai", not error.is_retryable
        assert state_of(pickle.loads(pickle.dumps(error))) == state_of(error)

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_error_is_json(self, kind: type[DipeoError]) -> None:
        """Type, code, status, message, every fact, context and attempts are JSON values."""
        error = kind("What happened.", **FACTS, **CONTEXT).with_attempts(ATTEMPTS)
        entry = json.loads(json.dumps(error.to_dict(), allow_nan=False))
        assert entry == {
            "type": kind.__name__,
            "code": kind.code,
            "http_status": kind.http_status,
            "message": "What happened.",
            **FACTS,
            "context": CONTEXT,
            "attempts": [json.loads(json.dumps(attempt.to_dict())) for attempt in ATTEMPTS],
        }

    @given(
        message=st.text(min_size=1),
        status=st.none() | st.integers(100, 599),
        retry_after_s=st.none() | st.floats(0, 1e6),
        is_retryable=st.none() | st.booleans(),
        verdict=st.none() | st.sampled_from(Verdict),
        context=st.dictionaries(st.sampled_from(["sample", "partial_text", "cause"]), st.text() | st.integers()),
    )
    @settings(max_examples=60)
    def test_any_facts_survive(
        self,
        message: str,
        status: int | None,
        retry_after_s: float | None,
        *,
        is_retryable: bool | None,
        verdict: Verdict | None,
        context: dict[str, Any],
    ) -> None:
        """Whatever the values, nothing is lost on the way."""
        error = errors.ProviderError(
            message, status=status, retry_after_s=retry_after_s, is_retryable=is_retryable, verdict=verdict, **context
        )
        assert state_of(pickle.loads(pickle.dumps(error))) == state_of(error)
        assert json.loads(json.dumps(error.to_dict()))["context"] == context

    @pytest.mark.parametrize("kind", USAGE_KINDS)
    def test_usage_errors_travel_too(self, kind: type[Exception]) -> None:
        """Mistakes are plain exceptions with a message."""
        again = pickle.loads(pickle.dumps(kind("Close it.")))
        assert (type(again), again.args) == (kind, ("Close it.",))

    def test_attempts_stay_with_the_error_they_are_put_on(self) -> None:
        """`with_attempts()` returns the error itself, so that it can be raised in one breath."""
        error = errors.ProviderError()
        assert error.attempts == ()
        assert error.with_attempts(ATTEMPTS) is error
        assert error.attempts == ATTEMPTS
