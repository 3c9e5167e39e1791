"""What persons are sent, when it is prepared, and when they speak in turn."""

import pytest

from dipeo.application.context import ContextPreparation
from dipeo.application.dialogue import Dialogue
from dipeo.config import Settings
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import ValidationError
from dipeo.domain.memory import UNANSWERED, MemoryPolicy
from dipeo.domain.message import Message
from dipeo.domain.parts import ToolCallPart, ToolResultPart
from dipeo.domain.person import Person, PersonLLMConfig
from dipeo.facade import wired
from dipeo.infrastructure.token_calibration import CalibratingTokenCounter
from dipeo.testing import FakeTokenCounter, ScriptedService

WITH_COUNTER = ContextPreparation(FakeTokenCounter())


def person(memory: MemoryPolicy | str, *texts: str, id_: str = "ada") -> Person:
    """A person who has heard these texts."""
    talk = Conversation(Message(from_person_id="host", content=text) for text in texts)
    return Person(id=id_, llm_config=PersonLLMConfig(model="m"), memory=memory, conversation=talk)


def sent(service: ScriptedService) -> list[list[str]]:
    """The texts that each call of the service was given."""
    return [[message.text for message in call.messages if isinstance(message, Message)] for call in service.asked]


@pytest.mark.parametrize(
    ("memory", "texts"),
    [
        ("everything", ["a", "b", "c"]),
        ("last 2 messages", ["b", "c"]),
        ("last 13 tokens", ["b", "c"]),
        ("goldfish", ["c"]),
    ],
)
def test_what_is_prepared_is_what_is_remembered(memory: str, texts: list[str]) -> None:
    """The person's own policy decides; the conversation and what they have seen stay."""
    ada = person(memory, "a", "b", "c")
    assert [message.text for message in WITH_COUNTER.prepare(ada)] == texts
    assert len(ada.get_messages()) == 3


def test_whispers_between_others_are_not_prepared() -> None:
    """Only what the person may see is sent, and only that fills their memory."""
    ada = person("last 2 messages", "a", "b")
    ada.conversation.append(Message.private(from_person_id="host", to_person_id="bob", content="psst"))
    assert [message.text for message in WITH_COUNTER.prepare(ada)] == ["a", "b"]


def test_a_result_that_the_person_may_not_see_is_answered_for_them() -> None:
    """A call of which only the result is hidden is whole for one, and repaired for the other."""
    ada = person("everything")
    call = ToolCallPart(call_id="c1", name="look_up", arguments={})
    ada.says((call,))
    whispered = (ToolResultPart(call_id="c1", content="found"),)
    ada.conversation.append(Message.private(from_person_id="tools", to_person_id="ada", content=whispered))
    ada.says("Now I know.")
    bob = Person(id="bob", llm_config=ada.llm_config, conversation=ada.conversation)
    results = [
        [part.content for message in WITH_COUNTER.prepare(each) for part in message.parts if part in whispered]
        for each in (ada, bob)
    ]
    assert results == [["found"], []]
    (error,) = (part for message in WITH_COUNTER.prepare(bob) for part in message.parts if hasattr(part, "is_error"))
    assert error == ToolResultPart(call_id="c1", content=UNANSWERED, is_error=True)


def test_the_counter_is_told_the_model() -> None:
    """Who counts may count each model in its own way."""
    counter = FakeTokenCounter()
    ContextPreparation(counter).prepare(person("last 99 tokens", "a"))
    assert counter.counted == [("host\na", "m")]


def test_nothing_is_counted_that_needs_no_counting() -> None:
    """Other memories cost no counting."""
    counter = FakeTokenCounter()
    for memory in ("everything", "last 2 messages", "goldfish"):
        ContextPreparation(counter).prepare(person(memory, "a", "b", "c"))
    assert counter.counted == []


def test_counting_needs_a_counter() -> None:
    """Without one the refusal names the person and what to do; other memories are served."""
    with pytest.raises(ValidationError) as caught:
        ContextPreparation().prepare(person("last 99 tokens", "a"))
    assert caught.value.field == "context"
    assert "'ada' remembers the last 99 tokens" in caught.value.message
    assert "wired().context()" in (caught.value.suggestion or "")
    assert len(ContextPreparation().prepare(person("last 2 messages", "a", "b", "c"))) == 2


async def test_each_speaks_from_their_own_memory() -> None:
    """In a dialogue everybody is sent what they remember, and all is kept."""
    talk = person("everything", "Welcome.", "Please begin.").conversation
    service = ScriptedService("one", "two", "three")
    persons = [person("everything", id_="ada"), person("goldfish", id_="bob"), person("last 13 tokens", id_="cyd")]
    dialogue = Dialogue(service, persons, talk, context=WITH_COUNTER)
    assert [event async for event in dialogue.run(turns=3)]
    assert sent(service) == [["Welcome.", "Please begin."], ["one"], ["one", "two"]]
    assert len(talk) == 5


async def test_a_dialogue_without_a_context_keeps_to_what_needs_no_counting() -> None:
    """It needs no parts for persons who count nothing."""
    service = ScriptedService("one", "two")
    talk = person("everything", "a", "b").conversation
    dialogue = Dialogue(service, [person("everything", id_="ada"), person("goldfish", id_="bob")], talk)
    assert [event async for event in dialogue.run(turns=2)]
    assert sent(service) == [["a", "b"], ["one"]]


def test_a_dialogue_refuses_at_once_whom_it_could_not_serve() -> None:
    """The refusal comes when it is made, not in the middle of a conversation."""
    with pytest.raises(ValidationError) as caught:
        Dialogue(ScriptedService(), [person("last 9 tokens")], Conversation())
    assert caught.value.field == "context"


def test_the_container_has_one_that_counts() -> None:
    """`wired().context()` counts with dipeo's estimate, or with the counter that stands in its place."""
    ada = person("last 30 tokens", "word " * 40, "b")
    assert len(wired(Settings()).context().prepare(ada)) == 1
    assert isinstance(wired(Settings()).counter(), CalibratingTokenCounter)
    counter = FakeTokenCounter()
    wired(Settings(), counter=counter).context().prepare(ada)
    assert counter.counted
