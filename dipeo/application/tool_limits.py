"""How far a tool loop may go."""

from collections.abc import Awaitable, Callable
from enum import StrEnum

from attrs import fields, frozen

from dipeo.application.tool import MAX_TOOL_TIMEOUT_S, AnyTool
from dipeo.domain.checks import check_number
from dipeo.domain.completion import Completion
from dipeo.domain.parts import ToolCallPart


@frozen(kw_only=True)
class ToolLimits:
    """The limits of one run; None is no limit.

    `max_rounds` counts answers of the model, `max_calls` calls of tools, `max_repeats` calls of one tool with the same
    arguments. `max_total_tokens` and `max_cost_usd` bound all answers together: what was not reported, or has no known
    price, is not zero, and ends the run too. `timeout_s` bounds the whole run and `tool_timeout_s` one call of a tool,
    in seconds. A longer result is cut; a call with longer arguments is not carried out. `max_concurrent` is how many
    tools run at once. `max_broken_rounds` is how many answers in a row may hold calls that are broken or cut off.
    """

    max_rounds: int = 10
    max_calls: int = 50
    max_repeats: int = 3
    max_total_tokens: int | None = None
    max_cost_usd: float | None = None
    timeout_s: float | None = None
    tool_timeout_s: float = 60.0
    max_result_chars: int = 50_000
    max_argument_chars: int = 100_000
    max_concurrent: int = 8
    max_broken_rounds: int = 1

    def __attrs_post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None:
                minimum = 0 if name == "max_broken_rounds" else 1
                check_number(name, value, minimum=minimum, maximum=2**53, is_whole=True)
        for name in ("timeout_s", "tool_timeout_s"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), minimum=0.001, maximum=MAX_TOOL_TIMEOUT_S)
        if self.max_cost_usd is not None:
            check_number("max_cost_usd", self.max_cost_usd, minimum=0)


_COUNTS = tuple(
    attribute.name
    for attribute in fields(ToolLimits)
    if attribute.name not in ("timeout_s", "tool_timeout_s", "max_cost_usd")
)
DEFAULT_LIMITS = ToolLimits()


class RunEnding(StrEnum):
    """Why a run ended. All but `ANSWERED`, `FAILED` and `CANCELLED` are limits; `RUNNING` is not over."""

    RUNNING = "running"
    ANSWERED = "answered"
    ROUNDS = "rounds"
    CALLS = "calls"
    REPEATS = "repeats"
    BROKEN_CALLS = "broken_calls"
    TOKENS = "tokens"
    COST = "cost"
    TIME = "time"
    FAILED = "failed"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class PendingCall:
    """A call that waits for approval: whole, of a tool that was offered, and with arguments that fit."""

    tool: AnyTool
    part: ToolCallPart
    round_number: int


@frozen
class Denied:
    """No; `reason` is told to the model."""

    reason: str = ""


Decision = bool | Denied
Approve = Callable[[PendingCall], Decision | Awaitable[Decision]]
"""Asked before every call; only `True` allows it. Sync functions are asked in a thread of their own."""

CostOf = Callable[[Completion], float | None]
"""What an answer cost in US dollars; None where nobody knows."""
