"""Retries that do not help are bounded, for all calls together."""

import os
from itertools import repeat
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain import errors
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.retry_budget import HALF_LIFE_S, MAX_TARGETS, RetryBudget
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.infrastructure.llm.wrappers.retrying import RetryingModel
from dipeo.testing import FakeKeys, FakeLedger, ManualClock, ScriptedModel


def request(**values: Any) -> CompletionRequest:
    """A request with three attempts to its name."""
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    asked = CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, max_attempts=3)
    return evolve(asked, **values)


def taken(budget: RetryBudget, **values: Any) -> int:
    """How many retries may be made."""
    count = 0
    while budget.take(request(**values)):
        count += 1
    return count


@pytest.mark.parametrize(("calls", "retries"), [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (1000, 200)])
def test_a_fifth_of_the_calls_may_be_tried_again_and_three_in_any_case(calls: int, retries: int) -> None:
    """The share and the floor hold exactly."""
    budget = RetryBudget(ManualClock())
    for _ in range(calls):
        budget.note_call(request())
    assert taken(budget) == retries


def test_the_share_can_be_chosen() -> None:
    """Half the calls, where that is wanted."""
    budget = RetryBudget(ManualClock(), share=0.5)
    for _ in range(100):
        budget.note_call(request())
    assert taken(budget) == 50
    assert repr(budget) == "<RetryBudget 50% of the calls to 1 targets>"


def test_each_target_has_its_own() -> None:
    """A provider that is down does not use up what another one may need."""
    budget = RetryBudget(ManualClock())
    assert taken(budget) == 3
    for values in ({"service": LLMService.GROQ}, {"base_url": "https://x.invalid"}, {"api_key_id": "k"}):
        assert taken(budget, **values) == 3
    assert taken(budget, model="other") == 0


def test_what_helped_is_given_back() -> None:
    """A retry that led to an answer may be made again, and no more than were made."""
    budget = RetryBudget(ManualClock())
    budget.give_back(request(), 5)
    assert taken(budget) == 3
    budget.give_back(request(), 2)
    assert taken(budget) == 2
    budget.give_back(request(), 9)
    assert taken(budget) == 3


def test_what_is_older_counts_less() -> None:
    """After a minute half of it, of the retries as of the calls."""
    clock = ManualClock()
    budget = RetryBudget(clock)
    assert taken(budget) == 3
    clock.advance(HALF_LIFE_S)
    assert taken(budget) == 1  # one and a half are left of three
    for _ in range(40):
        budget.note_call(request(api_key_id="k"))
    clock.advance(HALF_LIFE_S)
    assert taken(budget, api_key_id="k") == 4


def test_what_is_remembered_has_a_bound() -> None:
    """The oldest target gives way, and begins anew."""
    budget = RetryBudget(ManualClock())
    assert taken(budget) == 3
    for number in range(MAX_TARGETS):
        budget.note_call(request(api_key_id=f"k{number}"))
    assert repr(budget).endswith(f"{MAX_TARGETS} targets>")
    assert taken(budget) == 3


def test_a_forked_process_begins_anew() -> None:
    """It has made no calls yet."""
    budget = RetryBudget(ManualClock())
    assert taken(budget) == 3
    pid = os.fork()
    if not pid:
        os._exit(taken(budget))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert taken(budget) == 0


class Bench:
    """Retries with a budget around a script."""

    def __init__(self, *answers: str | Completion | Exception) -> None:
        self.inner = ScriptedModel(*answers)
        self.clock = ManualClock()
        self.budget = RetryBudget(self.clock)
        metered = MeteredModel(self.inner, ledger=FakeLedger(), keys=FakeKeys(), clock=self.clock)
        self.model = RetryingModel(metered, self.clock, waits=lambda: repeat(1.0), budget=self.budget)

    async def fails(self, *, is_stream: bool, **values: Any) -> errors.DipeoError:
        """How a call fails."""
        asked = request(**values)
        with pytest.raises(errors.DipeoError) as caught:
            await (self.model.stream(asked).collect() if is_stream else self.model.complete(asked))
        return caught.value


