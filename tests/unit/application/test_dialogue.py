"""Persons speak in turn, and what they say stands in the conversation."""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from dipeo.application.dialogue import Dialogue, DialogueEvent, TurnBegins, TurnEnds, TurnText
from dipeo.domain.completion import Completion, FinishReason
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import RateLimitError, UnknownPersonError, ValidationError
from dipeo.domain.message import Message
from dipeo.domain.parts import (
    CitationPart,
    ImagePart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from dipeo.domain.person import Person, PersonLLMConfig
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, CompletionStream, TextDelta
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.testing import ScriptedService


def person(id_: str) -> Person:
    """A person whose model is named like them."""
    return Person(id=id_, llm_config=PersonLLMConfig(model=f"model-of-{id_}"))


def opened() -> Conversation:
    """A conversation that somebody else opened."""
    return Conversation([Message(from_person_id="host", content="Welcome.")])


def dialogue(*answers: Any, persons: Sequence[str] = ("ada", "bob")) -> tuple[Dialogue, ScriptedService]:
    """A dialogue over these answers."""
    service = ScriptedService(*answers)
    return Dialogue(service, [person(id_) for id_ in persons], opened()), service


async def events_of(talk: Dialogue, *, turns: int) -> list[DialogueEvent]:
    """All events of a run."""
    return [event async for event in talk.run(turns=turns)]


def said(talk: Dialogue) -> list[tuple[str, str]]:
    """Who said what."""
    return [(message.from_person_id, message.text) for message in talk.conversation]


async def test_persons_speak_in_turn_over_and_over() -> None:
    """The order is that of the persons, and everything lands in the one conversation."""
    talk, service = dialogue("one", "two", "three", persons=("ada", "bob"))
    with service:
        events = await events_of(talk, turns=3)
    assert said(talk) == [("host", "Welcome."), ("ada", "one"), ("bob", "two"), ("ada", "three")]
    ends = [event for event in events if isinstance(event, TurnEnds)]
    assert [(event.number, event.person.id, event.completion.text) for event in ends] == [
        (1, "ada", "one"),
        (2, "bob", "two"),
        (3, "ada", "three"),
    ]
    assert [event.message for event in ends] == list(talk.conversation.messages[1:])


async def test_a_turn_begins_speaks_and_ends() -> None:
    """The texts of a turn are what the message holds, and the completion comes with its end."""
    talk, _ = dialogue("Hello there.")
    first, *texts, last = await events_of(talk, turns=1)
    assert isinstance(first, TurnBegins)
    assert (first.number, first.person.id) == (1, "ada")
    assert all(isinstance(event, TurnText) and event.person.id == "ada" for event in texts)
    assert "".join(event.text for event in texts if isinstance(event, TurnText)) == "Hello there."
    assert isinstance(last, TurnEnds)
    assert last.completion.text == last.completion.text == "Hello there."


async def test_each_is_asked_over_their_own_model_with_what_they_have_seen() -> None:
    """Everybody gets their own view: what was whispered between others is not passed in."""
    talk, service = dialogue("one", "two")
    talk.conversation.append(Message.private(from_person_id="host", to_person_id="bob", content="psst"))
    await events_of(talk, turns=2)
    ada, bob = service.asked
    assert (ada.person_id, ada.model, ada.is_stream) == ("ada", "model-of-ada", True)
    assert (bob.person_id, bob.model) == ("bob", "model-of-bob")
    texts = [[message.text for message in call.messages if isinstance(message, Message)] for call in (ada, bob)]
    assert texts == [["Welcome."], ["Welcome.", "psst", "one"]]


async def test_a_failed_turn_ends_the_run_and_keeps_what_was_said() -> None:
    """The error comes through unchanged; the turns before it stand, the failed one left nothing."""
    problem = RateLimitError()
    talk, service = dialogue("one", problem, "three")
    events: list[DialogueEvent] = []

    async def run() -> None:
        async for event in talk.run(turns=3):
            events.append(event)

    with pytest.raises(RateLimitError) as caught:
        await run()
    assert caught.value is problem
    assert said(talk) == [("host", "Welcome."), ("ada", "one")]
    assert isinstance(events[-1], TurnBegins)
    assert [summary.turns for summary in talk.summary()] == [1, 0]
    assert service.unused == ("three",)


async def test_a_run_can_go_on_after_a_failure() -> None:
    """The conversation is as good as before."""
    talk, _ = dialogue(RateLimitError(), "one")
    with contextlib.suppress(RateLimitError):
        await events_of(talk, turns=1)
    await events_of(talk, turns=1)
    assert said(talk) == [("host", "Welcome."), ("ada", "one")]


async def test_a_single_turn_may_be_given_to_anybody() -> None:
    """A turn out of order is a turn, and an unknown person has none."""
    talk, service = dialogue("one")
    ended = [event async for event in talk.turn("bob", number=7)][-1]
    assert isinstance(ended, TurnEnds)
    assert (ended.number, ended.person.id) == (7, "bob")
    with pytest.raises(UnknownPersonError) as caught:
        await anext(talk.turn("eve"))
    assert "eve" in caught.value.message
    assert "ada, bob" in (caught.value.suggestion or "")
    assert caught.value.field == "person_id"
    assert len(service.asked) == 1


async def test_the_summary_adds_up_by_person() -> None:
    """Turns, tokens and latency are each speaker's own, in the order of the persons."""

    def answer(tokens: int, latency_ms: float, usage: Usage | None = None) -> Completion:
        return Completion(
            service=LLMService.OPENAI,
            model="m",
            parts=(TextPart("x"),),
            finish_reason=FinishReason.STOP,
            usage=usage or Usage(input_tokens=tokens, output_tokens=1),
            latency_ms=latency_ms,
        )

    talk, _ = dialogue(answer(10, 100), answer(20, 50, UNREPORTED_USAGE), answer(5, 300), persons=("ada", "bob", "cyd"))
    talk_ids = [summary.person.id for summary in talk.summary()]
    await events_of(talk, turns=2)
    [_ async for _ in talk.turn("ada")]
    ada, bob, cyd = talk.summary()
    assert talk_ids == ["ada", "bob", "cyd"]
    assert (ada.turns, ada.usage, ada.latency_ms, ada.mean_latency_ms) == (
        2,
        Usage(input_tokens=15, output_tokens=2),
        400,
        200,
    )
    assert (bob.turns, bob.usage.is_reported) == (1, False)
    assert (cyd.turns, cyd.usage, cyd.mean_latency_ms) == (0, Usage(), 0.0)


def test_everybody_is_in_the_same_conversation() -> None:
    """The persons of a dialogue share its conversation, whatever they were in before."""
    ada = person("ada")
    ada.says("alone")
    talk = Dialogue(ScriptedService(), [ada, person("bob")], opened())
    assert all(each.conversation is talk.conversation for each in talk.persons)
    assert [message.text for message in talk.person("ada").get_messages()] == ["Welcome."]


@pytest.mark.parametrize("ids", [(), ("ada", "ada"), ("ada", "bob", "ada")])
def test_each_takes_part_once(ids: tuple[str, ...]) -> None:
    """Nobody, and two of the same id, make no dialogue."""
    with pytest.raises(ValidationError) as caught:
        Dialogue(ScriptedService(), [person(id_) for id_ in ids], opened())
    assert caught.value.field == "persons"
    assert not ids or "'ada'" in caught.value.message


@pytest.mark.parametrize("turns", [0, -1, True, 1.5, math.nan, math.inf, 10_001, "3", None])
async def test_a_bad_number_of_turns_asks_nobody(turns: Any) -> None:
    """A run has from one to ten thousand turns."""
    talk, service = dialogue("one")
    with pytest.raises(ValidationError) as caught:
        await events_of(talk, turns=turns)
    assert caught.value.field == "turns"
    assert service.asked == []


class Watched(ScriptedService):
    """Streams without end, and knows when a stream was let go."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    def stream_with_person(self, *_: Any, **__: Any) -> CompletionStream:
        """An endless stream."""
        return CompletionStream(self._endless())

    async def _endless(self) -> AsyncGenerator[CompletionEvent, None]:
        try:
            while True:
                yield TextDelta("x")
                await asyncio.sleep(0)
        finally:
            self.closed += 1


@pytest.mark.parametrize("way", ["run", "turn"])
async def test_who_leaves_in_the_middle_of_a_turn_lets_go_of_the_stream(way: str) -> None:
    """Closing the dialogue's events closes the connection before the next line runs; nothing was said."""
    service = Watched()
    talk = Dialogue(service, [person("ada")], opened())
    events: Any = talk.run(turns=2) if way == "run" else talk.turn("ada")
    for _ in range(3):
        await anext(events)
    await events.aclose()
    assert service.closed == 1
    assert len(talk.conversation) == 1


async def test_a_cancelled_run_lets_go_of_the_stream() -> None:
    """Cancellation passes through, and closes the connection."""
    service = Watched()
    talk = Dialogue(service, [person("ada")], opened())
    task = asyncio.ensure_future(events_of(talk, turns=1))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert service.closed == 1
    assert len(talk.conversation) == 1


async def test_an_empty_answer_is_not_put_into_the_conversation() -> None:
    """A turn without text ends without a message: an empty one would spoil every later request."""
    conversation = Conversation([Message(from_person_id="moderator", content="Well?")])
    ada = Person(id="ada", llm_config=PersonLLMConfig(model="gpt-5.4-mini"))
    dialogue = Dialogue(ScriptedService(""), [ada], conversation)
    events = [event async for event in dialogue.run(turns=1)]
    assert isinstance(events[-1], TurnEnds)
    assert events[-1].message is None
    assert len(conversation) == 1


SIGNED = ReasoningPart(text="Hm.", vendor="v", signature="s")
NAMED = ReasoningPart(text="Hm.", vendor="v", id="rs_1")
UNSIGNED = ReasoningPart(text="Hm.", vendor="v")
FOUND = ProviderToolPart(vendor="v", name="web_search", data={"found": 1})
SOURCE = CitationPart(url="https://example.com")
CALL = ToolCallPart(call_id="c", name="f", arguments={})
PICTURE = ImagePart(media_type="image/png", data=b"x")
ONE, TWO = TextPart("One. "), TextPart("Two.")


@pytest.mark.parametrize(
    ("parts", "finish", "content"),
    [
        ((SIGNED, ONE, FOUND, TWO, SOURCE), FinishReason.STOP, (SIGNED, ONE, FOUND, TWO, SOURCE)),
        ((NAMED, ONE), FinishReason.STOP, (NAMED, ONE)),
        ((UNSIGNED, ONE, TWO), FinishReason.STOP, "One. Two."),
        ((UNSIGNED, SIGNED, ONE), FinishReason.STOP, (SIGNED, ONE)),
        ((ONE, PICTURE), FinishReason.STOP, "One. "),
        ((SIGNED, ONE, CALL), FinishReason.STOP, "One. "),
        ((SIGNED, ONE, CALL), FinishReason.TOOL_CALLS, "One. "),
        ((SIGNED, ONE, FOUND), FinishReason.PAUSED, "One. "),
        ((SIGNED, ONE), FinishReason.LENGTH, "One. "),
        ((SIGNED,), FinishReason.STOP, None),
        ((SIGNED, TextPart(" ")), FinishReason.STOP, None),
        ((CALL,), FinishReason.TOOL_CALLS, None),
    ],
)
async def test_what_of_an_answer_is_kept(parts: tuple[Part, ...], finish: FinishReason, content: Any) -> None:
    """What its vendor wants to see again, and the sources; of an answer that is not at its end, the text alone."""
    answer = Completion(service=LLMService.OPENAI, model="m", parts=parts, finish_reason=finish)
    talk, _ = dialogue(answer)
    events = await events_of(talk, turns=1)
    assert isinstance(events[-1], TurnEnds)
    message = events[-1].message
    assert (message.content if message is not None else None) == content
    assert len(talk.conversation) == (1 if content is None else 2)
