"""Numbers are refused where they enter, and the settings of a call go before those of a config."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.attempt import Attempt, Billed
from dipeo.domain.errors import UnknownServiceError, ValidationError
from dipeo.domain.model import ModelTarget
from dipeo.domain.sampling import NO_SAMPLING, SAMPLING_NAMES, ReasoningEffort, Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.domain.verdict import OUTCOME_UNKNOWN_VERDICTS, RETRYABLE_VERDICTS, Verdict

WRITES = ("cache_write_short_tokens", "cache_write_long_tokens")
COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
NOT_NUMBERS: tuple[object, ...] = ("1", b"1", [1], {}, True, False, 1j)
NOT_FINITE = (math.nan, math.inf, -math.inf)

counts = st.integers(0, 10**9)
usages = st.builds(
    lambda short, long, rest, **others: Usage(
        cache_write_tokens=short + long + rest, cache_write_short_tokens=short, cache_write_long_tokens=long, **others
    ),
    **dict.fromkeys(("short", "long", "rest", *(name for name in COUNTS if "write" not in name)), counts),
    is_reported=st.booleans(),
)
samplings = st.builds(
    Sampling,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0.01, 1),
    max_tokens=st.none() | st.integers(1, 2**31 - 1),
    stop=st.none() | st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    reasoning_effort=st.none() | st.sampled_from(ReasoningEffort),
)


def refused(field: str, make: Any, **values: Any) -> str:
    """The message of the refusal, which must name the field."""
    with pytest.raises(ValidationError) as caught:
        make(**values)
    assert caught.value.field is not None
    assert caught.value.field.startswith(field)
    assert field in caught.value.message
    return caught.value.message


class TestSampling:
    """The settings of one answer."""

    @pytest.mark.parametrize("field", ["temperature", "top_p", "max_tokens", "seed"])
    @pytest.mark.parametrize("value", [*NOT_NUMBERS, *NOT_FINITE])
    def test_what_is_no_number_is_refused(self, field: str, value: object) -> None:
        """Text, lists, booleans, NaN and infinities are refused by the name of the field."""
        refused(field, Sampling, **{field: value})

    @pytest.mark.parametrize("field", ["max_tokens", "seed"])
    def test_whole_numbers_have_no_fraction(self, field: str) -> None:
        """A number with a fraction is no count of tokens and no seed."""
        refused(field, Sampling, **{field: 10.5})
        refused(field, Sampling, **{field: 10.0})

    @pytest.mark.parametrize("field", ["temperature", "top_p", "max_tokens", "seed"])
    @pytest.mark.parametrize("value", [10**30, -(10**30), 10**400, -(10**400), 10**5000], ids="abcde")
    def test_numbers_of_any_size_are_refused_alike(self, field: str, value: int) -> None:
        """A number that no float can hold, or that Python will not print, is a refusal like any other."""
        refused(field, Sampling, **{field: value})

    @given(value=st.floats(max_value=0, exclude_max=True) | st.floats(min_value=2, exclude_min=True))
    @settings(max_examples=50)
    def test_a_temperature_is_from_0_to_2(self, value: float) -> None:
        """Everything outside the widest range of any provider is refused."""
        refused("temperature", Sampling, temperature=value)

    @given(value=st.integers(max_value=0) | st.integers(min_value=2**31))
    @settings(max_examples=50)
    def test_a_token_limit_is_a_positive_32_bit_number(self, value: int) -> None:
        """Zero, negative and absurd limits are refused."""
        refused("max_tokens", Sampling, max_tokens=value)

    def test_top_p_is_above_0_up_to_1(self) -> None:
        """The ends of the range are as documented: 1 is in it, 0 is not."""
        assert Sampling(top_p=1).top_p == 1
        refused("top_p", Sampling, top_p=0)
        refused("top_p", Sampling, top_p=1.01)
        refused("top_p", Sampling, top_p=-0.1)

    def test_the_ends_of_the_other_ranges_are_taken(self) -> None:
        """The smallest and the largest allowed values pass."""
        assert Sampling(temperature=0, max_tokens=1, seed=-(2**63)).max_tokens == 1
        assert Sampling(temperature=2, max_tokens=2**31 - 1, seed=2**63 - 1).temperature == 2

    def test_a_single_stop_word_is_a_list_of_one(self) -> None:
        """One text, a list and a tuple of texts all become a tuple; nothing becomes None."""
        assert Sampling(stop="END").stop == ("END",)
        assert Sampling(stop=["a", "b"]).stop == ("a", "b")
        assert Sampling(stop=()).stop is None

    @pytest.mark.parametrize("stop", ["", [""], [1], [None], ["\ud800"], 5, True, 1.5, [["a"]], b"x"])
    def test_bad_stop_words_are_refused(self, stop: object) -> None:
        """Empty words, lone surrogates and whatever is no text is refused, a bare number too."""
        refused("stop", Sampling, stop=stop)

    def test_efforts_are_a_closed_set(self) -> None:
        """A known word becomes the enum's; any other is refused with the known ones in the message."""
        assert Sampling(reasoning_effort="high").reasoning_effort is ReasoningEffort.HIGH
        assert "minimal" in refused("reasoning_effort", Sampling, reasoning_effort="huge")
        refused("reasoning_effort", Sampling, reasoning_effort=3)
        refused("reasoning_effort", Sampling, reasoning_effort=["high"])

    @given(first=samplings, second=samplings)
    @settings(max_examples=60)
    def test_the_first_wins_field_by_field(self, first: Sampling, second: Sampling) -> None:
        """What the first leaves open the second fills in; what it says stands."""
        both = first.over(second)
        for name in SAMPLING_NAMES:
            mine, theirs = getattr(first, name), getattr(second, name)
            assert getattr(both, name) == (theirs if mine is None else mine)

    def test_zero_is_a_setting(self) -> None:
        """A temperature of 0 is said, not left open."""
        assert Sampling(temperature=0).over(Sampling(temperature=1, seed=7)) == Sampling(temperature=0, seed=7)
        assert Sampling(seed=0).over(Sampling(seed=1)).seed == 0

    @given(sampling=samplings)
    @settings(max_examples=20)
    def test_no_settings_change_nothing(self, sampling: Sampling) -> None:
        """The empty settings are neutral on both sides."""
        assert sampling.over(NO_SAMPLING) == sampling == NO_SAMPLING.over(sampling)


