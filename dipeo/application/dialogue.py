"""Persons take turns in one conversation."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from itertools import cycle

from attrs import field, frozen

from dipeo.application.context import ContextPreparation
from dipeo.domain.checks import check_number
from dipeo.domain.completion import Completion, FinishReason
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import UnknownPersonError, ValidationError
from dipeo.domain.message import Message
from dipeo.domain.parts import CitationPart, Part, ProviderToolPart, ReasoningPart, TextPart
from dipeo.domain.person import Person
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.stream import CompletionEnd, TextDelta
from dipeo.domain.usage import Usage


@frozen
class TurnBegins:
    """A person begins to speak; `number` counts from 1."""

    number: int
    person: Person


@frozen
class TurnText:
    """More of what the person says."""

    person: Person
    text: str


@frozen
class TurnEnds:
    """The person has spoken; the message stands in the conversation, and is None for an answer without text.

    Beside the text it keeps citations, and what the vendor of the answer wants to see again: signed thoughts, and what
    its own tools did. `notes` say what of the conversation was left out or summed up before, `summary` is what that was
    paid with.
    """

    number: int
    person: Person
    message: Message | None
    completion: Completion
    notes: tuple[str, ...] = ()
    summary: Completion | None = None

    @property
    def usage(self) -> Usage:
        """What the turn used, the summary before it included."""
        return self.completion.usage + self.summary.usage if self.summary else self.completion.usage


DialogueEvent = TurnBegins | TurnText | TurnEnds


@frozen(kw_only=True)
class SpeakerSummary:
    """What one person's turns came to: tokens, and the latency of their answers in milliseconds."""

    person: Person
    turns: int = 0
    usage: Usage = field(factory=Usage)
    latency_ms: float = 0.0

    @property
    def mean_latency_ms(self) -> float:
        """The mean latency of a turn; 0 without turns."""
        return self.latency_ms / self.turns if self.turns else 0.0


class Dialogue:
    """Lets persons speak in turn, each over their own model and with their own memory, all into one conversation.

    `context` prepares what is sent; without one there is nothing to count tokens with. Raises `ValidationError` for
    fewer than one person, two of the same id, or a person whose memory is counted in tokens where nothing counts them.
    """

    def __init__(
        self,
        llm: LLMServicePort,
        persons: Sequence[Person],
        conversation: Conversation,
        *,
        context: ContextPreparation | None = None,
    ) -> None:
        ids = [person.id for person in persons]
        if not persons:
            raise ValidationError("A dialogue needs at least one person.", field="persons")
        twice = next((each for each in ids if ids.count(each) > 1), None)
        if twice is not None:
            raise ValidationError(
                f"The person {twice!r} takes part twice: each id must be one person's.", field="persons"
            )
        self.conversation = conversation
        self.persons = tuple(person.joining(conversation) for person in persons)
        self._llm = llm
        self._context = context or ContextPreparation()
        for person in self.persons:
            self._context.check(person)
        self._turns: list[TurnEnds] = []

    async def run(self, *, turns: int) -> AsyncGenerator[DialogueEvent, None]:
        """That many turns, in the order of the persons, over and over.

        A turn that fails ends the run with its error; what was said before stands in the conversation.
        """
        check_number("turns", turns, minimum=1, maximum=10_000, is_whole=True)
        for number, person in zip(range(1, turns + 1), cycle(self.persons), strict=False):
            # Closed with the run: a reader who leaves must not keep a provider answering.
            async with aclosing(self.turn(person.id, number=number)) as events:
                async for event in events:
                    yield event

    async def turn(self, person_id: str, *, number: int = 1) -> AsyncGenerator[DialogueEvent, None]:
        """One turn of one person. Raises `UnknownPersonError`."""
        person = self.person(person_id)
        yield TurnBegins(number, person)
        context = await self._context.prepared(person)
        stream = self._llm.stream_with_person(context.messages, person.id, person.llm_config)
        async with stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    yield TurnText(person, event.text)
                elif isinstance(event, CompletionEnd):
                    content = _said(event.completion)
                    message = person.says(content) if content is not None else None
                    ended = TurnEnds(number, person, message, event.completion, context.notes, context.summary)
                    self._turns.append(ended)
                    yield ended

    def person(self, person_id: str) -> Person:
        """The person of this id. Raises `UnknownPersonError`."""
        for person in self.persons:
            if person.id == person_id:
                return person
        known = ", ".join(person.id for person in self.persons)
        raise UnknownPersonError(
            f"There is no person {person_id!r} here.", field="person_id", suggestion=f"Here are: {known}."
        )

    def summary(self) -> Iterator[SpeakerSummary]:
        """What each person's turns came to, in the order of the persons."""
        for person in self.persons:
            ended = [turn for turn in self._turns if turn.person.id == person.id]
            yield SpeakerSummary(
                person=person,
                turns=len(ended),
                usage=sum((turn.usage for turn in ended), Usage()),
                latency_ms=sum(turn.completion.latency_ms for turn in ended),
            )


def _said(completion: Completion) -> str | tuple[Part, ...] | None:
    """What of an answer goes into the conversation. None for one without text, which some providers refuse later."""
    text = completion.text
    if not text.strip():
        return None
    # Nobody here carries out calls, or goes on from a pause: what belongs to these would be refused without the rest.
    if completion.finish_reason is not FinishReason.STOP or completion.tool_calls:
        return text
    kept = tuple(part for part in completion.parts if _is_kept(part))
    return kept if any(not isinstance(part, TextPart) for part in kept) else text


def _is_kept(part: Part) -> bool:
    """Whether a part serves anybody later. A thought that its vendor has no mark on is not asked for again."""
    if isinstance(part, ReasoningPart):
        return part.signature is not None or part.id is not None
    return isinstance(part, TextPart | CitationPart | ProviderToolPart)
