"""Lets a model call tools until it has an answer, within limits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Unpack

from dipeo.application.talk import ChatTalk, PersonTalk
from dipeo.application.tool import AnyTool, Tool, tool
from dipeo.application.tool_limits import DEFAULT_LIMITS, Approve, CostOf, ToolLimits
from dipeo.application.tool_run import Terms, ToolRun
from dipeo.domain.completion import ChatMessage, CompletionOptions
from dipeo.domain.errors import ValidationError
from dipeo.domain.message import Message
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.service import LLMService
from dipeo.domain.tools import Tooling


class ToolLoop:
    """Asks a model, carries out the tools that it calls, tells it what they gave back, and asks again.

    outcome = await ToolLoop(llm, [weather, clock]).run(messages, "claude")
    print(outcome.text, outcome.ending, outcome.usage)

    A tool is carried out only if it was offered, if the answer that calls it is whole, and if the arguments fit its
    schema; the model is told of everything else as an error. `approve` is asked before every call. `cost_of` says what
    an answer cost; `limits.max_cost_usd` needs it. Raises `ValidationError` for two tools of one name, or for a tool
    that needs approval where nobody approves.
    """

    def __init__(
        self,
        llm: LLMServicePort,
        tools: Iterable[AnyTool | Callable[..., object]],
        *,
        limits: ToolLimits = DEFAULT_LIMITS,
        approve: Approve | None = None,
        cost_of: CostOf | None = None,
    ) -> None:
        self._llm = llm
        self.tools: tuple[AnyTool, ...] = tuple(each if isinstance(each, Tool) else tool(each) for each in tools)
        Tooling(tools=tuple(each.spec for each in self.tools))
        if limits.max_cost_usd is not None and cost_of is None:
            raise ValidationError("A limit of the cost needs 'cost_of'.", field="cost_of")
        unapproved = next((each.name for each in self.tools if each.needs_approval and approve is None), None)
        if unapproved is not None:
            raise ValidationError(
                f"The tool {unapproved!r} needs approval, and nobody is there to give it.",
                field="approve",
                suggestion="Pass approve=..., a function that returns True for what may be done.",
            )
        offered = {each.name: each for each in self.tools}
        self._terms = Terms(tools=offered, limits=limits, approve=approve, cost_of=cost_of)

    def run(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> ToolRun[ChatMessage]:
        """A run that begins with these messages: await it for its outcome, or read its events.

        The options go with every request; a `tool_choice` other than `none` with the first alone.
        """
        talk = ChatTalk(llm=self._llm, messages=messages, model=model, api_key_id=api_key_id, service=service, said=[])
        return ToolRun(talk, self._terms, _checked(options), is_stream=False)

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> ToolRun[ChatMessage]:
        """`run()`, with every answer streamed: its events come through."""
        talk = ChatTalk(llm=self._llm, messages=messages, model=model, api_key_id=api_key_id, service=service, said=[])
        return ToolRun(talk, self._terms, _checked(options), is_stream=True)

    def run_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> ToolRun[Message]:
        """A run in which this person calls the tools; `said` of its outcome goes into their conversation."""
        talk = PersonTalk(llm=self._llm, messages=person_messages, person_id=person_id, llm_config=llm_config, said=[])
        return ToolRun(talk, self._terms, _checked(options), is_stream=False)

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> ToolRun[Message]:
        """`run_with_person()`, with every answer streamed."""
        talk = PersonTalk(llm=self._llm, messages=person_messages, person_id=person_id, llm_config=llm_config, said=[])
        return ToolRun(talk, self._terms, _checked(options), is_stream=True)

    def __repr__(self) -> str:
        return f"<ToolLoop {', '.join(each.name for each in self.tools)}>"


def _checked(options: CompletionOptions) -> CompletionOptions:
    if "tools" in options:
        raise ValidationError(
            "The tools of a loop are those it was made with.", field="tools", suggestion="Make another ToolLoop."
        )
    return options
