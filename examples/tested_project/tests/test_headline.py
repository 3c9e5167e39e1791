"""Three heights to test at: a scripted model, a simulated provider, and the real one."""

import os
from collections.abc import Callable

import pytest
from assistant import headline

import dipeo
from dipeo import LLMService, Role, errors
from dipeo.testing import Fault, ManualClock, ProviderSimulator, Reply, ScriptedModel

TEXT = "The lift in the east wing has been out of order since Monday morning."


async def test_the_text_is_asked_about(scripted_model: Callable[..., ScriptedModel]) -> None:
    """The instruction goes first, the text second, and the headline loses its full stop."""
    model = scripted_model("Lift in east wing broken.")
    async with dipeo.connect(dipeo.Settings(), model=model) as llm:
        assert await headline(llm, TEXT) == "Lift in east wing broken"
    instruction, question = model.asked[0].messages
    assert instruction.role.is_instruction
    assert (question.role, question.text) == (Role.USER, TEXT)


async def test_a_model_that_is_not_there_is_done_without(scripted_model: Callable[..., ScriptedModel]) -> None:
    """Without a model the headline is the beginning of the text."""
    model = scripted_model(errors.OverloadedError())
    async with dipeo.connect(dipeo.Settings(), model=model) as llm:
        assert await headline(llm, TEXT) == "The lift in the east ..."


@pytest.mark.parametrize("model", ["openai", "claude", "gemini"])
async def test_providers_answer(
    model: str, provider_simulator: ProviderSimulator, provider_settings: dipeo.Settings
) -> None:
    """Every provider's own interface is spoken, down to the bytes."""
    services = {"openai": LLMService.OPENAI, "claude": LLMService.ANTHROPIC, "gemini": LLMService.GOOGLE}
    provider_simulator.script(services[model].value, Reply("Lift broken."))
    async with dipeo.connect(provider_settings) as llm:
        assert await headline(llm, TEXT, model=model) == "Lift broken"
    assert TEXT in provider_simulator.requests[0].messages[-1].text
    assert provider_simulator.unused == ()


async def test_a_full_provider_is_asked_again(
    provider_simulator: ProviderSimulator, provider_settings: dipeo.Settings
) -> None:
    """A rate limit is waited for, on a clock that does not wait."""
    provider_simulator.script("openai", Fault(status=429, headers={"retry-after": "20"}), Reply("Lift broken."))
    clock = ManualClock()
    async with dipeo.connect(provider_settings, clock=clock) as llm:
        assert await headline(llm, TEXT) == "Lift broken"
    assert clock.sleeps == [20.0]


@pytest.mark.live
@pytest.mark.skipif("OPENAI_API_KEY" not in os.environ, reason="needs a key in OPENAI_API_KEY")
async def test_the_real_provider_answers() -> None:
    """The model is told what to do well enough to keep to one line."""
    async with dipeo.connect() as llm:
        assert "\n" not in await headline(llm, TEXT)
