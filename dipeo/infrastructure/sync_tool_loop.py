"""The tool loop behind the synchronous door."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar, Unpack

from dipeo.application.tool import AnyTool
from dipeo.application.tool_limits import DEFAULT_LIMITS, Approve, CostOf, ToolLimits
from dipeo.application.tool_loop import ToolLoop
from dipeo.application.tool_run import ToolOutcome, ToolRun
from dipeo.domain.completion import ChatMessage, CompletionOptions
from dipeo.domain.message import Message
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.service import LLMService
from dipeo.infrastructure.sync_door import SyncLLMService, SyncReader

_SaidT = TypeVar("_SaidT")


class SyncToolRun(SyncReader[ToolRun[_SaidT]], Generic[_SaidT]):
    """A `ToolRun` for code that is not async: an iterator of its events and a context manager.

    with loop.stream(messages, "claude") as run:
        for event in run: ...

    Left early, or interrupted, it stops the tools that run. `outcome` is there at any time.
    """

    @property
    def outcome(self) -> ToolOutcome[_SaidT]:
        """What the run has come to so far."""
        return self._events.outcome

    def collect(self) -> ToolOutcome[_SaidT]:
        """Reads to the end and returns the outcome. Asked again, it is the same outcome, or the same error."""
        return self._loop.run(self._events.collect())


class SyncToolLoop:
    """A `ToolLoop` for code that is not async: the same arguments, limits and errors.

    with dipeo.connect_sync() as llm:
        outcome = SyncToolLoop(llm, [weather, clock]).run(messages, "claude")

    Sync tools, and a sync `approve`, run in threads of their own, and may use `llm` themselves. Async ones run on the
    background loop. An exception in the waiting thread, such as `KeyboardInterrupt`, cancels the run.
    """

    def __init__(
        self,
        llm: SyncLLMService,
        tools: Iterable[AnyTool | Callable[..., object]],
        *,
        limits: ToolLimits = DEFAULT_LIMITS,
        approve: Approve | None = None,
        cost_of: CostOf | None = None,
    ) -> None:
        self._inner = ToolLoop(llm.service, tools, limits=limits, approve=approve, cost_of=cost_of)
        self._loop = llm.loop
        self.tools = self._inner.tools

    def run(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> ToolOutcome[ChatMessage]:
        """See `ToolLoop.run`; what it comes to."""
        run = self._inner.run(messages, model, api_key_id=api_key_id, service=service, **options)
        return self._loop.run(run.collect())

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> SyncToolRun[ChatMessage]:
        """See `ToolLoop.stream`."""
        run = self._inner.stream(messages, model, api_key_id=api_key_id, service=service, **options)
        return SyncToolRun(run, self._loop)

    def run_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> ToolOutcome[Message]:
        """See `ToolLoop.run_with_person`; what it comes to."""
        return self._loop.run(self._inner.run_with_person(person_messages, person_id, llm_config, **options).collect())

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> SyncToolRun[Message]:
        """See `ToolLoop.stream_with_person`."""
        run = self._inner.stream_with_person(person_messages, person_id, llm_config, **options)
        return SyncToolRun(run, self._loop)

    def __repr__(self) -> str:
        return f"<SyncToolLoop {', '.join(each.name for each in self.tools)}>"
