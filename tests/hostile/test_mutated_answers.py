"""Answers that no provider should send: every one ends in a completion or in an error of ours."""

import itertools
import json
import resource
from datetime import UTC, datetime

import pytest

from dipeo.domain.errors import DipeoError
from dipeo.infrastructure.llm.drivers.retry_after import MAX_RETRY_AFTER_S, parse_retry_after
from tests.hostile.attack import attack
from tests.hostile.mutations import ODD_BYTES, ODD_WAITS, REFUSALS
from tests.hostile.reading import Reader, Received, headers_of
from tests.hostile.specimens import JSON, OWN_ANSWERS, OWN_STREAMS, Specimen
from tests.hostile.verdict_of_reading import faults_of_error

BLOCKS = 10
ATTACKS_IN_A_BLOCK = 1_000
MAX_GROWTH_KB = 256 * 1024

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_a_mutated_answer_ends_as_an_answer_or_as_our_error(block: int) -> None:
    """10,000 seeded mutations of streams, answers and refusals; what fails is named by its seed."""
    reader = Reader()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seeds = range(block * ATTACKS_IN_A_BLOCK, (block + 1) * ATTACKS_IN_A_BLOCK)
    attacks = [await attack(reader, seed) for seed in seeds]
    assert not [str(each) for each in attacks if each.faults]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < MAX_GROWTH_KB
    # A test whose every answer failed in the same way would show nothing.
    endings = {each.ending for each in attacks}
    assert {"Completion", "MalformedResponseError", "IncompleteStreamError", "RateLimitError"} <= endings


@pytest.mark.parametrize("header", ["retry-after", "retry-after-ms"])
@pytest.mark.parametrize("said", ODD_WAITS, ids=lambda said: ascii(said)[:40])
def test_an_odd_wait_is_a_sane_number_or_nothing(said: str, header: str) -> None:
    """However a provider says how long to wait, and whatever date it claims to have."""
    for date in (None, *ODD_WAITS):
        headers = {header: said} if date is None else {header: said, "date": date}
        for wait_s in (parse_retry_after(headers), parse_retry_after(headers, now=NOW)):
            assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize("specimen", [*OWN_STREAMS[:1], *OWN_STREAMS[2:], *OWN_ANSWERS[:1]], ids=str)
async def test_any_status_with_any_error_body_is_an_error_of_ours(specimen: Specimen) -> None:
    """Every status from 300 to 999, with each shape of error body, with nothing, and with bytes that mean nothing."""
    reader = Reader()
    bodies = [*(json.dumps(body).encode() for body in REFUSALS), *ODD_BYTES, b""]
    ask = reader.complete if specimen.media_type == JSON else reader.stream
    for status, body in zip(range(300, 1000), itertools.cycle(bodies), strict=False):
        read = await ask(specimen, Received([body], status=status, headers=headers_of(specimen)))
        assert isinstance(read.error, DipeoError), (status, body)
        assert not faults_of_error(read.error), (status, body)
        assert read.error.status == status
