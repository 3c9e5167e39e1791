"""One run of a tool loop: what happens in it, and what it came to."""

import asyncio
import math
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Generic, Self, TypeVar

from attrs import field, frozen

from dipeo.application.talk import Talk, with_own_ids
from dipeo.application.tool import AnyTool
from dipeo.application.tool_call import CallEnding, ToolCall, ended, same_call
from dipeo.application.tool_limits import Approve, CostOf, RunEnding, ToolLimits
from dipeo.application.tool_round import RoundOfCalls, ToolEnded, ToolStarted
from dipeo.domain.completion import Completion, CompletionOptions, FinishReason
from dipeo.domain.errors import StreamNotFinishedError, TimeoutError  # noqa: A004  # dipeo's own
from dipeo.domain.parts import Part, ToolCallPart
from dipeo.domain.stream import CompletionEnd, CompletionEvent
from dipeo.domain.usage import Usage

SaidT = TypeVar("SaidT")

_LAST_MOMENT_S = 0.05
"""An answer that ran out of time this near to the end of the run's time ran out of that."""


@frozen(kw_only=True)
class Terms:
    """What a loop was made with."""

    tools: Mapping[str, AnyTool]
    limits: ToolLimits
    approve: Approve | None
    cost_of: CostOf | None


@frozen(kw_only=True)
class ToolOutcome(Generic[SaidT]):
    """What a run came to, or has come to so far.

    `completions` are all answers, `calls` all calls of tools with what came of each. `said` is what was said in the
    run, the answer included, to go on from: every call in it has its result. `detail` explains the `ending` in words.
    """

    ending: RunEnding
    detail: str = ""
    completions: tuple[Completion, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    said: tuple[SaidT, ...] = ()
    costs_usd: tuple[float | None, ...] = field(default=(), repr=False)

    @property
    def is_answered(self) -> bool:
        """Whether the model came to an answer; otherwise a limit was reached, or the run broke off."""
        return self.ending is RunEnding.ANSWERED

    @property
    def completion(self) -> Completion:
        """The last answer. Raises `StreamNotFinishedError` where there was none."""
        if not self.completions:
            raise StreamNotFinishedError("The run has no answer yet.")
        return self.completions[-1]

    @property
    def text(self) -> str:
        """The text of the last answer; empty where there was none."""
        return self.completions[-1].text if self.completions else ""

    @property
    def usage(self) -> Usage:
        """What all answers used together."""
        return sum((completion.usage for completion in self.completions), Usage())

    @property
    def cost_usd(self) -> float | None:
        """What all answers cost together; None where the cost of any is not known."""
        known = [cost for cost in self.costs_usd if cost is not None]
        return math.fsum(known) if len(known) == len(self.completions) else None


@frozen
class RunEnd(CompletionEvent, Generic[SaidT]):
    """The run is over; always the last event."""

    outcome: ToolOutcome[SaidT]


class ToolRun(Generic[SaidT]):
    """A run: `await` it for its outcome, or read its events, which is also how to leave it early.

    async with loop.stream(messages, "claude") as run:
        async for event in run: ...

    Events are those of the answers, `ToolStarted`, `ToolEnded`, and `RunEnd` at the end. Nothing is sent before the run
    is awaited or read. Cancelled or left, it stops the tools that run. `outcome` is there at any time, also after an
    error: nothing that was done is lost.

    One run serves one reader, and any number of those who await it: each gets the same outcome, or the same error. For
    those who did not cancel it themselves, a run that was cancelled has an outcome, too, whose `ending` says so.
    """

    def __init__(self, talk: Talk[SaidT], terms: Terms, options: CompletionOptions, *, is_stream: bool) -> None:
        self._talk = talk
        self._terms = terms
        self._limits = terms.limits
        self._options = options
        self._is_stream = is_stream
        self._offered = {} if options.get("tool_choice") == "none" else terms.tools
        self._completions: list[Completion] = []
        self._costs_usd: list[float | None] = []
        self._calls: list[ToolCall] = []
        self._ending = RunEnding.RUNNING
        self._detail = ""
        self._deadline_at_s = math.inf
        self._broken_rounds = 0
        self._seen = Counter[str]()
        self._taken_ids: set[str] = set()
        self._error: BaseException | None = None
        self._collecting = asyncio.Lock()
        self._events = self._guarded()

    @property
    def outcome(self) -> ToolOutcome[SaidT]:
        """What the run has come to so far."""
        return ToolOutcome(
            ending=self._ending,
            detail=self._detail,
            completions=tuple(self._completions),
            calls=tuple(self._calls),
            said=tuple(self._talk.said),
            costs_usd=tuple(self._costs_usd),
        )

    def __await__(self) -> Generator[object, None, ToolOutcome[SaidT]]:
        return self.collect().__await__()

    async def collect(self) -> ToolOutcome[SaidT]:
        """Reads to the end, closes, and returns the outcome, as `await` does."""
        async with self._collecting:
            if self._error is not None:
                raise self._error
            async with self:
                async for _ in self:
                    pass
        return self.outcome

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CompletionEvent:
        return await self._events.__anext__()

    async def aclose(self) -> None:
        """Stops what runs. Closing twice does nothing."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ToolRun {self._ending.value}: {len(self._completions)} answers, {len(self._calls)} calls>"

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _guarded(self) -> AsyncGenerator[CompletionEvent, None]:
        try:
            async with aclosing(self._rounds()) as events:
                async for event in events:
                    yield event
            yield RunEnd(self.outcome)
        except (asyncio.CancelledError, GeneratorExit):
            if self._ending is RunEnding.RUNNING:
                self._end(RunEnding.CANCELLED, "The run was cancelled, or left by its reader.")
            raise
        except TimeoutError as error:
            if self._left_s() > _LAST_MOMENT_S:
                raise
            self._end(RunEnding.TIME, f"The time was over while the model answered: {error.message}")
            yield RunEnd(self.outcome)
        finally:
            if self._ending is RunEnding.RUNNING:
                self._error = sys.exception()
                self._end(RunEnding.FAILED, "An error ended the run.")

    async def _rounds(self) -> AsyncGenerator[CompletionEvent, None]:
        if self._limits.timeout_s is not None:
            self._deadline_at_s = asyncio.get_running_loop().time() + self._limits.timeout_s
        self._taken_ids = set(self._talk.call_ids_before())
        while self._ending is RunEnding.RUNNING:
            async with aclosing(self._asked()) as events:
                async for event in events:
                    yield event
            completion = self._completions[-1]
            parts = with_own_ids(completion.parts, self._taken_ids)
            calls = tuple(part for part in parts if isinstance(part, ToolCallPart))
            if not calls and completion.finish_reason is not FinishReason.PAUSED:
                self._talk.add(parts, ())
                self._end(RunEnding.ANSWERED)
                return
            async with aclosing(self._answered(completion, parts, calls)) as events:
                async for event in events:
                    yield event
            if self._left_s() <= 0 and self._ending is RunEnding.RUNNING:
                self._end(RunEnding.TIME, f"The run took its {self._limits.timeout_s} seconds.")

    async def _asked(self) -> AsyncGenerator[CompletionEvent, None]:
        """The next answer, noted with what it cost."""
        options = self._asked_options()
        if self._is_stream:
            async with self._talk.stream(options) as stream:
                async for event in stream:
                    if isinstance(event, CompletionEnd):
                        self._note(event.completion)
                    yield event
            # A stream without an end has said so by an error.
            return
        completion = await self._talk.complete(options)
        self._note(completion)
        yield CompletionEnd(completion)

    def _note(self, completion: Completion) -> None:
        self._completions.append(completion)
        cost_of = self._terms.cost_of
        self._costs_usd.append(None if cost_of is None else cost_of(completion))

    def _asked_options(self) -> CompletionOptions:
        options = self._options.copy()
        options["tools"] = [tool.spec for tool in self._terms.tools.values()]
        if self._completions and options.get("tool_choice") != "none":
            # Asked again and again, the model could never answer in words.
            options.pop("tool_choice", None)
        if self._deadline_at_s < math.inf:
            given_s = options.get("timeout_s")
            left_s = max(self._left_s(), 0.001)
            options["timeout_s"] = left_s if given_s is None else min(given_s, left_s)
        return options

    async def _answered(
        self, completion: Completion, parts: tuple[Part, ...], calls: Sequence[ToolCallPart]
    ) -> AsyncGenerator[ToolStarted | ToolEnded, None]:
        """Carries out the calls, within the limits, and tells the model of each what came of it."""
        number = len(self._completions)
        limit = self._limit_before(calls)
        if limit is not None:
            self._end(*limit)
            skipped = tuple(_skipped(part, limit[1], number) for part in calls)
            self._tell(parts, skipped)
            return
        the_round = RoundOfCalls(
            calls,
            number=number,
            offered=self._offered,
            limits=self._limits,
            approve=self._terms.approve,
            is_cut_off=completion.finish_reason in _CUT_OFF,
            deadline_at_s=self._deadline_at_s,
        )
        try:
            async with aclosing(the_round.events()) as events:
                async for event in events:
                    yield event
        finally:
            self._tell(parts, the_round.records())
        self._broken_rounds = self._broken_rounds + 1 if the_round.is_broken else 0
        if self._broken_rounds > self._limits.max_broken_rounds:
            self._end(RunEnding.BROKEN_CALLS, f"{self._broken_rounds} answers in a row held broken calls.")

    def _tell(self, parts: tuple[Part, ...], records: tuple[ToolCall, ...]) -> None:
        self._calls += records
        self._talk.add(parts, tuple(record.result for record in records))

    def _limit_before(self, calls: Sequence[ToolCallPart]) -> tuple[RunEnding, str] | None:
        """The limit that keeps these calls from being carried out, if there is one."""
        limits = self._limits
        usage, cost_usd = self.outcome.usage, self.outcome.cost_usd
        if len(self._completions) >= limits.max_rounds:
            return RunEnding.ROUNDS, f"The limit of {limits.max_rounds} rounds is reached."
        if limits.max_total_tokens is not None:
            if not usage.is_reported:
                return RunEnding.TOKENS, "The provider did not say how many tokens it used, and there is a limit."
            if usage.total_tokens >= limits.max_total_tokens:
                return RunEnding.TOKENS, f"The limit of {limits.max_total_tokens} tokens is reached."
        if limits.max_cost_usd is not None:
            if cost_usd is None:
                return RunEnding.COST, "Nobody knows what the answers cost, and there is a limit."
            if cost_usd >= limits.max_cost_usd:
                return RunEnding.COST, f"The limit of {limits.max_cost_usd} US dollars is reached."
        if sum(call.was_begun for call in self._calls) + len(calls) > limits.max_calls:
            return RunEnding.CALLS, f"The limit of {limits.max_calls} calls would be passed."
        return self._repeated(calls)

    def _repeated(self, calls: Sequence[ToolCallPart]) -> tuple[RunEnding, str] | None:
        for part in calls:
            self._seen[same_call(part)] += 1
            if self._seen[same_call(part)] > self._limits.max_repeats:
                words = f"{part.name!r} was called with the same arguments over {self._limits.max_repeats} times."
                return RunEnding.REPEATS, words
        return None

    def _left_s(self) -> float:
        return self._deadline_at_s - asyncio.get_running_loop().time()

    def _end(self, ending: RunEnding, detail: str = "") -> None:
        self._ending, self._detail = ending, detail


_CUT_OFF = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.PAUSED)


def _skipped(part: ToolCallPart, why: str, number: int) -> ToolCall:
    return ended(part, CallEnding.SKIPPED, f"Not carried out: {why}", round_number=number)
