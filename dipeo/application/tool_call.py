"""Carries out one call of a tool, and remembers what came of it."""

import asyncio
import inspect
import json
from collections.abc import Mapping
from copy import deepcopy
from enum import StrEnum
from functools import partial
from typing import Final

from attrs import field, frozen

from dipeo.application.own_thread import in_own_thread
from dipeo.application.shapes.shape import MismatchError
from dipeo.application.tool import AnyTool, ToolError
from dipeo.application.tool_result import bounded, result_text
from dipeo.domain.json_value import JsonObject
from dipeo.domain.parts import ToolCallPart, ToolResultPart

GRACE_S: Final = 1.0
"""How long a tool that was told to stop may take for it before it is left alone."""

_MAX_ERROR_CHARS: Final = 2_000


class CallEnding(StrEnum):
    """What came of a call of a tool.

    `REFUSED`: it was not carried out because it could not be: broken or cut off, of a tool that was not offered, or
    with arguments that do not fit. `DENIED`: nobody approved. `SKIPPED`: a limit was reached before it.
    """

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    DENIED = "denied"
    SKIPPED = "skipped"


@frozen(kw_only=True)
class ToolCall:
    """One call of a tool and what came of it: `result` is what the model is told.

    `error` is what the tool raised, for the program alone. `round_number` counts from 1.
    """

    round_number: int
    part: ToolCallPart
    ending: CallEnding
    result: ToolResultPart
    error: BaseException | None = field(default=None, eq=False)
    latency_ms: float = 0.0

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.part.name

    @property
    def was_begun(self) -> bool:
        """Whether the function was called: it may have done something."""
        return self.ending not in _NOT_BEGUN


_NOT_BEGUN: Final = (CallEnding.REFUSED, CallEnding.DENIED, CallEnding.SKIPPED)


def ended(
    part: ToolCallPart,
    ending: CallEnding,
    text: str,
    *,
    round_number: int,
    error: BaseException | None = None,
    latency_ms: float = 0.0,
) -> ToolCall:
    """The call with what the model is told of it: an error, unless it is done."""
    result = ToolResultPart(call_id=part.call_id, content=text, is_error=ending is not CallEnding.DONE)
    return ToolCall(
        round_number=round_number, part=part, ending=ending, result=result, error=error, latency_ms=latency_ms
    )


@frozen(kw_only=True)
class ReadyCall:
    """A call that may be carried out: offered, whole, and with arguments that fit."""

    part: ToolCallPart
    tool: AnyTool
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


def read_call(
    part: ToolCallPart, offered: Mapping[str, AnyTool], *, is_cut_off: bool, max_argument_chars: int
) -> ReadyCall | str:
    """The call, ready to be carried out, or what keeps it from that, in words for the model."""
    if is_cut_off:
        return "Not carried out: your answer broke off, so that this call may not be whole. Say less, and call again."
    if part.broken_arguments is not None:
        return "Not carried out: the arguments are no JSON object. Call again with one."
    tool = offered.get(part.name)
    if tool is None:
        return f"Not carried out: there is no such tool. There are: {', '.join(offered) or 'none'}."
    size = len(json.dumps(part.arguments, ensure_ascii=False))
    if size > max_argument_chars:
        return f"Not carried out: the arguments have {size} characters, and {max_argument_chars} are allowed."
    try:
        # A copy: what the tool does to its arguments must not change what the model is told that it said.
        args, kwargs = tool.read(deepcopy(part.arguments))
    except MismatchError as mismatch:
        return bounded(f"Not carried out: the arguments do not fit. {mismatch}", max_chars=_MAX_ERROR_CHARS)
    return ReadyCall(part=part, tool=tool, args=args, kwargs=kwargs)


async def carried_out(
    ready: ReadyCall, *, round_number: int, timeout_s: float | None, max_result_chars: int
) -> ToolCall:
    """The call when it has ended, in whichever way; raises nothing of the tool's.

    Cancelled, it stops the tool and raises `CancelledError`.
    """
    loop = asyncio.get_running_loop()
    begun_at_s = loop.time()
    running = asyncio.ensure_future(_called(ready, max_result_chars=max_result_chars))
    running.add_done_callback(_looked_at)
    try:
        await asyncio.wait({running}, timeout=timeout_s)
        is_late = not running.done()
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running}, timeout=GRACE_S)
    end = partial(ended, ready.part, round_number=round_number, latency_ms=(loop.time() - begun_at_s) * 1000)
    if is_late:
        return end(CallEnding.TIMED_OUT, f"The tool was stopped after {timeout_s:.3g} seconds.")
    if running.cancelled():
        return end(CallEnding.FAILED, "The tool was cancelled.")
    error = running.exception()
    if error is not None:
        return end(CallEnding.FAILED, _told(error), error=error)
    return end(CallEnding.DONE, running.result())


async def _called(ready: ReadyCall, *, max_result_chars: int) -> str:
    """What the model is told of the result. Its own code runs in that too, and may raise anything."""
    function = partial(ready.tool.function, *ready.args, **ready.kwargs)
    result: object = function() if ready.tool.is_async else await in_own_thread(function)
    result = await result if inspect.isawaitable(result) else result
    try:
        return result_text(result, max_chars=max_result_chars)
    except (TypeError, ValueError, RecursionError) as problem:
        raise ToolError("The tool gave back something that cannot be shown.") from problem


def _looked_at(task: "asyncio.Future[str]") -> None:
    """Nobody is told of what a tool raises after it was given up."""
    if not task.cancelled():
        task.exception()


def _told(error: BaseException) -> str:
    """What the model is told of an exception: the words of other exceptions may hold what is not meant for it."""
    if isinstance(error, ToolError):
        return bounded(str(error) or "The tool failed.", max_chars=_MAX_ERROR_CHARS)
    return f"The tool failed: {type(error).__name__}."


def same_call(part: ToolCallPart) -> str:
    """What two calls have in common that ask for the same: the tool and the arguments, in any order."""
    arguments: JsonObject = part.arguments
    return json.dumps([part.name, arguments], sort_keys=True)
