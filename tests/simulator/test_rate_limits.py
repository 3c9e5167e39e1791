"""Rate limits that the simulator enforces, on a clock that moves only when it is told to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dipeo
from dipeo import Settings, errors
from dipeo.testing import ManualClock, ProviderSimulator, RateLimit
from dipeo.testing.simulator.limit_words import go_duration
from dipeo.testing.simulator.rate_limits import DAY_S, Admission, Measure, RateLimits, RuleKind
from tests.end_to_end.conftest import ENVIRON
from tests.end_to_end.test_services import HELLO, MODELS
from tests.simulator.conftest import RawClient, RawReply

RULES: tuple[RuleKind, ...] = ("token_bucket", "fixed_window", "sliding_window")
each_rule = pytest.mark.parametrize("rule", RULES)
TELLS_THE_WAIT = ("openai", "anthropic", "google", "groq", "xai")

moves = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 40)), min_size=1, max_size=60)


def ask(limits: RateLimits, tokens: int) -> Admission:
    """One call of this size."""
    return limits.admit_cost("openai", "sk-a", "m", costs={"requests": 1, "tokens": tokens})


def most_in_a_window(taken: Iterable[tuple[float, int]], window_s: float) -> int:
    """The most that was ever taken within a window, whenever it begins."""
    all_taken = list(taken)
    # A hair less than the window: what was taken exactly one window ago no longer counts.
    return max(
        (
            sum(cost for moment, cost in all_taken if start <= moment < start + window_s - 2e-6)
            for start, _ in all_taken
        ),
        default=0,
    )


@each_rule
@given(moves=moves, amount=st.integers(1, 60), per_s=st.sampled_from([1.0, 7.5, 60.0]))
def test_no_rule_is_ever_exceeded(rule: RuleKind, amount: int, per_s: float, moves: list[tuple[float, int]]) -> None:
    """Counted anew from all that was admitted, whatever came when."""
    clock = ManualClock()
    limits = RateLimits([RateLimit(measure="tokens", amount=amount, per_s=per_s, rule=rule)], clock=clock)
    taken: list[tuple[float, int]] = []
    for delay_s, tokens in moves:
        clock.advance(delay_s)
        if ask(limits, tokens).refused_by is None:
            taken.append((clock.monotonic_s(), tokens))
    if rule == "sliding_window":
        assert most_in_a_window(taken, per_s) <= amount
    elif rule == "fixed_window":
        windows = {int(round(moment * 1e6) // round(per_s * 1e6)) for moment, _ in taken}
        for window in windows:
            inside = [cost for moment, cost in taken if int(round(moment * 1e6) // round(per_s * 1e6)) == window]
            assert sum(inside) <= amount
    else:
        for index, (start_s, _) in enumerate(taken):
            for end in range(index, len(taken)):
                elapsed_s = taken[end][0] - start_s
                used = sum(cost for _, cost in taken[index : end + 1])
                assert used <= amount + amount / per_s * elapsed_s + 1e-3


@given(
    moves=moves,
    rules=st.lists(
        st.tuples(
            st.sampled_from(RULES), st.sampled_from(["requests", "tokens"]), st.integers(1, 60), st.floats(0.5, 200)
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_whoever_waits_as_told_is_admitted(
    rules: list[tuple[RuleKind, Measure, int, float]], moves: list[tuple[float, int]]
) -> None:
    """After the longest wait that any rule names, and no sooner than one microsecond before it."""
    clock = ManualClock()
    limits = RateLimits(
        [RateLimit(rule=rule, measure=measure, amount=amount, per_s=per_s) for rule, measure, amount, per_s in rules],
        clock=clock,
    )
    for delay_s, tokens in moves:
        clock.advance(delay_s)
        refused = ask(limits, tokens).refused_by
        if refused is None:
            continue
        if refused.wait_s is None:
            assert tokens > refused.limit.amount
            continue
        if refused.wait_s > 1e-5:
            clock.advance(refused.wait_s - 1e-5)
            assert ask(limits, tokens).refused_by is not None
            clock.advance(1.1e-5)
        else:
            clock.advance(refused.wait_s + 1e-6)
        assert ask(limits, tokens).refused_by is None


@each_rule
def test_a_refused_call_costs_nothing_and_keys_and_models_are_counted_apart(rule: RuleKind) -> None:
    """Another key, another model and another service have limits of their own."""
    limits = RateLimits([RateLimit(amount=1, rule=rule)], clock=ManualClock())
    costs: dict[Measure, int] = {"requests": 1, "tokens": 1}
    assert limits.admit_cost("openai", "sk-a", "m", costs=costs).refused_by is None
    first = limits.admit_cost("openai", "sk-a", "m", costs=costs).refused_by
    again = limits.admit_cost("openai", "sk-a", "m", costs=costs).refused_by
    assert first is not None
    assert again == first
    for service, key, model in (("openai", "sk-b", "m"), ("openai", "sk-a", "n"), ("groq", "sk-a", "m")):
        assert limits.admit_cost(service, key, model, costs=costs).refused_by is None


def test_a_limit_holds_for_those_that_it_names() -> None:
    """A service or a model without a limit is never refused."""
    limits = RateLimits([RateLimit(amount=1, service="openai", model="m")], clock=ManualClock())
    for service, model in (("groq", "m"), ("openai", "n")):
        for _ in range(3):
            admission = limits.admit_cost(service, "sk-a", model, costs={"requests": 1, "tokens": 1})
            assert admission.states == ()


@pytest.mark.parametrize(
    "bad",
    [{"amount": 0}, {"amount": 1, "per_s": 0}, {"amount": 1, "per_s": float("nan")}, {"amount": 1, "rule": "gcra"}],
)
def test_bad_limits_are_refused(bad: dict[str, object]) -> None:
    """Where they are made."""
    with pytest.raises(ValueError, match="must be"):
        RateLimit(**bad)  # type: ignore[arg-type]  # that is the point


def test_times_are_written_as_openai_writes_them() -> None:
    """Go's way, rounded up to whole milliseconds."""
    written = [go_duration(seconds) for seconds in (0, 0.0001, 0.012, 6, 7.66, 60, 90, 3600, 7200.5)]
    assert written == ["0s", "1ms", "12ms", "6s", "7.66s", "1m0s", "1m30s", "1h0m0s", "2h0m0.5s"]


