"""What the in-memory fakes add to their ports."""

import sys
from datetime import UTC, datetime

import pytest

from dipeo.domain.attempt import Attempt
from dipeo.domain.errors import PromptRefusedError, ValidationError
from dipeo.domain.model import ModelTarget
from dipeo.domain.prompt import PromptFile
from dipeo.domain.service import LLMService
from dipeo.infrastructure.ledger.in_memory import InMemoryLedger
from dipeo.testing import FakeAliases, FakeKeys, FakeLedger, FakePrompts


def attempt(number: int) -> Attempt:
    """An attempt."""
    return Attempt(
        call_id=f"call-{number}",
        number=1,
        service=LLMService.OPENAI,
        model="m",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        latency_ms=1.0,
    )


@pytest.mark.parametrize("service", LLMService)
def test_fake_keys_have_one_for_every_service(service: LLMService) -> None:
    """The usual key says by its value that it is none, and whose it is not."""
    secret = FakeKeys().find(service)
    assert secret is not None
    assert secret.reveal() == f"sk-fake-{service.value}"
    assert FakeKeys(services=()).find(service) is None


async def test_a_fake_ledger_can_fail() -> None:
    """The failure it is given is raised, and nothing is kept."""
    ledger = FakeLedger(failure=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        await ledger.record(attempt(1))
    assert ledger.recorded == []


def test_fake_prompts_hold_texts_and_files() -> None:
    """A bare text is a prompt without front matter; refused names are refused, whether they exist or not."""
    file = PromptFile(text="x", model="m")
    prompts = FakePrompts({"text": "Be kind.", "file": file, "both": "x"}, refused=("both", "neither"))
    assert prompts.load("text") == PromptFile(text="Be kind.")
    assert prompts.load("file") is file
    for name in ("both", "neither"):
        with pytest.raises(PromptRefusedError):
            prompts.load(name)


def test_fake_aliases_can_take_every_name_for_a_model() -> None:
    """With a service for the rest, no name is unknown; an alias still goes first."""
    target = ModelTarget(service=LLMService.XAI, model="grok-4")
    aliases = FakeAliases({"quick": target}, otherwise=LLMService.OLLAMA)
    assert aliases.resolve("quick") is target
    assert aliases.resolve("anything") == ModelTarget(service=LLMService.OLLAMA, model="anything")
    assert set(aliases.aliases()) == {"quick"}


async def test_the_ledger_in_memory_is_bounded() -> None:
    """The newest attempts are kept, the oldest forgotten."""
    ledger = InMemoryLedger(max_attempts_kept=3)
    for number in range(5):
        await ledger.record(attempt(number))
    assert [each.call_id for each in await ledger.attempts()] == ["call-2", "call-3", "call-4"]
    assert await ledger.attempts(call_id="call-0") == ()
    assert repr(ledger) == "<InMemoryLedger 3 of at most 3 attempts>"


async def test_the_ledger_in_memory_keeps_a_thousand_unless_told_otherwise() -> None:
    """What a program does not ask for must not grow with it."""
    ledger = InMemoryLedger()
    for number in range(1_001):
        await ledger.record(attempt(number))
    kept = await ledger.attempts()
    assert (len(kept), kept[0].call_id, kept[-1].call_id) == (1_000, "call-1", "call-1000")


@pytest.mark.parametrize("bound", [0, -1, True, 1.5, float("nan"), "3", None, sys.maxsize + 1])
def test_a_bad_bound_is_refused(bound: int) -> None:
    """A ledger keeps at least one attempt."""
    with pytest.raises(ValidationError) as caught:
        InMemoryLedger(max_attempts_kept=bound)
    assert caught.value.field == "max_attempts_kept"
