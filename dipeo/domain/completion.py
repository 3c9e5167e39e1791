"""What a model is asked, and what it answers."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, TypedDict

from attrs import evolve, field, frozen

from dipeo.domain.attempt import Attempt
from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.model import ModelTarget
from dipeo.domain.parts import CitationPart, Part, ReasoningPart, TextPart, ToolCallPart, text_of
from dipeo.domain.sampling import NO_SAMPLING, ReasoningEffort, Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.tools import (
    NO_TOOLS,
    PromptCache,
    ProviderTool,
    ResponseSchema,
    SchemaMode,
    Tooling,
    ToolSpec,
)
from dipeo.domain.unchecked import unchecked, unchecked_from
from dipeo.domain.usage import UNREPORTED_USAGE, Usage


class Role(StrEnum):
    """Who speaks in a request; `DEVELOPER` is OpenAI's word for instructions that outrank the user's."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"

    @property
    def is_instruction(self) -> bool:
        """Whether a message of this role instructs rather than converses."""
        return self in _INSTRUCTING


_INSTRUCTING: Final = frozenset({Role.SYSTEM, Role.DEVELOPER})


@frozen
class ChatMessage:
    """One message of a request, rendered for the one who is asked. `name` tells users apart."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = field(default=None, kw_only=True)

    @classmethod
    def from_text(cls, role: Role, text: str, *, name: str | None = None) -> "ChatMessage":
        """A message of plain text."""
        return cls(role, (TextPart(text),), name=name)

    @property
    def text(self) -> str:
        """The text of the message; other parts are left out."""
        return text_of(self.parts)


new_message = unchecked(ChatMessage)


class FinishReason(StrEnum):
    """Why the answer ends. `OTHER` is a reason this version does not know: look at `raw_finish_reason`."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    PAUSED = "paused"
    OTHER = "other"


class AdaptationAction(StrEnum):
    """What was done with something that could not be sent as asked."""

    DROPPED = "dropped"
    CLAMPED = "clamped"
    SUBSTITUTED = "substituted"
    INSERTED = "inserted"


@frozen(kw_only=True)
class Adaptation:
    """What was sent otherwise than asked, and why."""

    parameter: str
    action: AdaptationAction
    reason: str


class CompletionOptions(TypedDict, total=False):
    """What a call may ask beside its messages and model.

    `tool_choice` is `auto`, `none`, `required` or the name of one of the `tools`; `provider_tools` are run by the
    provider itself. `response_schema` is the JSON schema of the answer. `prompt_cache` asks the provider to remember
    the beginning of the request for a `short` or a `long` time. `reasoning_budget_tokens` bounds the model's thinking.
    `timeout_s` bounds the whole call in seconds, `first_token_timeout_s` the wait for a stream's first event,
    `idle_timeout_s` every silence after it; `max_attempts` is the number of attempts in all; `provider_options`
    go into the request body as they are; `strict` makes every adaptation an error. `fallbacks` are the models, aliases
    or targets that are asked, in this order, when this one cannot answer; `[]` for none.
    """

    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Iterable[str] | None
    seed: int | None
    reasoning_effort: ReasoningEffort | str | None
    reasoning_budget_tokens: int | None
    tools: Iterable[ToolSpec]
    provider_tools: Iterable[ProviderTool | str]
    tool_choice: str | None
    parallel_tool_calls: bool | None
    response_schema: ResponseSchema | JsonObject | None
    prompt_cache: PromptCache | str | None
    previous_response_id: str | None
    timeout_s: float | None
    first_token_timeout_s: float | None
    idle_timeout_s: float | None
    max_attempts: int | None
    provider_options: Mapping[str, object]
    base_url: str | None
    strict: bool
    fallbacks: "Iterable[str | ModelTarget] | None"


@frozen(kw_only=True)
class CompletionRequest:
    """All that the stack needs for one call.

    `deadline_at_s` is on the clock's monotonic scale; `max_attempts` counts all attempts of the call. `attempt_number`
    and `waited_s` (seconds before this attempt) are set by the station that retries. `previous_response_id` is the
    provider's name for an answer that this request goes on from, where it keeps answers. `notes` are carried over to
    the completion. `fallbacks` are the candidates after this one.
    """

    service: LLMService
    model: str
    messages: tuple[ChatMessage, ...]
    api_key_id: str | None = None
    base_url: str | None = None
    sampling: Sampling = NO_SAMPLING
    provider_options: JsonObject = field(factory=dict)
    is_strict: bool = False
    person_id: str | None = None
    call_id: str = ""
    deadline_at_s: float | None = None
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    tooling: Tooling = NO_TOOLS
    response_schema: ResponseSchema | None = None
    prompt_cache: PromptCache = PromptCache.DEFAULT
    previous_response_id: str | None = None
    max_attempts: int = 1
    attempt_number: int = 1
    waited_s: float = 0.0
    notes: tuple[str, ...] = ()
    fallbacks: tuple[ModelTarget, ...] = ()

    def __attrs_post_init__(self) -> None:
        check_identifier("model", self.model)
        if not self.messages:
            raise nothing_to_answer()


def nothing_to_answer() -> ValidationError:
    """The error for a request without messages."""
    return ValidationError(
        "'messages' is empty: there is nothing to answer.",
        field="messages",
        suggestion="Pass at least one message.",
    )


@frozen(kw_only=True)
class Completion:
    """An answer.

    `model` is the name the provider answered with. `finish_reason` is one of ours, `raw_finish_reason` the provider's
    word. `adaptations` lists what was sent otherwise than asked, `notes` what else a caller should know (such as a
    prompt file that could not be loaded). `schema_mode` says how an answer of a given shape was asked for.
    `latency_ms` spans all attempts. `raw` is the provider's JSON, for a unary call.
    """

    service: LLMService
    model: str
    parts: tuple[Part, ...]
    finish_reason: FinishReason
    raw_finish_reason: str = ""
    usage: Usage = UNREPORTED_USAGE
    response_id: str | None = None
    request_id: str | None = None
    adaptations: tuple[Adaptation, ...] = ()
    schema_mode: SchemaMode | None = None
    notes: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    latency_ms: float = 0.0
    raw: JsonObject | None = field(default=None, repr=False, eq=False)

    @property
    def text(self) -> str:
        """The text of the answer."""
        return text_of(self.parts)

    @property
    def reasoning(self) -> str:
        """What the model let see of its thinking."""
        return "".join(part.text for part in self.parts if isinstance(part, ReasoningPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tools that the model asks for."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))

    @property
    def citations(self) -> tuple[CitationPart, ...]:
        """Where the answer says that it comes from."""
        return tuple(part for part in self.parts if isinstance(part, CitationPart))

    @property
    def is_truncated(self) -> bool:
        """Whether the answer was cut off by a token limit."""
        return self.finish_reason is FinishReason.LENGTH

    def with_attempts(self, attempts: tuple[Attempt, ...], *, latency_ms: float) -> "Completion":
        """The same answer, with the attempts that led to it."""
        if type(self) is not Completion:
            # Embeddings and lists go through the stations as completions that hold more, and come out as what they are.
            return evolve(self, attempts=attempts, latency_ms=latency_ms)
        return _with_attempts(self, attempts, latency_ms)


_with_attempts = unchecked_from(Completion, Completion, "attempts", "latency_ms")
