"""All rows of the catalogue, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Iterable

from dipeo.testing.simulator.faults import contents, limits, statuses, streaming, transport
from dipeo.testing.simulator.faults.entry import FaultCase, FaultRow

CATALOGUE: tuple[FaultRow, ...] = (*limits.ROWS, *statuses.ROWS, *contents.ROWS, *transport.ROWS, *streaming.ROWS)
"""Every row, in the order of the ids."""


def every_case() -> tuple[FaultCase, ...]:
    """The cases of all rows."""
    return tuple(case for row in CATALOGUE for case in row.cases)


def cases_named(name: str) -> tuple[FaultCase, ...]:
    """The cases of a row such as `F04`, or the one case with a name such as `F04.inf`. Raises ValueError."""
    found = tuple(case for case in every_case() if name in (case.name, case.row))
    if not found and (absent := next((row for row in CATALOGUE if row.id == name), None)) is not None:
        raise ValueError(f"the fault {name!r} has no case: {next(iter(absent.absent.values()))}")
    if not found:
        raise ValueError(f"there is no fault {name!r}; the catalogue has {CATALOGUE[0].id} to {CATALOGUE[-1].id}")
    return found


def fault_case(name: str) -> FaultCase:
    """The one case of this name. Raises ValueError for a name that no case has, or several."""
    found = cases_named(name)
    if len(found) > 1:
        raise ValueError(f"{name!r} has several cases: {_listed(found)}")
    return found[0]


def _listed(cases: Iterable[FaultCase]) -> str:
    return ", ".join(case.name for case in cases)
