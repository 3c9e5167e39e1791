"""What is asked again by somebody who would rather pay twice than have no answer."""

from collections.abc import Iterator

import pytest

from dipeo.testing import ProviderSimulator
from dipeo.testing.simulator.faults.catalogue import every_case
from dipeo.testing.simulator.faults.entry import MAX_ATTEMPTS, Dialect, FaultCase, Mode, WireName
from tests.faults.matrix import play_one, shared_wires

BROKEN_OFF = ("F27", "F29")
"""Nothing at all, and half an answer: the other half may come the next time."""

LASTING = ("F28", "F41.deep", "F41.number", "F41.nan")
"""A web page, and JSON that no reader takes."""


def _cases(names: tuple[str, ...]) -> Iterator[FaultCase]:
    cases = {case.name: case for case in every_case()}
    return (cases[name] for name in names)


async def _requests(dialect: Dialect, wire: WireName, names: tuple[str, ...], mode: Mode) -> dict[str, int]:
    async with ProviderSimulator() as simulator, shared_wires(wire) as open_wire:
        return {
            case.name: (
                await play_one(simulator, open_wire, case, dialect, mode, retries_unknown_outcome=True)
            ).requests
            for case in _cases(names)
        }


@pytest.mark.parametrize("wire", [WireName.HTTP, WireName.SDK])
@pytest.mark.parametrize("dialect", Dialect)
async def test_an_answer_that_broke_off_is_asked_for_again_by_order(dialect: Dialect, wire: WireName) -> None:
    """Whoever allows to pay twice has all attempts."""
    assert await _requests(dialect, wire, BROKEN_OFF, Mode.UNARY) == dict.fromkeys(BROKEN_OFF, MAX_ATTEMPTS)


@pytest.mark.parametrize("wire", [WireName.HTTP, WireName.SDK])
@pytest.mark.parametrize("dialect", Dialect)
async def test_an_answer_that_would_come_again_is_not_asked_for_again(dialect: Dialect, wire: WireName) -> None:
    """No policy makes another answer of it."""
    assert await _requests(dialect, wire, LASTING, Mode.UNARY) == dict.fromkeys(LASTING, 1)


@pytest.mark.parametrize("dialect", Dialect)
async def test_a_web_page_instead_of_a_stream_is_not_asked_for_again(dialect: Dialect) -> None:
    """Its media type says what it is before anything is read."""
    assert await _requests(dialect, WireName.HTTP, ("F28",), Mode.STREAM) == {"F28": 1}