async def replies(service: str, count: int, *limits: RateLimit, clock: ManualClock | None = None) -> list[RawReply]:
    """What so many calls are answered."""
    clock = clock or ManualClock()
    async with ProviderSimulator(rate_limits=limits, rate_clock=clock) as simulator, aiohttp.ClientSession() as session:
        client = RawClient(simulator, session)
        return [await client.read(service, messages=[("user", "hi")]) for _ in range(count)]


@pytest.mark.parametrize("service", ["openai", "groq", "xai"])
async def test_openai_and_those_like_it_tell_limits_in_headers(service: str) -> None:
    """What is left and when it is all back, on good answers and refusals; the wait on refusals."""
    first, refused = await replies(service, 2, RateLimit(amount=1, rule="token_bucket"))
    assert (first.status, refused.status) == (200, 429)
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    assert first.headers["x-ratelimit-reset-requests"] == "1m0s"
    assert "retry-after" not in first.headers
    assert refused.headers["retry-after"] == "60"
    assert refused.headers.get("retry-after-ms") == ("60000" if service == "openai" else None)
    if service != "xai":
        assert "requests per min (RPM): Limit 1, Used 1, Requested 1" in refused.json["error"]["message"]


async def test_openai_says_when_a_request_is_too_large_for_ever() -> None:
    """It names no wait."""
    (refused,) = await replies("openai", 1, RateLimit(measure="tokens", amount=10))
    assert refused.status == 429
    assert refused.json["error"]["message"].startswith("Request too large")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers


async def test_anthropic_tells_limits_in_headers_with_dates() -> None:
    """One set of three for each limit."""
    clock = ManualClock()
    limits = RateLimit(amount=1), RateLimit(measure="tokens", amount=50_000)
    first, refused = await replies("anthropic", 2, *limits, clock=clock)
    for reply in (first, refused):
        assert reply.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert reply.headers["anthropic-ratelimit-tokens-limit"] == "50000"
        reset = datetime.fromisoformat(reply.headers["anthropic-ratelimit-requests-reset"])
        assert (reset - clock.now()).total_seconds() == 60
    assert refused.json["error"]["type"] == "rate_limit_error"
    assert refused.headers["retry-after"] == "60"


