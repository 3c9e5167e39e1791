"""Who asks for faults gets them, and the simulator says what it has seen."""

import pytest

import dipeo
from dipeo import Settings, errors
from dipeo.domain.completion import Completion
from dipeo.domain.secret import Secret
from dipeo.testing import FakeKeys, ManualClock, ProviderSimulator, Reply
from dipeo.testing.simulator.faults.catalogue import every_case, fault_case
from dipeo.testing.simulator.faults.dealing import FaultDealer, FaultWish
from tests.faults.matrix import HELLO
from tests.faults.seeds import run_seed

MODEL = "claude-sonnet-5-5"


async def asked(simulator: ProviderSimulator, *, max_attempts: int = 1) -> Completion | errors.DipeoError:
    """What one call comes to."""
    settings = Settings(base_urls=simulator.base_urls)
    async with dipeo.connect(settings, keys=FakeKeys(), clock=ManualClock()) as llm:
        try:
            return await llm.complete(HELLO, MODEL, max_attempts=max_attempts)
        except errors.DipeoError as problem:
            return problem


async def outcomes(wish: FaultWish, calls: int) -> list[str]:
    """What as many calls come to, one after the other."""
    async with ProviderSimulator(faults=wish) as simulator:
        return [type(await asked(simulator)).__name__ for _ in range(calls)]


async def test_a_named_fault_strikes_every_call() -> None:
    """A row's cases strike in turn, and several rows after each other."""
    assert await outcomes("F12", 2) == ["ProviderError"] * 2
    assert await outcomes(["F15", "F37"], 3) == ["OverloadedError", "Completion", "Completion"]


async def test_a_fault_that_a_dialect_has_not_strikes_nobody_who_speaks_it() -> None:
    """Google's faults do not befall Anthropic, nor a stream's a whole answer."""
    assert await outcomes(["F05", "F57"], 2) == ["Completion"] * 2


async def test_a_rate_is_the_share_of_calls_that_are_struck() -> None:
    """Always, never, and now and then."""
    assert await outcomes({"F12": 1.0, "F01": 1.0}, 2) == ["ProviderError"] * 2
    assert await outcomes({"F12": 0.0}, 2) == ["Completion"] * 2
    mixed = await outcomes({"F12": 0.5}, 20)
    assert set(mixed) == {"ProviderError", "Completion"}


async def test_a_seed_deals_the_same_faults_again() -> None:
    """The choice, the shares, and who is struck depend on the number alone; another number gives others."""
    assert FaultDealer(7).rates == FaultDealer(7).rates != FaultDealer(8).rates
    assert await outcomes(FaultDealer(7).rates, 12) == await outcomes(FaultDealer(7).rates, 12)
    dealt = {name for seed in range(300) for name in FaultDealer(seed).rates}
    assert dealt == {case.name for case in every_case() if not case.is_heavy and case.row not in ("F45", "F46")}


def test_the_thousand_seeds_are_no_quiet_ones() -> None:
    """Faults do strike in the worlds of the seeds: more than one call in ten ends with an error."""
    calls = [call for seed in range(60) for call in run_seed(seed).result.calls]
    assert sum(call.problem is not None for call in calls) > len(calls) / 10


async def test_a_script_comes_before_faults_and_may_name_one() -> None:
    """What is scripted is given first; a case of the catalogue is an answer like any other."""
    async with ProviderSimulator(faults="F12") as simulator:
        simulator.script("anthropic", Reply("Well."), fault_case("F15"))
        found = [await asked(simulator) for _ in range(3)]
        assert [type(each).__name__ for each in found] == ["Completion", "OverloadedError", "ProviderError"]
        simulator.deal_faults(None)
        assert isinstance(await asked(simulator), Completion)
        assert simulator.fault_rates == {}
        assert simulator.counters.faults == {"F12": 1, "F15": 1}


async def test_the_counters_say_what_came_and_what_went() -> None:
    """Requests, bytes, connections, and keys by their fingerprints, each of which tells one key from another."""
    async with ProviderSimulator(faults={"F12": 0.0}) as simulator:
        settings = Settings(base_urls=simulator.base_urls)
        keys = FakeKeys({"other": "sk-another-4711"})
        async with dipeo.connect(settings, keys=keys) as llm:
            await llm.complete(HELLO, MODEL)
            await llm.complete(HELLO, MODEL, api_key_id="other")
            counters = simulator.counters
            assert counters.requests == 2
            assert counters.received_bytes > 100
            assert counters.sent_bytes > 100
            assert counters.open_connections == counters.peak_connections == 2
            assert sorted(counters.credentials.values()) == [1, 1]
            assert "4711" not in repr(counters)
            assert Secret("sk-another-4711").reveal() not in counters.credentials


@pytest.mark.parametrize(
    ("wish", "kind"), [("F99", ValueError), ({"F12": 1.5}, ValueError), (True, TypeError), (2.5, TypeError)]
)
def test_wishes_that_are_none_are_refused(wish: FaultWish, kind: type[Exception]) -> None:
    """An unknown name, a share above the whole, and what is neither a seed nor names."""
    with pytest.raises(kind):
        ProviderSimulator(faults=wish)


@pytest.mark.parametrize(
    ("name", "why"), [("F45", "closed port"), ("F46", "no TLS"), ("F53", "No wire has a limit of connections")]
)
def test_what_no_answer_shows_is_refused_with_the_reason(name: str, why: str) -> None:
    """A simulator that answers cannot play that nobody does; it does not play something else instead."""
    for wish in (name, {name: 0.5}):
        with pytest.raises(ValueError, match=why):
            ProviderSimulator(faults=wish)


async def test_what_is_no_http_is_sent_and_recorded() -> None:
    """Bytes go out as they are; the request that they answer is an attempt, although the address is wrong."""
    async with ProviderSimulator(faults="F51.lines") as simulator:
        problem = await asked(simulator, max_attempts=3)
        assert isinstance(problem, errors.ConfigurationError)
        assert len(problem.attempts) == simulator.counters.requests == 1
