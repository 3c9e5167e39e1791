"""Carries out the calls of one answer: what may be, side by side."""

import asyncio
import inspect
import math
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from attrs import frozen

from dipeo.application.own_thread import in_own_thread
from dipeo.application.tool import AnyTool
from dipeo.application.tool_call import CallEnding, ReadyCall, ToolCall, carried_out, ended, read_call
from dipeo.application.tool_limits import Approve, Decision, Denied, PendingCall, ToolLimits
from dipeo.domain.parts import ToolCallPart
from dipeo.domain.stream import CompletionEvent


@frozen
class ToolStarted(CompletionEvent):
    """A tool begins to run."""

    part: ToolCallPart


@frozen
class ToolEnded(CompletionEvent):
    """A call of a tool has ended, in whichever way; also one that was not carried out."""

    call: ToolCall


class RoundOfCalls:
    """The calls of one answer. `records()` says of each what came of it, whenever it is asked."""

    def __init__(
        self,
        parts: Sequence[ToolCallPart],
        *,
        number: int,
        offered: Mapping[str, AnyTool],
        limits: ToolLimits,
        approve: Approve | None,
        is_cut_off: bool,
        deadline_at_s: float,
    ) -> None:
        self._parts = parts
        self._number = number
        self._limits = limits
        self._approve = approve
        self._deadline_at_s = deadline_at_s
        self._records: dict[str, ToolCall] = {}
        self._begun: set[str] = set()
        self._slots = asyncio.Semaphore(limits.max_concurrent)
        read = partial(read_call, offered=offered, is_cut_off=is_cut_off, max_argument_chars=limits.max_argument_chars)
        self._read = {part.call_id: read(part) for part in parts}
        self.is_broken = is_cut_off or any(part.broken_arguments is not None for part in parts)

    def records(self) -> tuple[ToolCall, ...]:
        """What came of each call, in the order of the answer; those without an end were cancelled."""
        return tuple(self._records.get(part.call_id) or self._given_up(part) for part in self._parts)

    async def events(self) -> AsyncGenerator[ToolStarted | ToolEnded, None]:
        """Carries the calls out. Left early, it stops what runs."""
        for part in self._parts:
            refusal = self._read[part.call_id]
            if isinstance(refusal, str):
                yield self._noted(ended(part, CallEnding.REFUSED, refusal, round_number=self._number))
        ready = [each for each in self._read.values() if isinstance(each, ReadyCall)]
        approved: list[ReadyCall] = []
        for each in ready:
            denied = await self._denied(each)
            if denied is None:
                approved.append(each)
            else:
                yield self._noted(denied)
        for batch in _batches(approved):
            async with aclosing(self._side_by_side(batch)) as events:
                async for event in events:
                    yield event

    async def _denied(self, ready: ReadyCall) -> ToolCall | None:
        """The call as it ends where nobody approves of it."""
        if self._approve is None:
            return None
        pending = PendingCall(tool=ready.tool, part=ready.part, round_number=self._number)
        asking = asyncio.ensure_future(_decided(self._approve, pending))
        try:
            await asyncio.wait({asking}, timeout=self._left_s())
        finally:
            is_late = asking.cancel()
        # What the function raises ends the run: to go on without approval is not an option.
        decision = Denied("Nobody answered in time.") if is_late else asking.result()
        if decision is True:
            return None
        reason = decision.reason if isinstance(decision, Denied) else ""
        text = f"Not carried out: it was not approved. {reason}".rstrip()
        return ended(ready.part, CallEnding.DENIED, text, round_number=self._number)

    async def _side_by_side(self, batch: Sequence[ReadyCall]) -> AsyncGenerator[ToolStarted | ToolEnded, None]:
        if (self._left_s() or 1) <= 0:
            return
        for ready in batch:
            yield ToolStarted(ready.part)
        tasks = {asyncio.create_task(self._carried_out(ready)) for ready in batch}
        pending = tasks
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield self._noted(task.result())
        finally:
            await self._stopped(tasks)

    async def _stopped(self, tasks: set[asyncio.Task[ToolCall]]) -> None:
        """Stops what runs, and notes what had come to an end and was not looked at."""
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks)
        finally:
            for task in tasks:
                if task.done() and not task.cancelled() and task.exception() is None:
                    self._noted(task.result())

    async def _carried_out(self, ready: ReadyCall) -> ToolCall:
        async with self._slots:
            self._begun.add(ready.part.call_id)
            own_s = self._limits.tool_timeout_s if ready.tool.timeout_s is None else ready.tool.timeout_s
            left_s = self._left_s()
            return await carried_out(
                ready,
                round_number=self._number,
                timeout_s=own_s if left_s is None else max(min(own_s, left_s), 0.0),
                max_result_chars=self._limits.max_result_chars,
            )

    def _given_up(self, part: ToolCallPart) -> ToolCall:
        if part.call_id in self._begun:
            text = "The tool was cancelled before it had ended; it may have done something."
            return ended(part, CallEnding.CANCELLED, text, round_number=self._number)
        return ended(part, CallEnding.SKIPPED, "Not carried out: the run ended before.", round_number=self._number)

    def _noted(self, call: ToolCall) -> ToolEnded:
        self._records[call.part.call_id] = call
        return ToolEnded(call)

    def _left_s(self) -> float | None:
        """Seconds that are left of the run; None without a limit."""
        if self._deadline_at_s == math.inf:
            return None
        return self._deadline_at_s - asyncio.get_running_loop().time()


async def _decided(approve: Approve, pending: PendingCall) -> Decision:
    ask = partial(approve, pending)
    is_async = inspect.iscoroutinefunction(approve) or inspect.iscoroutinefunction(type(approve).__call__)
    answer = ask() if is_async else await in_own_thread(ask)
    decision = await answer if inspect.isawaitable(answer) else answer
    return decision if isinstance(decision, Denied) else decision is True


def _batches(ready: Sequence[ReadyCall]) -> Iterator[list[ReadyCall]]:
    """The calls in order, those together that may run side by side."""
    batch: list[ReadyCall] = []
    for each in ready:
        if not each.tool.runs_alone:
            batch.append(each)
            continue
        if batch:
            yield batch
            batch = []
        yield [each]
    if batch:
        yield batch