class TestUsage:
    """Token counts."""

    @given(first=usages, second=usages)
    @settings(max_examples=50)
    def test_adding_adds_every_count(self, first: Usage, second: Usage) -> None:
        """Each count is summed by itself, in either order, and the sum is reported only if both were."""
        both = first + second
        assert both == second + first
        for name in (*COUNTS, *WRITES):
            assert getattr(both, name) == getattr(first, name) + getattr(second, name)
        assert both.is_reported is (first.is_reported and second.is_reported)
        assert both.total_tokens == first.total_tokens + second.total_tokens

    def test_the_parts_are_not_counted_twice(self) -> None:
        """Cached and reasoning tokens are parts of input and output, not added to the total."""
        assert Usage(input_tokens=10, output_tokens=5, cached_tokens=8, reasoning_tokens=4).total_tokens == 15

    def test_what_was_written_is_not_less_than_its_parts(self) -> None:
        """Of what was written, some may be known to be kept for long or for short; the rest is not known."""
        assert Usage(cache_write_tokens=3, cache_write_short_tokens=1, cache_write_long_tokens=1).total_tokens == 0
        refused(
            "cache_write_tokens", Usage, cache_write_tokens=3, cache_write_short_tokens=2, cache_write_long_tokens=2
        )

    def test_nothing_reported_is_not_nothing_used(self) -> None:
        """The unreported usage differs from a reported zero, and makes every sum unreported."""
        assert Usage() != UNREPORTED_USAGE
        assert not (Usage(input_tokens=3) + UNREPORTED_USAGE).is_reported

    def test_it_is_json(self) -> None:
        """All counts and the flag are JSON values under their own names."""
        assert json.loads(json.dumps(Usage(input_tokens=1).to_dict())) == {
            **dict.fromkeys((*COUNTS, *WRITES), 0),
            "input_tokens": 1,
            "is_reported": True,
        }

    @pytest.mark.parametrize("value", [-1, True, 1.5, math.nan, math.inf, "1", None])
    def test_what_is_no_count_is_refused(self, value: object) -> None:
        """A count is a whole number from zero up; anything else is refused by the name of the field."""
        for field in (*COUNTS, *WRITES):
            refused(field, Usage, **{field: value})


