"""Every row of the catalogue comes to what its data say, whole and streamed, over dipeo's wire and the official one."""

import asyncio

import pytest

import dipeo
from dipeo import Settings, errors
from dipeo.domain.usage import UNREPORTED_USAGE
from dipeo.testing import ProviderSimulator
from dipeo.testing.simulator.faults.catalogue import cases_named
from dipeo.testing.simulator.faults.entry import Dialect, Mode, WireName
from tests.faults.matrix import ENVIRON, EVERY_WIRE, SERVICES, ask, is_installed, play, play_one, shared_wires

_GOOGLE, _OLLAMA = Dialect.GOOGLE, Dialect.OLLAMA
CALLS_AT_ONCE = 105
"""More than the hundred that httpx has connections for."""


pytestmark = [
    # Google's former client says on import, and so does protobuf for it, that its time is over.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:google.*"),
]


def _skip_unless_installed(wire: WireName) -> None:
    if not is_installed(wire):
        pytest.skip("google-generativeai is in none of our extras but google-legacy")


@pytest.mark.parametrize(("dialect", "wire"), EVERY_WIRE)
async def test_every_fault_comes_to_what_the_catalogue_says(dialect: Dialect, wire: WireName) -> None:
    """Error, verdict, requests on the wire, waits and records are as expected, and no exception is foreign."""
    _skip_unless_installed(wire)
    played = await play(dialect, wire)
    assert played
    assert "\n".join(str(each) for each in played if each.differences) == ""


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("dialect", Dialect)
async def test_counts_that_make_no_sense_are_taken_for_none(dialect: Dialect, mode: Mode) -> None:
    """An answer that is said to have used nothing, or more than there is, has no known cost rather than a wrong one."""
    async with ProviderSimulator() as simulator, shared_wires(WireName.HTTP) as open_wire:
        for case in cases_named("F40"):
            call = await play_one(simulator, open_wire, case, dialect, mode)
            assert call.completion is not None
            told, (recorded,) = call.completion.usage, call.recorded
            assert (case.name, told, recorded.usage) == (case.name, UNREPORTED_USAGE, UNREPORTED_USAGE)


@pytest.mark.parametrize(("dialect", "wire"), [each for each in EVERY_WIRE if each[0] in (_GOOGLE, _OLLAMA)])
async def test_no_call_waits_for_a_connection_of_another(dialect: Dialect, wire: WireName) -> None:
    """More calls at once than a client keeps connections for all reach the provider: dipeo itself is never full."""
    _skip_unless_installed(wire)
    service, model = SERVICES[dialect]
    async with ProviderSimulator(faults="F52") as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ=ENVIRON, wires={service: wire.value}, timeout_s=1.0)
        async with dipeo.connect(settings) as llm:
            calls = (ask(llm, service, model, Mode.UNARY) for _ in range(CALLS_AT_ONCE))
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in ends} == {errors.DeadlineExceededError}
        assert simulator.counters.peak_connections == simulator.counters.requests == CALLS_AT_ONCE
