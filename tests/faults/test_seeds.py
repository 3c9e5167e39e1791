"""A thousand seeds of faults of the catalogue, in virtual time."""

import pytest

from tests.faults.seeds import run_seed, violations

SEEDS = 1000
CHUNK = 125
REPLAY = "python -c 'from tests.faults.seeds import *; print(violations(run_seed({}).result))'"


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_providers_do_each_call_has_one_end(first: int) -> None:
    """One answer or one error of ours, in time to the instant, and as many attempts recorded as requests were made."""
    failures = {seed: found for seed in range(first, first + CHUNK) if (found := violations(run_seed(seed).result))}
    assert not failures, "\n".join(f"{REPLAY.format(seed)}\n    {found}" for seed, found in failures.items())


def test_the_same_seed_gives_the_same_course_of_events() -> None:
    """Which fault strikes whom, and what follows, depends on the seed alone."""
    assert [run_seed(seed).digest for seed in range(10)] == [run_seed(seed).digest for seed in range(10)]
    assert len({run_seed(seed).digest for seed in range(10)}) == 10
