"""Token counts that learn: they stay monotone, stay within bounds, and come closer to what was reported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.model import ModelTarget
from dipeo.domain.parts import ImagePart, TextPart
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.domain.service import LLMService
from dipeo.domain.usage import Usage
from dipeo.infrastructure.token_calibration import (
    LEAST_FACTOR,
    MAX_MODELS,
    MOST_FACTOR,
    CalibratingTokenCounter,
)
from dipeo.infrastructure.token_estimate import EstimatingTokenCounter
from dipeo.testing import FakeAliases

ENGLISH = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep. " * 20
reports = st.lists(st.tuples(st.integers(1, 100_000), st.integers(1, 10_000_000)), max_size=40)


def request_of(text: str, *, model: str = "m", part: ImagePart | None = None) -> CompletionRequest:
    parts = (TextPart(text),) if part is None else (TextPart(text), part)
    return CompletionRequest(service=LLMService.OPENAI, model=model, messages=(ChatMessage(Role.USER, parts),))


@given(reports=reports, text=st.text(), more=st.text())
def test_a_longer_text_takes_no_fewer_whatever_was_learnt(reports: list[tuple[int, int]], text: str, more: str) -> None:
    """The estimate is monotone, and nothing for an empty text alone."""
    counter = CalibratingTokenCounter()
    for estimated, reported in reports:
        counter.learn("m", estimated_tokens=estimated, reported_tokens=reported)
    count = counter.count_tokens(text, model="m")
    assert counter.count_tokens(text + more, model="m") >= count
    assert (count == 0) is (text == "")


@given(reports=reports)
def test_what_is_learnt_stays_within_bounds(reports: list[tuple[int, int]]) -> None:
    """Whatever is reported, the factor stays between 0.6 and 3, and below 1 after several reports alone."""
    counter = CalibratingTokenCounter()
    for number, (estimated, reported) in enumerate(reports, start=1):
        counter.learn("m", estimated_tokens=estimated, reported_tokens=reported)
        learnt = counter.calibration("m")
        assert learnt is not None
        assert LEAST_FACTOR <= learnt.factor <= MOST_FACTOR
        assert learnt.factor >= 1 or number >= 4


@given(share=st.floats(0.7, 2.5), count=st.integers(8, 60))
def test_steady_reports_are_approached_from_above(share: float, count: int) -> None:
    """A model whose texts always take the same share is soon counted at that share and a margin, never below it."""
    counter = CalibratingTokenCounter()
    for _ in range(count):
        counter.learn("m", estimated_tokens=10_000, reported_tokens=round(10_000 * share))
    learnt = counter.calibration("m")
    assert learnt is not None
    assert share <= learnt.factor <= share * 1.06


def test_surprises_are_believed_faster_upwards() -> None:
    """After cheap texts a dense one raises the count at once; one cheap text after dense ones changes little."""
    counter = CalibratingTokenCounter()
    for _ in range(20):
        counter.learn("m", estimated_tokens=1000, reported_tokens=700)
    before = counter.count_tokens(ENGLISH, model="m")
    counter.learn("m", estimated_tokens=1000, reported_tokens=1400)
    assert counter.count_tokens(ENGLISH, model="m") > before * 1.4


def test_models_are_told_apart_and_found_by_alias() -> None:
    """What was learnt of one says nothing of another."""
    aliases = FakeAliases({"fast": ModelTarget(service=LLMService.OPENAI, model="m")})
    counter: TokenCounterPort = CalibratingTokenCounter(aliases=aliases)
    assert isinstance(counter, CalibratingTokenCounter)
    first = EstimatingTokenCounter().count_tokens(ENGLISH)
    for _ in range(8):
        counter.learn("m", estimated_tokens=1000, reported_tokens=2000)
    assert counter.count_tokens(ENGLISH, model="m") > 1.9 * first
    assert counter.count_tokens(ENGLISH, model="fast") == counter.count_tokens(ENGLISH, model="m")
    assert counter.count_tokens(ENGLISH, model="other") == counter.count_tokens(ENGLISH) == first


def test_memory_is_bounded() -> None:
    """However many models are heard of, the latest are remembered and no more."""
    counter = CalibratingTokenCounter()
    for number in range(MAX_MODELS * 2):
        counter.observe(request_of(ENGLISH, model=f"m{number}"), Usage(input_tokens=400))
    assert repr(counter) == f"<CalibratingTokenCounter {MAX_MODELS} models>"
    assert counter.calibration("m0") is None
    assert counter.calibration(f"m{MAX_MODELS * 2 - 1}") is not None


def test_answers_teach() -> None:
    """A request of plain text and what was reported for it make the next count truer."""
    counter = CalibratingTokenCounter()
    request = request_of(ENGLISH)
    reported = 340
    first = counter.count_tokens(ENGLISH, model="m")
    for _ in range(10):
        counter.observe(request, Usage(input_tokens=reported))
    learnt = counter.count_tokens(ENGLISH, model="m")
    assert reported <= learnt < first


@pytest.mark.parametrize(
    ("request_", "usage"),
    [
        (request_of(ENGLISH), Usage(input_tokens=400, is_reported=False)),
        (request_of("Hi"), Usage(input_tokens=9)),
        (request_of(""), Usage(input_tokens=400)),
        (request_of("x" * 200_001), Usage(input_tokens=60_000)),
        (
            request_of(ENGLISH, part=ImagePart(url="https://x.invalid/a.png", media_type="image/png")),
            Usage(input_tokens=900),
        ),
    ],
)
def test_what_says_nothing_about_text_teaches_nothing(request_: CompletionRequest, usage: Usage) -> None:
    """Unreported usage, small and huge requests, and pictures are passed over."""
    counter = CalibratingTokenCounter()
    counter.observe(request_, usage)
    assert counter.calibration("m") is None


def test_most_requests_are_passed_over() -> None:
    """After the first sixteen every 32nd is looked at, so that learning costs a busy program next to nothing."""
    counter = CalibratingTokenCounter()
    for _ in range(16 + 320):
        counter.observe(request_of(ENGLISH), Usage(input_tokens=400))
    learnt = counter.calibration("m")
    assert learnt is not None
    assert learnt.samples <= 16 + 11


def test_threads_may_teach_and_count_at_once() -> None:
    """Many threads at once break nothing."""
    counter = CalibratingTokenCounter()

    def work(number: int) -> int:
        counter.learn(f"m{number % 700}", estimated_tokens=100, reported_tokens=100 + number % 50)
        return counter.count_tokens(ENGLISH, model=f"m{number % 700}")

    with ThreadPoolExecutor(8) as pool:
        assert min(pool.map(work, range(3000))) > 0
