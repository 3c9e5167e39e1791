"""Tokens, estimated without a vocabulary."""

import base64
import time

import pytest

from dipeo.infrastructure.token_estimate import EstimatingTokenCounter

COUNTER = EstimatingTokenCounter()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Tokens as o200k has them, counted once.
        ("Yes, of course.", 5),
        ('{"id":1,"name":"user1","ok":true,"tags":["a","b"],"score":1.37,"pos":{"x":1,"y":-1}}', 38),
        ("昨天研究人员讨论了人工智能的未来。没有人知道为什么要等待。", 17),
        ("def add(a: int, b: int) -> int:\n    return a + b\n", 19),
    ],
)
def test_an_estimate_leans_upwards(text: str, tokens: int) -> None:
    """It is not below a real vocabulary's count, and not above twice as much."""
    assert tokens <= COUNTER.count_tokens(text) <= 2 * tokens + 1


@pytest.mark.parametrize(
    "run",
    [base64.b64encode(bytes(range(256))).decode(), "0123456789" * 20, "0f1e2d3c-" * 20, "🙂" * 50],
)
def test_dense_text_takes_more(run: str) -> None:
    """Runs of base64, digits, ids and emoji take a token and more for 1.5 bytes."""
    assert COUNTER.count_tokens(run) == -(-len(run.encode()) * 2 // 3)


def test_prose_takes_a_token_for_three_bytes() -> None:
    """Letters and spaces of any script are counted by their bytes."""
    assert COUNTER.count_tokens("one two three") == 5
    assert COUNTER.count_tokens("für") == 2


def test_models_are_not_told_apart() -> None:
    """The estimate is the same whoever is asked."""
    assert len({COUNTER.count_tokens("Hello", model=model) for model in ("gpt-5", "?", None)}) == 1


@pytest.mark.parametrize("text", ["a" * 10**6, "0" * 10**6, "a1 " * 10**6, "!a" * 10**6, "x" * 23 + " "])
def test_a_megabyte_is_counted_in_no_time(text: str) -> None:
    """Whatever the text, the time grows with its length and no faster."""
    began_s = time.perf_counter()
    assert COUNTER.count_tokens(text) > 0
    assert time.perf_counter() - began_s < 5
