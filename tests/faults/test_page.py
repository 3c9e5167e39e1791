"""The page of faults is what the catalogue says, and the catalogue is whole."""

import re

import pytest

from dipeo.testing.simulator.faults.catalogue import CATALOGUE, cases_named, every_case, fault_case
from dipeo.testing.simulator.faults.entry import EVERYBODY, FaultRow, Mode
from tests.faults.generate_page import COMMAND, TARGET, page


def test_the_page_is_what_the_catalogue_says() -> None:
    """Whoever changes a row writes the page again, which plays every case first."""
    assert TARGET.read_text(encoding="utf-8") == page(), COMMAND


def test_every_row_is_there() -> None:
    """The rows are F01 to F70, in order, and no two cases have one name."""
    assert [row.id for row in CATALOGUE] == [f"F{number:02}" for number in range(1, 71)]
    names = [case.name for case in every_case()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(rf"{row.id}(\.\w+)?", case.name) for row in CATALOGUE for case in row.cases)


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.id)
def test_what_a_row_does_not_show_has_a_reason(row: FaultRow) -> None:
    """Each dialect and each way of asking has a case, or the data say why not; what is shown needs no such reason."""
    for dialect in EVERYBODY:
        is_shown = any(dialect in case.wording(mode) for case in row.cases for mode in Mode)
        assert is_shown != (dialect in row.absent), dialect
    for mode in Mode:
        is_shown = any(case.wording(mode) for case in row.cases)
        assert is_shown != (mode in row.absent) or not row.cases, mode
    for case in row.cases:
        assert all(exception.why for exception in case.exceptions)


def test_cases_are_found_by_their_names() -> None:
    """A row's id gives its cases, a case's name gives that one, and an unknown name is refused."""
    assert [case.name for case in cases_named("F56")] == ["F56.close", "F56.reset"]
    assert fault_case("F56.reset").row == "F56"
    with pytest.raises(ValueError, match=r"several cases: F56\.close, F56\.reset"):
        fault_case("F56")
    with pytest.raises(ValueError, match="no fault 'F99'; the catalogue has F01 to F70"):
        cases_named("F99")
