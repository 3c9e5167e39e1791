"""Refusals in every dialect, the same for both ways of asking."""

from __future__ import annotations

from collections.abc import Mapping

from dipeo.testing.simulator.faults.entry import EVERYBODY, Dialect, FaultCase, Outcome
from dipeo.testing.simulator.faults.words import ANTHROPIC, CHAT, RESPONSES, problem, reply
from dipeo.testing.simulator.json_value import JsonValue

OPENAI = (CHAT, RESPONSES)
STATES_CODES = (CHAT, RESPONSES, ANTHROPIC)


def status_case(
    name: str,
    status: int,
    outcome: Outcome,
    *,
    codes: Mapping[Dialect, str] | None = None,
    message: str = "Something is wrong.",
    headers: Mapping[str, str] | None = None,
    **more: JsonValue,
) -> FaultCase:
    """A refusal in each dialect that has a code for it, the same for both ways of asking."""
    wording = {
        dialect: reply(problem(dialect, status, message, code, **more), status=status, headers=headers)
        for dialect, code in (codes or dict.fromkeys(EVERYBODY, "")).items()
    }
    return FaultCase(name=name, unary=wording, stream=wording, outcome=outcome)
