"""How load returns after a provider said that it had grown too fast."""

import pytest

from dipeo.domain import errors
from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.errors import DipeoError, RateLimitError
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.circuits import Circuits
from dipeo.infrastructure.llm.drivers.ramps import (
    DOUBLINGS,
    FIRST_DOUBLING_S,
    LONGEST_DOUBLING_S,
    LONGEST_WAIT_S,
    RAMP_CODES,
    REMEMBERED_S,
    Ramp,
)
from dipeo.testing import FakeKeys, ManualClock

WAIT_S = 2.0


def begun(refusals: int = 1) -> tuple[Ramp, float]:
    """A ramp after so many refusals, one after the other, and when it begins."""
    ramp, now_s = Ramp(), 100.0
    for _ in range(refusals):
        ramp.begin(now_s, WAIT_S)
        now_s += WAIT_S
    return ramp, now_s


class TestRamp:
    """The way back, by itself."""

    def test_nobody_passes_before_the_provider_s_time_is_over(self) -> None:
        """Whoever comes before is told how long it lasts."""
        ramp, begins_at_s = begun()
        assert ramp.enter(begins_at_s - 0.5) == 0.5
        assert ramp.enter(begins_at_s) == 0.0

    def test_twice_as_many_have_passed_after_each_second(self) -> None:
        """One, two, four: what passes in a second is what passed before it."""
        ramp, begins_at_s = begun()
        passed = []
        for second in range(6):
            while ramp.enter(begins_at_s + second) == 0.0:
                passed.append(second)
        assert [passed.count(second) for second in range(6)] == [1, 1, 2, 4, 8, 16]

    def test_everybody_is_given_a_turn_of_their_own_and_passes_then(self) -> None:
        """No two turns are the same, and each is kept."""
        ramp, begins_at_s = begun()
        now_s = begins_at_s - 1.0
        turns = [now_s + ramp.enter(now_s) for _ in range(500)]
        assert turns == sorted(set(turns))
        assert [ramp.enter(turn) for turn in turns] == [0.0] * 500

    def test_who_comes_later_waits_behind_those_who_have_a_turn(self) -> None:
        """Unless a turn is due, and not taken yet."""
        ramp, begins_at_s = begun()
        turns = [ramp.enter(begins_at_s - 1.0) for _ in range(8)]
        assert ramp.enter(begins_at_s) == 0.0  # the first turn, whoever takes it
        assert 1.0 + ramp.enter(begins_at_s) > turns[-1]

    def test_turns_that_nobody_took_do_not_hold_up_the_others(self) -> None:
        """What is due may pass, whoever it is."""
        ramp, begins_at_s = begun()
        assert [ramp.enter(begins_at_s + 3.0) for _ in range(8)] == [0.0] * 8
        assert ramp.enter(begins_at_s + 3.0) == pytest.approx(3.17 - 3.0, abs=0.01)  # log2(9)

    @pytest.mark.parametrize(("refusals", "doubling_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (9, 60.0)])
    def test_each_refusal_halves_the_growth(self, refusals: int, doubling_s: float) -> None:
        """Down to a doubling a minute."""
        ramp, begins_at_s = begun(refusals)
        assert ramp.enter(begins_at_s) == 0.0
        assert ramp.enter(begins_at_s) == doubling_s
        assert doubling_s <= LONGEST_DOUBLING_S

    def test_refusals_of_what_was_under_way_count_as_one_and_the_longest_wait_holds(self) -> None:
        """A burst that is refused is one refusal."""
        ramp = Ramp()
        for wait_s in (2.0, 5.0, 1.0):
            ramp.begin(100.0, wait_s)
        assert ramp.enter(104.0) == 1.0
        assert ramp.enter(105.0) == 0.0
        assert ramp.enter(105.0) == 1.0  # the second turn

    def test_refusals_that_name_no_time_are_one_refusal_for_a_second(self) -> None:
        """What was sent before the first of them is refused soon after it, and says nothing new."""
        ramp = Ramp()
        for number in range(100):
            ramp.begin(100.0 + number / 1000, 0.0)
        assert ramp.enter(100.5) == pytest.approx(0.599)
        assert ramp.enter(101.099) == 0.0
        assert ramp.enter(101.099) == FIRST_DOUBLING_S

    def test_a_pause_that_grows_gives_its_first_turn_to_somebody(self) -> None:
        """Turns promised before are too early: were they counted, load would begin with the second turn."""
        ramp = Ramp()
        ramp.begin(100.0, 1.0)
        assert [ramp.enter(100.0), ramp.enter(100.0)] == [1.0, 2.0]
        ramp.begin(100.5, 1.0)
        assert [ramp.enter(101.0), ramp.enter(101.0)] == [0.5, 1.5]

    def test_nobody_is_kept_away_for_longer_than_an_hour(self) -> None:
        """Whatever the provider says, somebody looks again."""
        ramp = Ramp()
        ramp.begin(100.0, 600_000.0)
        assert ramp.enter(100.0) == LONGEST_WAIT_S
        assert ramp.enter(100.0 + LONGEST_WAIT_S) == 0.0

    def test_after_ten_doublings_nobody_is_held_back(self) -> None:
        """The ramp is over."""
        ramp, begins_at_s = begun()
        assert all(ramp.enter(begins_at_s + DOUBLINGS) == 0.0 for _ in range(5_000))

    def test_what_was_is_remembered_for_a_quarter_of_an_hour(self) -> None:
        """Counted from the end of the ramp."""
        ramp, begins_at_s = begun()
        over_at_s = begins_at_s + DOUBLINGS
        assert not ramp.is_forgotten(over_at_s + REMEMBERED_S - 1.0)
        assert ramp.is_forgotten(over_at_s + REMEMBERED_S)


def request(model: str = "m") -> CompletionRequest:
    """A request of OpenAI's."""
    return CompletionRequest(service=LLMService.OPENAI, model=model, messages=(ChatMessage.from_text(Role.USER, "hi"),))


def refused_with(code: str, *, status: int = 429) -> DipeoError:
    """The refusal that begins a ramp."""
    return RateLimitError(status=status, provider_code=code, retry_after_s=WAIT_S)


class TestCircuits:
    """The ramp among what else is known about a provider."""

    @pytest.mark.parametrize("code", sorted(RAMP_CODES))
    def test_a_limit_on_growth_lets_one_model_s_calls_return_one_after_the_other(self, code: str) -> None:
        """Another model is asked meanwhile."""
        clock = ManualClock()
        circuits = Circuits(FakeKeys(), clock)
        circuits.failed(request(), refused_with(code))
        with pytest.raises(RateLimitError, match=r"turn is in 2\.0 s; nothing was sent") as caught:
            circuits.enter(request())
        assert caught.value.retry_after_s == WAIT_S
        assert caught.value.is_retryable
        assert caught.value.context["sent"] is False
        assert circuits.enter(request("other")) == ()
        clock.advance(WAIT_S)
        assert circuits.enter(request()) == ()
        with pytest.raises(RateLimitError):
            circuits.enter(request())

    def test_another_rate_limit_lets_all_return_at_once(self) -> None:
        """Its pause is over for all."""
        clock = ManualClock()
        circuits = Circuits(FakeKeys(), clock)
        circuits.failed(request(), refused_with("rate_limit_exceeded"))
        clock.advance(WAIT_S)
        assert [circuits.enter(request()) for _ in range(3)] == [(), (), ()]

    def test_answers_do_not_end_a_ramp_before_its_time(self) -> None:
        """Nor do they make the next refusal the first one."""
        clock = ManualClock()
        circuits = Circuits(FakeKeys(), clock)
        circuits.failed(request(), refused_with("slow_down"))
        clock.advance(WAIT_S)
        circuits.enter(request())
        circuits.answered(request())
        with pytest.raises(RateLimitError):
            circuits.enter(request())
        clock.advance(DOUBLINGS)
        circuits.answered(request())
        circuits.failed(request(), refused_with("slow_down"))
        clock.advance(WAIT_S)
        circuits.enter(request())
        with pytest.raises(RateLimitError) as caught:
            circuits.enter(request())
        assert caught.value.retry_after_s == 2.0  # half the growth of the first time

    def test_an_answer_after_a_quarter_of_an_hour_leaves_nothing_behind(self) -> None:
        """A call pays nothing for it any more."""
        clock = ManualClock()
        circuits = Circuits(FakeKeys(), clock)
        circuits.failed(request(), refused_with("slow_down"))
        clock.advance(WAIT_S + DOUBLINGS + REMEMBERED_S)
        circuits.answered(request())
        assert circuits.by_place == {}

    def test_a_limit_on_growth_shows_that_a_latched_model_is_there_again(self) -> None:
        """The probe was refused for another reason than the quota."""
        clock = ManualClock()
        circuits = Circuits(FakeKeys(), clock)
        circuits.failed(request(), errors.QuotaExhaustedError(status=429))
        clock.advance(60.0)
        probed = circuits.enter(request())
        assert probed
        circuits.failed(request(), refused_with("slow_down"), probed)
        circuits.leave(probed)
        clock.advance(WAIT_S)
        assert circuits.enter(request()) == ()

    def test_an_outage_during_a_ramp_opens_the_circuit_and_the_ramp_goes_on_after_it(self) -> None:
        """The one does not make up for the other."""
        clock = ManualClock()
        circuits = Circuits(FakeKeys(), clock, failures=2, cool_down_s=1.0)
        circuits.failed(request(), refused_with("slow_down"))
        clock.advance(WAIT_S)
        for _ in range(2):
            circuits.failed(request(), errors.ProviderError(status=500))
        with pytest.raises(errors.ModelUnavailableError):
            circuits.enter(request())
        clock.advance(1.0)
        probed = circuits.enter(request())
        circuits.answered(request(), probed)
        circuits.enter(request())
        with pytest.raises(RateLimitError):
            circuits.enter(request())
