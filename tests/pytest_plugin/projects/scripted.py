"""A project's tests with scripted models, some of which leave answers unused; run by pytest in a process of its own."""

from collections.abc import Callable

import pytest

import dipeo
from dipeo import errors
from dipeo.testing import ScriptedModel

Script = Callable[..., ScriptedModel]


async def ask(model: ScriptedModel) -> str:
    """One question to the model."""
    async with dipeo.connect(dipeo.Settings(), model=model) as llm:
        return (await llm.complete([{"role": "user", "content": "Hello"}], "openai")).text


async def test_uses_all(scripted_model: Script) -> None:
    """Answers and errors come in order."""
    model = scripted_model("Hello.", errors.OverloadedError())
    assert await ask(model) == "Hello."
    with pytest.raises(errors.OverloadedError):
        await ask(model)


async def test_uses_one_of_two(scripted_model: Script) -> None:
    """The second answer is left."""
    assert await ask(scripted_model("Hello.", "Never asked for.")) == "Hello."


def test_uses_none_of_the_second_model(scripted_model: Script) -> None:
    """Every model that the factory has made counts."""
    scripted_model()
    scripted_model("Left over.")


def test_fails_anyway(scripted_model: Script) -> None:
    """A test that fails has its own reason."""
    scripted_model("Left by the failure.")
    raise AssertionError("its own reason")


def test_is_skipped(scripted_model: Script) -> None:
    """A skipped test stays skipped."""
    scripted_model("Left by the skip.")
    pytest.skip("not today")