@pytest.mark.parametrize(("per_s", "period", "delay"), [(60.0, "PerMinute", "60s"), (DAY_S, "PerDay", "86400s")])
async def test_gemini_tells_limits_in_the_details_alone(per_s: float, period: str, delay: str) -> None:
    """Which quota, and how long to wait."""
    first, refused = await replies("google", 2, RateLimit(amount=1, per_s=per_s))
    assert not [name for reply in (first, refused) for name in reply.headers if "ratelimit" in name or "retry" in name]
    details = {detail["@type"].rpartition(".")[2]: detail for detail in refused.json["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == delay
    (violation,) = details["QuotaFailure"]["violations"]
    assert violation["quotaId"] == f"GenerateRequests{period}PerProjectPerModel"
    assert violation["quotaValue"] == "1"


async def test_mistral_tells_what_is_left_of_the_minute() -> None:
    """And what the question cost; how long to wait it leaves to the caller."""
    limits = RateLimit(amount=2), RateLimit(measure="tokens", amount=50_000)
    first, _, refused = await replies("mistral", 3, *limits)
    assert first.headers["x-ratelimit-limit-req-minute"] == "2"
    assert first.headers["x-ratelimit-remaining-req-minute"] == "1"
    cost = int(first.headers["x-ratelimit-tokens-query-cost"])
    assert int(first.headers["x-ratelimit-remaining-tokens-minute"]) == 50_000 - cost
    assert refused.status == 429
    assert "retry-after" not in refused.headers


async def test_openrouter_tells_the_moment_and_the_others_the_status_alone() -> None:
    """In milliseconds since 1970."""
    clock = ManualClock()
    _, refused = await replies("openrouter", 2, RateLimit(amount=1), clock=clock)
    assert int(refused.headers["x-ratelimit-reset"]) == (clock.now().timestamp() + 60) * 1000
    for service in ("deepseek", "ollama"):
        first, refused = await replies(service, 2, RateLimit(amount=1))
        assert (first.status, refused.status) == (200, 429)
        assert "ratelimit" not in json.dumps([first.headers, refused.headers])


async def test_a_refused_call_takes_nothing_from_the_script() -> None:
    """What is scripted waits for the call that is admitted."""
    clock = ManualClock()
    limits = [RateLimit(amount=1)]
    async with ProviderSimulator(rate_limits=limits, rate_clock=clock) as simulator, aiohttp.ClientSession() as session:
        client = RawClient(simulator, session)
        simulator.script("openai", dipeo.testing.Reply("one"), dipeo.testing.Reply("two"))
        statuses = [(await client.read("openai")).status for _ in range(3)]
        clock.advance(60)
        last = await client.read("openai")
    assert statuses == [200, 429, 429]
    assert last.json["choices"][0]["message"]["content"] == "two"


@pytest.mark.parametrize("service", TELLS_THE_WAIT)
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "streamed"])
async def test_dipeo_waits_as_told(service: str, is_stream: bool) -> None:
    """One refusal, one wait of the length that the provider names, and the answer: no request too many."""
    limits = [RateLimit(amount=2, per_s=0.4)]
    async with ProviderSimulator(rate_limits=limits) as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ=ENVIRON)
        async with dipeo.connect(settings) as llm:
            began_s = time.monotonic()
            for _ in range(3):
                if is_stream:
                    await llm.stream(HELLO, _model(service), service=service).collect()
                else:
                    await llm.complete(HELLO, _model(service), service=service)
            took_s = time.monotonic() - began_s
        assert [request.status for request in simulator.requests] == [200, 200, 429, 200]
        assert took_s >= 0.4


async def test_dipeo_gives_up_where_waiting_does_not_help() -> None:
    """A wait beyond the deadline is an error at once, which says how long it would have been."""
    limits = [RateLimit(amount=1, per_s=DAY_S)]
    async with ProviderSimulator(rate_limits=limits) as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ=ENVIRON)
        async with dipeo.connect(settings) as llm:
            await llm.complete(HELLO, _model("openai"), service="openai")
            with pytest.raises(errors.RateLimitError) as caught:
                await llm.complete(HELLO, _model("openai"), service="openai", timeout_s=5)
        assert caught.value.retry_after_s == pytest.approx(DAY_S, abs=2)
        assert len(simulator.requests) == 2


def _model(service: str) -> str:
    return MODELS[dipeo.LLMService(service)]
