"""Options of a call are read once, and provider options go into the body without replacing what is ours."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import CompletionOptions
from dipeo.domain.errors import ValidationError
from dipeo.domain.sampling import NO_SAMPLING, SAMPLING_NAMES, Sampling
from dipeo.infrastructure.llm.drivers.options import (
    DEFAULT_MAX_ATTEMPTS,
    DEFAULT_TIMEOUT_S,
    KNOWN_OPTIONS,
    NO_OPTIONS,
    CallOptions,
    read_options,
)
from dipeo.infrastructure.llm.drivers.provider_options import RESERVED, with_provider_options

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def test_no_options_are_the_defaults() -> None:
    """Nothing given, and everything given as None, leave all to the service."""
    nothing: Any = dict.fromkeys(KNOWN_OPTIONS - {"strict", "provider_options"})
    assert read_options({}) == read_options(nothing) == NO_OPTIONS
    assert (NO_OPTIONS.timeout_s, NO_OPTIONS.max_attempts) == (DEFAULT_TIMEOUT_S, DEFAULT_MAX_ATTEMPTS)


def test_the_usual_limits_hold_where_a_call_has_none() -> None:
    """A call's own go before them, each by itself."""
    usual = CallOptions(timeout_s=9, first_token_timeout_s=3, idle_timeout_s=2, max_attempts=5)
    nothing: Any = dict.fromkeys(("timeout_s", "first_token_timeout_s", "idle_timeout_s", "max_attempts"))
    assert read_options({}, usual) == read_options(nothing, usual) == usual
    for name, value in (
        ("timeout_s", 8.0),
        ("first_token_timeout_s", 1.0),
        ("idle_timeout_s", 4.0),
        ("max_attempts", 1),
    ):
        own: Any = {name: value}
        assert read_options(own, usual) == evolve(usual, **own)


def test_the_known_options_are_the_published_ones() -> None:
    """What the type promises is what is read, sampling included."""
    assert set(CompletionOptions.__annotations__) == KNOWN_OPTIONS
    assert set(SAMPLING_NAMES) < KNOWN_OPTIONS


def test_what_is_given_is_read() -> None:
    """Each option lands in its field."""
    read = read_options(
        {
            "seed": 1,
            "timeout_s": 2,
            "max_attempts": 3,
            "provider_options": {"a": 1},
            "base_url": "https://x",
            "strict": True,
        }
    )
    assert read.sampling == Sampling(seed=1)
    assert (read.timeout_s, read.max_attempts, read.base_url, read.is_strict) == (2, 3, "https://x", True)
    assert read.provider_options == {"a": 1}
    assert read_options({"timeout_s": 2}).sampling == NO_SAMPLING


@given(options=st.dictionaries(st.sampled_from(sorted(KNOWN_OPTIONS)) | st.text(max_size=9), values, max_size=4))
@settings(max_examples=250)
@example(options={"stop": 5})
@example(options={"max_tokens": 10**400})
def test_any_options_are_read_or_refused(options: Any) -> None:
    """Whatever is passed, the refusal names one of the options."""
    try:
        read_options(options)
    except ValidationError as error:
        field = error.field or ""
        assert any(field.startswith(name) for name in options)


class TestProviderOptions:
    """What goes into the body as it is."""

    def test_options_are_added_and_replace(self) -> None:
        """A new name is added, one that is there is replaced."""
        assert with_provider_options({"a": 1, "b": 1}, {"b": 2, "c": 3}) == {"a": 1, "b": 2, "c": 3}

    def test_objects_are_merged_one_level_deep(self) -> None:
        """An object of ours keeps what the option does not name; deeper levels are replaced."""
        ours: dict[str, Any] = {"config": {"temperature": 1, "thinking": {"budget": 1, "show": True}}}
        merged = with_provider_options(ours, {"config": {"top_k": 5, "thinking": {"budget": 2}}})
        assert merged == {"config": {"temperature": 1, "top_k": 5, "thinking": {"budget": 2}}}

    def test_an_object_and_a_plain_value_are_not_merged(self) -> None:
        """Where only one of the two is an object, the option wins."""
        assert with_provider_options({"a": {"b": 1}}, {"a": 5}) == {"a": 5}
        assert with_provider_options({"a": 5}, {"a": {"b": 1}}) == {"a": {"b": 1}}

    def test_no_options_change_nothing(self) -> None:
        """An empty mapping leaves the body alone."""
        assert with_provider_options({"a": 1}, {}) == {"a": 1}

    def test_the_options_themselves_are_not_changed(self) -> None:
        """What the caller passed in can be passed in again."""
        options: dict[str, Any] = {"config": {"top_k": 5}}
        with_provider_options({"config": {"temperature": 1}}, options)
        assert options == {"config": {"top_k": 5}}

    @pytest.mark.parametrize("name", sorted(RESERVED))
    def test_what_is_ours_cannot_be_replaced(self, name: str) -> None:
        """Model, messages and streaming are decided by the call alone."""
        with pytest.raises(ValidationError) as caught:
            with_provider_options({name: "ours"}, {name: "theirs"})
        assert caught.value.field == f"provider_options.{name}"

    def test_the_reserved_names_hold_what_decides_the_question(self) -> None:
        """The names under which providers take messages and model are all there."""
        assert {"model", "messages", "contents", "stream"} <= RESERVED
