"""A project's tests that call out, and those that may; run by pytest in a process of its own."""

import pytest

import dipeo
from dipeo.infrastructure.llm.wires.http import HttpWire
from dipeo.infrastructure.llm.wires.live_calls import LiveCallForbiddenError
from dipeo.testing import ProviderSimulator, Reply

REAL = "https://api.openai.com/v1"
QUESTION = [{"role": "user", "content": "Hello"}]


async def opens_wire() -> bool:
    """Whether a wire to a real host can be opened; nothing is sent over it."""
    try:
        wire = HttpWire(REAL, credentials={})
    except LiveCallForbiddenError:
        return False
    await wire.aclose()
    return True


async def test_is_refused_at_first() -> None:
    """Before the marked test."""
    assert not await opens_wire()


@pytest.mark.live
async def test_is_allowed_when_marked() -> None:
    """With the marker."""
    assert await opens_wire()


async def test_is_refused_again() -> None:
    """After the marked test."""
    assert not await opens_wire()


async def test_calls_out() -> None:
    """A test that forgot to put something in the provider's place."""
    async with dipeo.connect(dipeo.Settings(environ={"OPENAI_API_KEY": "sk-x"})) as llm:
        await llm.complete(QUESTION, "openai")


def test_calls_out_from_another_thread() -> None:
    """The same through the synchronous door, whose loop runs on a thread of its own."""
    settings = dipeo.Settings(environ={"ANTHROPIC_API_KEY": "sk-x"})
    with dipeo.connect_sync(settings) as llm, pytest.raises(LiveCallForbiddenError) as caught:
        llm.complete(QUESTION, "claude")
    assert caught.value.host == "api.anthropic.com"


def test_every_service_is_simulated(provider_simulator: ProviderSimulator, provider_settings: dipeo.Settings) -> None:
    """The settings lead every service to the simulator."""
    with dipeo.connect_sync(provider_settings) as llm:
        for service in dipeo.LLMService:
            provider_simulator.script(service.value, Reply(f"This is {service.value}."))
            assert llm.complete(QUESTION, "some-model", service=service).text == f"This is {service.value}."
    assert provider_simulator.unused == ()
    assert len(provider_simulator.requests) == len(dipeo.LLMService)


def test_the_simulator_is_fresh(provider_simulator: ProviderSimulator) -> None:
    """Nothing is left of the test before."""
    assert provider_simulator.requests == ()