class TestAttempt:
    """The record of one attempt."""

    FACTS: dict[str, Any] = {  # noqa: RUF012
        "call_id": "c",
        "number": 1,
        "service": LLMService.OPENAI,
        "model": "m",
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "latency_ms": 1.0,
    }

    @pytest.mark.parametrize("verdict", [None, *Verdict])
    def test_whether_it_costs_follows_from_how_it_ended(self, verdict: Verdict | None) -> None:
        """An answer costs, even a useless one; an unknown outcome perhaps; a refusal does not."""
        billed = Attempt(**self.FACTS, verdict=verdict).billed
        if verdict is None or verdict in {Verdict.EMPTY_RESPONSE, Verdict.TOOL_CALL_INVALID}:
            assert billed is Billed.YES
        elif verdict in OUTCOME_UNKNOWN_VERDICTS:
            assert billed is Billed.PERHAPS
        else:
            assert billed is Billed.NO

    def test_it_is_json(self) -> None:
        """Every field is a JSON value under its own name, and whether it costs besides."""
        attempt = Attempt(**self.FACTS, verdict=Verdict.RATE_LIMITED, retry_after_s=2.0)
        entry = json.loads(json.dumps(attempt.to_dict()))
        assert entry.keys() == {name for name in dir(attempt) if not name.startswith("_")} - {"to_dict"}
        assert entry["started_at"] == "2026-01-01T00:00:00+00:00"
        assert (entry["verdict"], entry["billed"], entry["retry_after_s"]) == ("rate_limited", "no", 2.0)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("number", 0),
            ("number", True),
            ("number", 1.5),
            ("latency_ms", math.nan),
            ("latency_ms", -1.0),
            ("waited_s", math.inf),
            ("waited_s", -0.5),
            ("started_at", datetime(2026, 1, 1)),
        ],
    )
    def test_bad_values_are_refused(self, field: str, value: object) -> None:
        """Numbers that cannot be and times without a zone are refused by the name of the field."""
        refused(field, Attempt, **{**self.FACTS, field: value})


class TestVerdict:
    """The closed set of failures."""

    def test_a_verdict_is_retried_or_unknown_but_never_both(self) -> None:
        """What may have been billed is never retried without being asked for."""
        assert not RETRYABLE_VERDICTS & OUTCOME_UNKNOWN_VERDICTS

    def test_what_a_retry_cannot_cure_is_not_retried(self) -> None:
        """No quota, no valid key and no valid request are never tried again."""
        assert {
            Verdict.RATE_LIMITED,
            Verdict.OVERLOADED,
            Verdict.PROVIDER_ERROR,
            Verdict.EMPTY_RESPONSE,
            Verdict.CONNECT_FAILED,
            Verdict.TOOL_CALL_INVALID,
        } == RETRYABLE_VERDICTS


class TestService:
    """Names of services."""

    @pytest.mark.parametrize("service", LLMService)
    def test_a_service_is_found_by_its_own_name(self, service: LLMService) -> None:
        """The name counts in any case, with space around it, and as the enum itself."""
        assert LLMService.from_name(service) is service
        assert LLMService.from_name(f" {service.value.upper()} ") is service

    @pytest.mark.parametrize(
        ("name", "service"),
        [
            ("claude", LLMService.ANTHROPIC),
            ("Gemini", LLMService.GOOGLE),
            ("grok", LLMService.XAI),
            ("ChatGPT", LLMService.OPENAI),
            ("gpt", LLMService.OPENAI),
            ("local", LLMService.OLLAMA),
            ("openai-compatible", LLMService.OPENAI_COMPATIBLE),
        ],
    )
    def test_a_service_is_found_by_its_everyday_names(self, name: str, service: LLMService) -> None:
        """What people call a provider leads to its service."""
        assert LLMService.from_name(name) is service

    @pytest.mark.parametrize("name", ["", "opnai", "open ai", "__class__", "OPENAI\0", None, 5, [], "\ud800"])
    def test_an_unknown_name_is_refused_with_the_known_ones(self, name: Any) -> None:
        """The refusal names the field and lists what there is."""
        with pytest.raises(UnknownServiceError) as caught:
            LLMService.from_name(name)
        assert caught.value.field == "service"
        assert caught.value.suggestion is not None
        assert all(service.value in caught.value.suggestion for service in LLMService)


class TestModelTarget:
    """Where an alias points."""

    def test_a_service_may_be_named(self) -> None:
        """The service may be given by any of its names."""
        assert ModelTarget(service="claude", model="m").service is LLMService.ANTHROPIC

    @pytest.mark.parametrize("field", ["model", "api_key_id", "base_url"])
    @pytest.mark.parametrize("value", ["", " x", "x\n", "a\r\nb", "\0", "\ud800", "x" * 257, 5, b"x", True])
    def test_bad_names_are_refused(self, field: str, value: object) -> None:
        """Empty, endless, or unprintable names are refused by the name of the field."""
        refused(field, ModelTarget, **{"service": LLMService.OPENAI, "model": "m", field: value})
