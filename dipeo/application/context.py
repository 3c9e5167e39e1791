"""What a person is sent of the conversation."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final
from uuid import NAMESPACE_OID, uuid5
from weakref import WeakValueDictionary

from attrs import evolve, field, frozen

from dipeo.application.summarizer import Summarizer
from dipeo.domain.catalog import UNKNOWN, ModelFacts
from dipeo.domain.completion import Completion
from dipeo.domain.errors import UnknownServiceError, ValidationError
from dipeo.domain.memory import CountTokens, LastTokens, Summary, recalled, repaired, tokens_in
from dipeo.domain.message import Message
from dipeo.domain.person import Person
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.domain.usage import Usage

MEMORY: Final = "memory"
"""Who tells a person what they have no longer word for word in mind."""

SUMMARY_HEADING: Final = "What was said before, in short:\n"

_OUTPUT_TOKENS: Final = 4_096
_PROMPT_TOKENS: Final = 1_000
"""Room for an answer whose length nobody bounds, and for instructions that stand in a file."""

_MARGIN: Final = 0.95
_MAX_GISTS: Final = 1_000
_SLICE_TOKENS: Final = 20_000
"""What is summed up at once: within the window of every current model."""


@frozen(kw_only=True)
class Context:
    """What a person is sent, oldest first.

    `notes` say what was left out or summed up. `summary` is the completion that a summary was paid with, if one was
    made now.
    """

    messages: tuple[Message, ...]
    notes: tuple[str, ...] = ()
    summary: Completion | None = None


@frozen
class _Gist:
    """What a person remembers of the messages up to one of them."""

    text: str = field(repr=False)
    last_id: str


class ContextPreparation:
    """Makes of what a person has seen what they are sent: mended, no more than they remember, and no more than fits.

    Without a `counter` it serves every memory but those that are counted in tokens, and looks at no window. A `catalog`
    knows the windows of models. A `summarizer` makes the summaries of those who remember one; without it they remember
    the last tokens alone. Summaries are kept for the newest 1,000 persons.
    """

    def __init__(
        self,
        counter: TokenCounterPort | None = None,
        *,
        catalog: ModelCatalogPort | None = None,
        summarizer: Summarizer | None = None,
    ) -> None:
        self._counter = counter
        self._catalog = catalog
        self._summarizer = summarizer
        self._gists: OrderedDict[tuple[str, str], _Gist] = OrderedDict()
        self._summing_up: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def prepare(self, person: Person) -> tuple[Message, ...]:
        """The messages for `complete_with_person()`, oldest first, without asking any model. Raises as `check()` does.

        A summary that was made before is in front of them.
        """
        return self._fitted(person, self._remembered(person), self._window(person)).messages

    async def prepared(self, person: Person) -> Context:
        """The same, after summing up what has to be; raises what `check()` and the summarizer raise."""
        self.check(person)
        summary = None
        if isinstance(person.memory, Summary) and self._summarizer is not None:
            summary = await self._sum_up(person, person.memory, self._summarizer)
        # The catalogue may read its files now, which is nothing for an event loop to wait for.
        window = await asyncio.to_thread(self._window, person) if self._catalog is not None else None
        context = self._fitted(person, self._remembered(person), window)
        notes = (
            ("What was said before was summed up.", *context.notes)
            if summary and summary.text.strip()
            else context.notes
        )
        return Context(messages=context.messages, notes=notes, summary=summary)

    def check(self, person: Person) -> None:
        """Raises `ValidationError` for a person whose memory is counted in tokens where nothing counts them."""
        if self._counter is None and isinstance(person.memory, LastTokens | Summary):
            raise ValidationError(
                f"Person {person.id!r} remembers the {person.memory}, and nothing here counts tokens.",
                field="context",
                suggestion="Pass context=dipeo.facade.wired().context(), or a ContextPreparation with a counter.",
            )

    # --- what is remembered ------------------------------------------------------------------------------------------

    def _remembered(self, person: Person) -> tuple[Message, ...]:
        self.check(person)
        seen = repaired(person.get_messages())
        memory = person.memory
        if not isinstance(memory, Summary):
            return recalled(seen, memory, person_id=person.id, count_tokens=self._count(person))
        since, gist = self._since_gist(person, seen)
        kept = recalled(since, LastTokens(memory.max_tokens), person_id=person.id, count_tokens=self._count(person))
        return (_told(person, gist, kept or since), *kept) if gist is not None else kept

    async def _sum_up(self, person: Person, memory: Summary, summarizer: Summarizer) -> Completion | None:
        """Sums up the older part of what has outgrown the memory. None where nothing has."""
        seen = repaired(person.get_messages())
        if not seen:
            return None
        place = _place_of(person, seen)
        lock = self._summing_up.setdefault(place, asyncio.Lock())
        async with lock:  # whoever waits finds it done, and pays for nothing
            since, gist = self._since_gist(person, seen)
            recall = partial(recalled, since, person_id=person.id, count_tokens=self._count(person))
            if len(recall(LastTokens(memory.max_tokens))) == len(since):
                return None
            # Half is kept, so that the next summary is due after a while and not with the next message.
            kept = {message.id for message in recall(LastTokens(max(1, memory.max_tokens // 2)))}
            told: list[Completion] = []
            for part in self._slices(person, [message for message in since if message.id not in kept]):
                completion = await summarizer.sum_up(person, part, earlier=gist.text if gist else "")
                told.append(completion)
                if text := completion.text.strip():
                    gist = self._gists[place] = _Gist(text, part[-1].id)
                    self._gists.move_to_end(place)
            if len(self._gists) > _MAX_GISTS:
                self._gists.popitem(last=False)
            return evolve(told[-1], usage=sum((each.usage for each in told), Usage())) if told else None

    def _slices(self, person: Person, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        """The messages in parts that a model takes at once; one that is larger alone is a part of its own."""
        count = self._count(person)
        part: list[Message] = []
        size_tokens = 0
        for message in messages:
            tokens = tokens_in(message, person_id=person.id, count_tokens=count) if count is not None else 0
            if part and size_tokens + tokens > _SLICE_TOKENS:
                yield part
                part, size_tokens = [], 0
            part.append(message)
            size_tokens += tokens
        if part:
            yield part

    def _since_gist(self, person: Person, seen: Sequence[Message]) -> tuple[tuple[Message, ...], _Gist | None]:
        """The messages after those that the person's gist tells of; a gist of another conversation tells nothing."""
        gist = self._gists.get(_place_of(person, seen)) if seen else None
        if gist is not None:
            for place, message in enumerate(seen):
                if message.id == gist.last_id:
                    return tuple(seen[place + 1 :]), gist
        return tuple(seen), None

    # --- what fits ---------------------------------------------------------------------------------------------------

    def _fitted(self, person: Person, messages: tuple[Message, ...], window: int | None) -> Context:
        count = self._count(person)
        if count is None or window is None:
            return Context(messages=messages)
        sizes = [tokens_in(message, person_id=person.id, count_tokens=count) for message in messages]
        room = self._room(person, window, count)
        if sum(sizes) <= room:
            return Context(messages=messages)
        kept = recalled(messages, LastTokens(max(1, room)), person_id=person.id, count_tokens=count)
        left_out = len(messages) - len(kept)
        note = f"{left_out} messages were left out: the model takes {window} tokens."
        return Context(messages=kept, notes=(note,) if left_out else ())

    def _room(self, person: Person, window: int, count: CountTokens) -> int:
        config = person.llm_config
        instructions = count(config.system_prompt) if config.system_prompt else 0
        if config.prompt_file is not None:
            instructions = max(instructions, _PROMPT_TOKENS)
        return int(window * _MARGIN) - (config.sampling.max_tokens or min(_OUTPUT_TOKENS, window // 4)) - instructions

    def _window(self, person: Person) -> int | None:
        """How many tokens the person's model takes, where that is known."""
        config = person.llm_config
        if self._catalog is None or config.model is None:
            return None
        try:
            facts: ModelFacts = self._catalog.facts(config.model, service=config.service)
        except UnknownServiceError:
            return None
        return None if facts.context_window_tokens is UNKNOWN else facts.context_window_tokens

    def _count(self, person: Person) -> CountTokens | None:
        if self._counter is None:
            return None
        return partial(self._counter.count_tokens, model=person.llm_config.model)


def _place_of(person: Person, seen: Sequence[Message]) -> tuple[str, str]:
    """Names this person in this conversation, which is known by its first message."""
    return person.id, seen[0].id


def _told(person: Person, gist: _Gist, newer: Sequence[Message]) -> Message:
    """The gist as a message that this person alone sees, in front of what they have word for word in mind."""
    first = newer[0] if newer else None
    return Message(
        from_person_id=MEMORY,
        to_person_id=person.id,
        content=SUMMARY_HEADING + gist.text,
        visibility=frozenset[str](),
        # Made of what it tells, so that equal contexts are equal.
        id=uuid5(NAMESPACE_OID, f"gist {person.id} {gist.last_id} {gist.text}").hex,
        **({"created_at": first.created_at} if first is not None else {}),
    )
