"""What is said until an answer can be used, as chat messages or as a person's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from attrs import evolve, frozen

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, Role
from dipeo.domain.memory import TOOLS
from dipeo.domain.message import Message
from dipeo.domain.parts import Part, TextPart, ToolCallPart, ToolResultPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream

SaidT = TypeVar("SaidT", covariant=True)

CHECKER: Final = "checker"
"""Who tells a person that their answer cannot be used."""


class Talk(Protocol[SaidT]):
    """Asks the model, and goes on from what was said."""

    @property
    def said(self) -> Sequence[SaidT]:
        """What was said since the beginning, oldest first."""
        ...

    def call_ids_before(self) -> Iterator[str]:
        """The ids of the calls in the messages that there were at the beginning."""
        ...

    async def complete(self, options: CompletionOptions) -> Completion:
        """The next answer."""
        ...

    def stream(self, options: CompletionOptions) -> CompletionStream:
        """The next answer, piece by piece."""
        ...

    def add(self, parts: tuple[Part, ...], results: tuple[ToolResultPart, ...]) -> None:
        """Goes on from an answer and what the tools gave back."""
        ...

    def ask_again(self, text: str) -> None:
        """Goes on with these words to the model."""
        ...


@frozen(kw_only=True)
class ChatTalk:
    """A talk in chat messages."""

    llm: LLMServicePort
    messages: Sequence[Mapping[str, object] | ChatMessage]
    model: str
    api_key_id: str | None
    service: LLMService | str | None
    said: list[ChatMessage]

    def call_ids_before(self) -> Iterator[str]:
        """The ids of the calls in the messages, whichever way these are written."""
        for message in self.messages:
            yield from _call_ids_in(message.parts) if isinstance(message, ChatMessage) else _written_call_ids(message)

    async def complete(self, options: CompletionOptions) -> Completion:
        """The next answer."""
        messages = [*self.messages, *self.said]
        return await self.llm.complete(
            messages, self.model, api_key_id=self.api_key_id, service=self.service, **options
        )

    def stream(self, options: CompletionOptions) -> CompletionStream:
        """The next answer, piece by piece."""
        messages = [*self.messages, *self.said]
        return self.llm.stream(messages, self.model, api_key_id=self.api_key_id, service=self.service, **options)

    def add(self, parts: tuple[Part, ...], results: tuple[ToolResultPart, ...]) -> None:
        """The model's message, and one with the results."""
        if says_something(parts):
            self.said.append(ChatMessage(Role.ASSISTANT, parts))
        if results:
            self.said.append(ChatMessage(Role.TOOL, results))

    def ask_again(self, text: str) -> None:
        """A message of the user's."""
        self.said.append(ChatMessage.from_text(Role.USER, text))


@frozen(kw_only=True)
class PersonTalk:
    """A talk in which a person answers; what the tools say is for that person alone."""

    llm: LLMServicePort
    messages: Sequence[Message]
    person_id: str
    llm_config: PersonLLMConfig
    said: list[Message]

    def call_ids_before(self) -> Iterator[str]:
        """The ids of the calls in all messages."""
        for message in self.messages:
            yield from _call_ids_in(message.parts)

    async def complete(self, options: CompletionOptions) -> Completion:
        """The next answer."""
        messages = [*self.messages, *self.said]
        return await self.llm.complete_with_person(messages, self.person_id, self.llm_config, **options)

    def stream(self, options: CompletionOptions) -> CompletionStream:
        """The next answer, piece by piece."""
        messages = [*self.messages, *self.said]
        return self.llm.stream_with_person(messages, self.person_id, self.llm_config, **options)

    def add(self, parts: tuple[Part, ...], results: tuple[ToolResultPart, ...]) -> None:
        """The person's message, and a private one to them with the results."""
        if says_something(parts):
            self.said.append(Message(from_person_id=self.person_id, content=parts))
        if results:
            self.said.append(Message.private(from_person_id=TOOLS, to_person_id=self.person_id, content=results))

    def ask_again(self, text: str) -> None:
        """A private message to the person."""
        self.said.append(Message.private(from_person_id=CHECKER, to_person_id=self.person_id, content=text))


def says_something(parts: tuple[Part, ...]) -> bool:
    """Whether there is more than blank text: providers refuse an empty message in every later request."""
    return any(not isinstance(part, TextPart) or part.text.strip() for part in parts)


def _call_ids_in(parts: Iterable[object]) -> Iterator[str]:
    return (part.call_id for part in parts if isinstance(part, ToolCallPart))


def _written_call_ids(message: object) -> Iterator[str]:
    """The ids in a message that is a mapping. What is wrong with it is the service's to say."""
    if not isinstance(message, Mapping):
        return
    content, calls = message.get("content"), message.get("tool_calls")
    if isinstance(content, list | tuple):
        yield from _call_ids_in(content)
    for call in calls if isinstance(calls, list | tuple) else ():
        if isinstance(call, Mapping) and isinstance(call_id := call.get("id"), str):
            yield call_id


def with_own_ids(parts: tuple[Part, ...], taken: set[str]) -> tuple[Part, ...]:
    """The parts with an id for each call that no other has, because a result must find its call; notes them in `taken`.

    Providers that know no ids count anew in every answer.
    """
    return tuple(_with_own_id(part, taken) if isinstance(part, ToolCallPart) else part for part in parts)


def _with_own_id(part: ToolCallPart, taken: set[str]) -> ToolCallPart:
    call_id, number = part.call_id, 2
    while call_id in taken:
        call_id, number = f"{part.call_id[:200]}_{number}", number + 1
    taken.add(call_id)
    return part if call_id == part.call_id else evolve(part, call_id=call_id)
