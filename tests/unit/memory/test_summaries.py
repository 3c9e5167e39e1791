"""A person who remembers a summary, and one whose model takes no more."""

import asyncio
from datetime import datetime

import pytest

from dipeo.application.context import MEMORY, SUMMARY_HEADING, ContextPreparation
from dipeo.application.dialogue import Dialogue
from dipeo.application.summarizer import Summarizer
from dipeo.domain.catalog import UNKNOWN, Cost, ModelFacts
from dipeo.domain.completion import ChatMessage
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import ProviderError, ValidationError
from dipeo.domain.memory import Summary, parse_memory
from dipeo.domain.message import Message
from dipeo.domain.parts import ToolCallPart, ToolResultPart
from dipeo.domain.person import Person, PersonLLMConfig
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache
from dipeo.domain.usage import Usage
from dipeo.testing import FakeTokenCounter, ScriptedService

WORDS = "one two three four five six seven eight"


class OneWindow(ModelCatalogPort):
    """Every model takes so many tokens."""

    def __init__(self, window_tokens: int | None) -> None:
        self._window_tokens = window_tokens

    def facts(self, model: str, *, service: LLMService | str | None = None, at: datetime | None = None) -> ModelFacts:
        window = UNKNOWN if self._window_tokens is None else self._window_tokens
        return ModelFacts(service=LLMService.OPENAI, model=model, context_window_tokens=window)

    def models(self, *, service: LLMService | str | None = None) -> tuple[ModelFacts, ...]:
        return ()

    def cost(
        self,
        usage: Usage,
        model: str,
        *,
        service: LLMService | str | None = None,
        at: datetime | None = None,
        prompt_cache: PromptCache = PromptCache.DEFAULT,
    ) -> Cost:
        return Cost(usd=UNKNOWN, reason="nobody asked")


def ada(memory: str, *texts: str, **config: object) -> Person:
    """Ada, who has heard these texts from the host."""
    talk = Conversation(Message(from_person_id="host", content=text) for text in texts)
    return Person(id="ada", llm_config=PersonLLMConfig(model="m", **config), memory=memory, conversation=talk)  # type: ignore[arg-type]


def asked(service: ScriptedService) -> list[str]:
    """The texts of the messages of the newest call."""
    return [message.text for message in service.asked[-1].messages if isinstance(message, ChatMessage)]


def test_the_memory_has_words() -> None:
    """`summary and last 400 tokens` is a memory like the others; a summary of messages is none."""
    assert parse_memory("Summary and last 400 tokens") == Summary(400)
    assert str(Summary(400)) == "summary and last 400 tokens"
    with pytest.raises(ValidationError, match="summary and last 4000 tokens"):
        parse_memory("summary and last 4 messages")


async def test_nothing_is_summed_up_while_there_is_room() -> None:
    """What fits is sent word for word, and nobody is asked."""
    service = ScriptedService()
    context = await ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service)).prepared(
        ada("summary and last 1000 tokens", "a", "b")
    )
    assert [message.text for message in context.messages] == ["a", "b"]
    assert (context.notes, context.summary, service.asked) == ((), None, [])