@pytest.mark.parametrize("is_stream", [False, True])
class TestRetries:
    """What the retries make of it."""

    async def test_a_used_up_budget_is_told(self, is_stream: bool) -> None:
        """The decision stands on the attempt, and nothing is waited for."""
        bench = Bench(*[errors.OverloadedError() for _ in range(6)])
        await bench.fails(is_stream=is_stream)
        error = await bench.fails(is_stream=is_stream)
        assert [each.decision for each in error.attempts] == [
            "tried again after 1.000 s",
            "given up: the retry budget is used up (20% of the calls)",
        ]
        assert len(bench.clock.sleeps) == 3

    async def test_every_call_adds_to_the_budget(self, is_stream: bool) -> None:
        """Twenty calls that went well pay for a fourth retry."""
        bench = Bench(*["Hello."] * 20, *[errors.OverloadedError() for _ in range(9)])
        for _ in range(20):
            asked = request()
            await (bench.model.stream(asked).collect() if is_stream else bench.model.complete(asked))
        for _ in range(3):
            await bench.fails(is_stream=is_stream)
        assert len(bench.clock.sleeps) == 4

    async def test_retries_that_help_cost_nothing(self, is_stream: bool) -> None:
        """Ten calls that each need one are all answered."""
        bench = Bench(*[each for _ in range(10) for each in (errors.OverloadedError(), "Hello.")])
        for _ in range(10):
            asked = request()
            await (bench.model.stream(asked).collect() if is_stream else bench.model.complete(asked))
        assert len(bench.clock.sleeps) == 10

    async def test_no_more_is_given_back_than_was_taken(self, is_stream: bool) -> None:
        """What other calls have used stays used."""
        wasted, failing = ([errors.OverloadedError() for _ in range(often)] for often in (3, 6))
        bench = Bench(*wasted, errors.OverloadedError(), "Hello.", *failing)
        await bench.fails(is_stream=is_stream)
        asked = request()
        await (bench.model.stream(asked).collect() if is_stream else bench.model.complete(asked))
        error = await bench.fails(is_stream=is_stream)
        assert error.attempts[-1].decision == "given up: the retry budget is used up (20% of the calls)"
        assert len(bench.clock.sleeps) == 4

    async def test_waits_for_what_was_not_sent_cost_nothing(self, is_stream: bool) -> None:
        """However many calls are refused before anything was sent, the budget is there for those that were."""
        clock, budget = ManualClock(), Bench().budget
        refusing = ScriptedModel(*[errors.OverloadedError(sent=False) for _ in range(20)])
        model = RetryingModel(refusing, clock, waits=lambda: repeat(1.0), budget=budget)
        for _ in range(5):
            with pytest.raises(errors.OverloadedError):
                await (model.stream(request()).collect() if is_stream else model.complete(request()))
        assert len(refusing.asked) == 20

    async def test_waits_that_the_provider_asks_for_cost_nothing(self, is_stream: bool) -> None:
        """It said when to come again."""
        bench = Bench(*[errors.RateLimitError(retry_after_s=2.0) for _ in range(15)])
        for _ in range(5):
            await bench.fails(is_stream=is_stream)
        assert len(bench.inner.asked) == 15

    async def test_what_was_not_sent_is_no_attempt(self, is_stream: bool) -> None:
        """A refusal of the breaker's is waited for, keeps the number, and is no retry; but not for ever."""
        pause = [errors.RateLimitError(retry_after_s=2.0, sent=False) for _ in range(2)]
        bench = Bench(*pause, "Hello.")
        inner = RetryingModel(bench.inner, bench.clock, waits=lambda: repeat(1.0), budget=bench.budget)
        asked = request()
        await (inner.stream(asked).collect() if is_stream else inner.complete(asked))
        assert [(each.attempt_number, each.waited_s) for each in bench.inner.asked] == [(1, 0.0), (1, 2.0), (1, 4.0)]
        endless = ScriptedModel(*[errors.RateLimitError(retry_after_s=2.0, sent=False) for _ in range(9)])
        model = RetryingModel(endless, bench.clock, waits=lambda: repeat(1.0))
        with pytest.raises(errors.RateLimitError):
            await (model.stream(asked).collect() if is_stream else model.complete(asked))
        assert len(endless.asked) == 4

    @pytest.mark.parametrize(
        ("error", "attempts"),
        [
            (errors.ProviderError, 3),
            (errors.EmptyResponseError, 2),
            (errors.ToolCallInvalidError, 2),
            (errors.OverloadedError, 4),
            (errors.ConnectFailedError, 4),
        ],
    )
    async def test_each_failure_has_its_own_number_of_retries(
        self, is_stream: bool, error: type[errors.DipeoError], attempts: int
    ) -> None:
        """However many attempts a call may make, some failures are tried again once or twice at most."""
        bench = Bench(*[error() for _ in range(9)])
        failure = await bench.fails(is_stream=is_stream, max_attempts=9)
        assert len(failure.attempts) == attempts
        if error is errors.ProviderError:
            assert failure.attempts[-1].decision == "given up: 2 retries did not help"
