"""Writes `docs/reference/faults.md` once every case has been played: `python -m tests.faults.generate_page`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence

from dipeo.testing.simulator.faults.catalogue import CATALOGUE
from dipeo.testing.simulator.faults.entry import (
    EVERYBODY,
    MAX_ATTEMPTS,
    Dialect,
    FaultCase,
    FaultRow,
    Mode,
    Outcome,
    WireName,
)
from tests.docs.page import DOCS
from tests.faults.matrix import EVERY_WIRE, is_installed, play

TARGET = DOCS / "reference" / "faults.md"
COMMAND = "python -m tests.faults.generate_page"

_HEAD = f"""\
# Faults

What goes wrong between dipeo and a provider, and what a caller is told. Each line of the tables is played by the
[provider simulator](../how-to/test-your-code.md) over real sockets, whole and streamed, over dipeo's own wire (`http`)
and the official client (`sdk`, for Google also `legacy_sdk`), with {MAX_ATTEMPTS} attempts that all meet the fault.
`ProviderSimulator(faults=...)` takes the names, such as `F04.inf`; not F45, F46 and F53, which no answer shows.

- **Comes to**: the error that is raised, with its verdict; or the finish reason of an answer.
- **Requests**: how many the provider gets.
- **Waits**: before each further request: the provider's own, or dipeo's (at random, up to 0.5 s and then up to 1 s).
- **Billed**: what each attempt's record says.

This page is generated. After a change, write it again with `{COMMAND}`.
"""

_TABLE = "| Fault | In | Comes to | Requests | Waits | Billed |\n|---|---|---|---|---|---|"
_NAMES = {
    Dialect.CHAT: "OpenAI's chat",
    Dialect.RESPONSES: "OpenAI's responses",
    Dialect.ANTHROPIC: "Anthropic",
    Dialect.GOOGLE: "Google",
    Dialect.OLLAMA: "Ollama",
}


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(row) for row in CATALOGUE)]).rstrip("\n") + "\n"


def _section(row: FaultRow) -> str:
    lines = [f"## {row.id} {row.title}", ""]
    if row.cases:
        lines += [_TABLE, *(line for case in row.cases for line in _lines(case)), ""]
    notes = [*([row.note] if row.note else []), *_exceptions(row), *_absences(row)]
    lines += [*(f"- {note}" for note in notes), ""] if notes else []
    return "\n".join(lines)


def _lines(case: FaultCase) -> Iterator[str]:
    """A line for the case, and one for each group of calls that come to something else."""
    yield f"| `{case.name}` | {_spoken(case)} | {_cells(case.outcome)} |"
    for exception in case.exceptions:
        if exception.outcome is not None and _is_met(case, exception.dialects):
            where = _where(exception.dialects, exception.modes, exception.wires)
            yield f"| `{case.name}` | {where} | {_cells(exception.outcome)} |"


def _is_met(case: FaultCase, dialects: Sequence[Dialect]) -> bool:
    return not dialects or any(each in case.unary or each in case.stream for each in dialects)


def _cells(outcome: Outcome) -> str:
    if outcome.error is None:
        told = f"an answer, `{outcome.finish}`" + (" with broken calls" if outcome.broken_calls else "")
    else:
        told = f"`{outcome.error.__name__}`, `{outcome.verdict}`"
    waits = "none"
    if outcome.attempts > 1:
        waits = "dipeo's" if outcome.advised_s is None else f"{outcome.advised_s:g} s"
    billed = outcome.billed.value if outcome.attempts else "not recorded"
    return f"{told} | {outcome.requests} | {waits} | {billed}"


def _spoken(case: FaultCase) -> str:
    dialects = [each for each in EVERYBODY if each in case.unary or each in case.stream]
    modes = [mode for mode in Mode if case.wording(mode)]
    return _where(() if len(dialects) == len(EVERYBODY) else dialects, () if len(modes) == len(Mode) else modes, ())


def _where(dialects: Sequence[Dialect], modes: Sequence[Mode], wires: Sequence[WireName]) -> str:
    who = ", ".join(_NAMES[each] for each in dialects) or "all"
    how = [*(mode.value for mode in modes), *(f"`{wire.value}`" for wire in wires)]
    return f"{who}: {' '.join(how)}" if how else who


def _exceptions(row: FaultRow) -> Iterator[str]:
    """Why some calls come to something else, each reason once."""
    found = {
        f"{_where(each.dialects, each.modes, each.wires)}: {each.why}": None
        for case in row.cases
        for each in case.exceptions
        if _is_met(case, each.dialects)
    }
    yield from found


def _absences(row: FaultRow) -> Iterator[str]:
    """Which dialects and modes are not there, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for what, why in row.absent.items():
        reasons.setdefault(why, []).append(_NAMES[what] if isinstance(what, Dialect) else f"{what.value} calls")
    for why, names in reasons.items():
        yield f"Not for {', '.join(names)}: {why}"


async def _differences() -> list[str]:
    wires = [(dialect, wire) for dialect, wire in EVERY_WIRE if is_installed(wire)]
    played = [each for dialect, wire in wires for each in await play(dialect, wire)]
    return [str(each) for each in played if each.differences]


def main() -> int:
    """Plays everything; writes the page where all came to what it will say."""
    differences = asyncio.run(_differences())
    if differences:
        sys.stderr.write("\n".join([*differences, "The page is not written.\n"]))
        return 1
    TARGET.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
