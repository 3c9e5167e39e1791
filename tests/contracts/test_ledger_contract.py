"""What every ledger keeps."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from dipeo.domain.attempt import Attempt
from dipeo.domain.ports import LedgerPort
from dipeo.domain.service import LLMService
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.ledger.in_memory import InMemoryLedger
from dipeo.testing import FakeLedger


@pytest.fixture(params=[InMemoryLedger, FakeLedger])
def ledger(request: pytest.FixtureRequest) -> LedgerPort:
    """A ledger of each kind."""
    make: Callable[[], LedgerPort] = request.param
    return make()


def attempt(call_id: str, number: int = 1, verdict: Verdict | None = None) -> Attempt:
    """An attempt of a call."""
    return Attempt(
        call_id=call_id,
        number=number,
        service=LLMService.OPENAI,
        model="m",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        latency_ms=1.0,
        verdict=verdict,
    )


def test_it_is_a_ledger(ledger: LedgerPort) -> None:
    """It implements the port."""
    assert isinstance(ledger, LedgerPort)


async def test_a_new_ledger_is_empty(ledger: LedgerPort) -> None:
    """Nothing was recorded, nothing is found."""
    assert list(await ledger.attempts()) == []
    assert list(await ledger.attempts(call_id="call-1")) == []


async def test_attempts_are_kept_in_order(ledger: LedgerPort) -> None:
    """Successful, failed and cancelled ones are found again, oldest first."""
    recorded = [attempt("a"), attempt("b", verdict=Verdict.OVERLOADED), attempt("a", 2, Verdict.CANCELLED)]
    for each in recorded:
        await ledger.record(each)
    assert list(await ledger.attempts()) == recorded


async def test_the_attempts_of_one_call_are_found(ledger: LedgerPort) -> None:
    """An id picks its own call's, an unknown or empty one none."""
    for each in (attempt("a"), attempt("b"), attempt("a", 2)):
        await ledger.record(each)
    assert [(each.call_id, each.number) for each in await ledger.attempts(call_id="a")] == [("a", 1), ("a", 2)]
    assert list(await ledger.attempts(call_id="c")) == []
    assert list(await ledger.attempts(call_id="")) == []


async def test_the_same_attempt_written_twice_counts_once(ledger: LedgerPort) -> None:
    """An attempt that is written again, because nobody knew whether it was written, takes the place of the first."""
    for _ in range(2):
        await ledger.record(attempt("a"))
    assert len(await ledger.attempts()) == 1


async def test_what_was_handed_out_does_not_change(ledger: LedgerPort) -> None:
    """A later record does not grow an earlier answer."""
    await ledger.record(attempt("a"))
    before = await ledger.attempts()
    await ledger.record(attempt("b"))
    assert len(before) == 1
    assert len(await ledger.attempts()) == 2


async def test_records_made_at_once_are_all_kept(ledger: LedgerPort) -> None:
    """None is lost when many tasks record together."""
    await asyncio.gather(*(ledger.record(attempt(f"call-{number}")) for number in range(200)))
    assert {each.call_id for each in await ledger.attempts()} == {f"call-{number}" for number in range(200)}