async def test_what_outgrows_the_memory_is_summed_up_in_front() -> None:
    """The older part becomes a message that Ada alone sees; the newest half stays word for word."""
    service = ScriptedService("They counted to eight.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service, max_tokens=100))
    person = ada("summary and last 60 tokens", *(f"{number} {WORDS}" for number in range(8)))
    context = await preparation.prepared(person)
    gist, *kept = context.messages
    assert (gist.from_person_id, gist.to_person_id, gist.visibility) == (MEMORY, "ada", frozenset())
    assert gist.text == SUMMARY_HEADING + "They counted to eight."
    assert 0 < len(kept) < 8
    assert kept[-1].text.startswith("7 ")
    assert context.summary is not None
    assert any("summed up" in note for note in context.notes)
    instructions, record = asked(service)
    assert "memory of ada" in instructions
    assert "host: 0 one" in record
    assert kept[0].text not in record, "what is kept word for word is summed up as well"


async def test_a_summary_is_not_made_anew_with_every_message() -> None:
    """Half of the room is free afterwards; the next summary is told the one before, and only what came since."""
    service = ScriptedService("Zero to four.", "Zero to nine.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    person = ada("summary and last 60 tokens", *(f"{number} {WORDS}" for number in range(6)))
    first = await preparation.prepared(person)
    calls = []
    for number in range(6, 14):
        person.conversation.append(Message(from_person_id="host", content=f"{number} {WORDS}"))
        context = await preparation.prepared(person)
        calls.append(context.summary is not None)
        if len(service.asked) == 2:
            break
    assert not calls[0], "one more message is no reason for another summary"
    _, record = asked(service)
    assert "Zero to four." in record
    assert "0 one" not in record
    assert first.messages[0].text != context.messages[0].text
    assert preparation.prepare(person) == context.messages, "what was summed up once is known without asking"


async def test_a_failed_summary_costs_no_memory() -> None:
    """The error comes out, and the next try sums up the same messages."""
    service = ScriptedService(ProviderError("down"), "All of it.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    person = ada("summary and last 30 tokens", *(f"{number} {WORDS}" for number in range(4)))
    with pytest.raises(ProviderError):
        await preparation.prepared(person)
    context = await preparation.prepared(person)
    assert context.messages[0].text.endswith("All of it.")
    assert asked(service)[1].count("host:") + len(context.messages) - 1 == 4


async def test_a_gist_belongs_to_its_conversation() -> None:
    """In another conversation, the same person has nothing summed up."""
    service = ScriptedService("Here.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    await preparation.prepared(ada("summary and last 30 tokens", *(f"{number} {WORDS}" for number in range(4))))
    assert [message.text for message in preparation.prepare(ada("summary and last 30 tokens", "x"))] == ["x"]


async def test_calls_and_results_are_summed_up_together() -> None:
    """A call of a tool is never told without what came back."""
    service = ScriptedService("It rained.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    person = ada("summary and last 40 tokens", WORDS, WORDS)
    call = ToolCallPart(call_id="1", name="weather", arguments={"town": "Bern"})
    person.says((call,))
    person.conversation.append(
        Message(from_person_id="tools", to_person_id="ada", content=(ToolResultPart(call_id="1", content="rain"),))
    )
    for _ in range(3):
        person.conversation.append(Message(from_person_id="host", content=WORDS))
    context = await preparation.prepared(person)
    _, record = asked(service)
    assert ("weather" in record) == ("a tool answers: rain" in record)
    parts = [part for message in context.messages for part in message.parts]
    assert any(isinstance(part, ToolCallPart) for part in parts) == any(
        isinstance(part, ToolResultPart) for part in parts
    )


async def test_another_model_may_sum_up_and_a_missing_one_is_said() -> None:
    """A summarizer with a model of its own asks that; a person without a model needs one."""
    service = ScriptedService("Short.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service, model="cheap"))
    await preparation.prepared(ada("summary and last 30 tokens", *(f"{number} {WORDS}" for number in range(4))))
    assert service.asked[-1].model == "cheap"
    nameless = Person(id="bo", llm_config=PersonLLMConfig(prompt_file="bo.md"))
    with pytest.raises(ValidationError, match="which model sums up for 'bo'"):
        await Summarizer(service).sum_up(nameless, [Message(from_person_id="host", content="x")])


async def test_a_dialogue_sums_up_as_it_goes() -> None:
    """A person with such a memory speaks with the gist in mind."""
    talk = Conversation(Message(from_person_id="host", content=f"{number} {WORDS}") for number in range(6))
    service = ScriptedService("The gist.", "My answer.")
    person = Person(
        id="ada", llm_config=PersonLLMConfig(model="m"), memory="summary and last 40 tokens", conversation=talk
    )
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    dialogue = Dialogue(service, [person], talk, context=preparation)
    async for _ in dialogue.run(turns=1):
        pass
    first = service.asked[-1].messages[0]
    assert isinstance(first, Message)
    assert first.text == SUMMARY_HEADING + "The gist."
    assert talk.messages[-1].text == "My answer."
    assert all(message.from_person_id != MEMORY for message in talk.messages), "a gist is nobody's message"


def test_no_more_is_sent_than_the_model_takes() -> None:
    """The oldest messages are left out, the newest stays, and an unknown window leaves out nothing."""
    person = ada("everything", *(f"{number} {WORDS}" for number in range(40)))
    unknown = ContextPreparation(FakeTokenCounter(), catalog=OneWindow(None)).prepare(person)
    small = ContextPreparation(FakeTokenCounter(), catalog=OneWindow(200)).prepare(person)
    wide = ContextPreparation(FakeTokenCounter(), catalog=OneWindow(100_000)).prepare(person)
    assert len(unknown) == len(wide) == 40
    assert 0 < len(small) < 40
    assert small[-1].text.startswith("39 ")


async def test_what_was_left_out_is_said() -> None:
    """The notes say how many messages the window had no room for."""
    person = ada("everything", *(f"{number} {WORDS}" for number in range(40)))
    context = await ContextPreparation(FakeTokenCounter(), catalog=OneWindow(200)).prepared(person)
    assert context.notes == (f"{40 - len(context.messages)} messages were left out: the model takes 200 tokens.",)


async def test_persons_who_wait_for_the_same_summary_pay_once() -> None:
    """Four who prepare the same person at once have one summary made, and all are told it."""
    service = ScriptedService("The gist.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    person = ada("summary and last 30 tokens", *(f"{number} {WORDS}" for number in range(4)))
    contexts = await asyncio.gather(*(preparation.prepared(person) for _ in range(4)))
    assert {context.messages[0].text for context in contexts} == {SUMMARY_HEADING + "The gist."}
    assert len(service.asked) == 1


async def test_two_conversations_of_a_person_are_two_gists() -> None:
    """Going from one to the other and back costs nothing."""
    service = ScriptedService("One.", "Two.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    here, there = (ada("summary and last 30 tokens", *(f"{number} {WORDS}" for number in range(4))) for _ in range(2))
    heard = [(await preparation.prepared(person)).messages[0].text for person in (here, there, here, there)]
    assert [text.removeprefix(SUMMARY_HEADING) for text in heard] == ["One.", "Two.", "One.", "Two."]


async def test_a_long_past_is_summed_up_in_parts() -> None:
    """What no model would take at once goes in slices, each told the gist of the one before."""
    service = ScriptedService("First.", "Second.")
    preparation = ContextPreparation(FakeTokenCounter(), summarizer=Summarizer(service))
    person = ada("summary and last 40 tokens", *(f"{number} " + "word " * 12_000 for number in range(2)), "now")
    context = await preparation.prepared(person)
    assert context.messages[0].text == SUMMARY_HEADING + "Second."
    assert "First." in asked(service)[1]
    assert context.summary is not None
    assert context.summary.usage.input_tokens >= 0
