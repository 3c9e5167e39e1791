"""What every counter of tokens keeps."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.ports import TokenCounterPort
from dipeo.infrastructure.token_calibration import CalibratingTokenCounter
from dipeo.infrastructure.token_estimate import EstimatingTokenCounter
from dipeo.testing import FakeTokenCounter


def taught_counter() -> CalibratingTokenCounter:
    """A counter that has learnt something of a model."""
    counter = CalibratingTokenCounter()
    for _ in range(6):
        counter.learn("m", estimated_tokens=100, reported_tokens=70)
    return counter


every_kind = pytest.mark.parametrize("make", [EstimatingTokenCounter, taught_counter, FakeTokenCounter])

Make = Callable[[], TokenCounterPort]


@every_kind
def test_it_is_a_counter(make: Make) -> None:
    """It implements the port."""
    assert isinstance(make(), TokenCounterPort)


@every_kind
@given(text=st.text())
def test_a_text_takes_tokens(make: Make, text: str) -> None:
    """A whole number from nothing on, and nothing for an empty text alone."""
    count = make().count_tokens(text)
    assert isinstance(count, int)
    assert count >= 0
    assert (count == 0) is (text == "")


@every_kind
@given(text=st.text(), more=st.text())
def test_a_longer_text_takes_no_fewer(make: Make, text: str, more: str) -> None:
    """What is added at the end never makes it cheaper."""
    counter = make()
    assert counter.count_tokens(text + more) >= counter.count_tokens(text)


@every_kind
@given(text=st.text(), model=st.none() | st.text())
def test_it_counts_alike_each_time(make: Make, text: str, model: str | None) -> None:
    """The same question has the same answer, also for a model that nobody knows."""
    counter = make()
    assert counter.count_tokens(text, model=model) == counter.count_tokens(text, model=model) >= 0


@every_kind
def test_text_that_cannot_be_sent_is_counted(make: Make) -> None:
    """A lone surrogate is refused elsewhere, by name; counting it does not fail."""
    assert make().count_tokens("a \ud800") > 0
