"""What is a person's own affair is neither told to others nor counted for them, and is kept in files."""

import pytest

from dipeo.application.summarizer import Summarizer
from dipeo.domain.completion import ChatMessage
from dipeo.domain.conversation import Conversation
from dipeo.domain.memory import tokens_in
from dipeo.domain.message import Message
from dipeo.domain.parts import (
    CitationPart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.domain.person import Person, PersonLLMConfig
from dipeo.testing import ScriptedService

THOUGHT = ReasoningPart(text="secret thought", vendor="v", signature="proof", id="t1")
REDACTED = ReasoningPart(text="", vendor="v", signature="proof", is_redacted=True)
SEARCH = ProviderToolPart(vendor="v", name="web_search", data={"asked": {"for": ["secret search", 1, None]}})
CALL = ToolCallPart(call_id="c", name="lookup", arguments={"word": "secret call"}, vendor="v", signature="proof")
SAID = TextPart("It rains.")
SOURCE = CitationPart(url="https://example.com", title="A page", text="It rains.")
RESULT = ToolResultPart(call_id="c", content="secret result")
ALL = (THOUGHT, REDACTED, SEARCH, SAID, SOURCE, CALL)


def by_ada(*parts: Part) -> Message:
    return Message(from_person_id="ada", content=parts)


def count(text: str) -> int:
    return len(text.split())


def test_all_of_a_message_is_for_the_one_who_sent_it() -> None:
    """Others hear what was said, and where it comes from."""
    assert by_ada(*ALL).parts_for("ada") == ALL
    assert by_ada(*ALL).parts_for("boole") == (SAID, SOURCE)
    assert by_ada(THOUGHT, CALL).parts_for("boole") == ()
    assert Message(from_person_id="ada", content="Hi.").parts_for("boole") == (TextPart("Hi."),)


def test_results_are_for_the_one_who_asked() -> None:
    """Whoever sent them, and whoever may see them."""
    results = Message(from_person_id="tools", to_person_id="ada", content=(RESULT,))
    assert results.parts_for("ada") == (RESULT,)
    assert results.parts_for("boole") == ()


def test_what_is_not_for_a_person_counts_for_nothing() -> None:
    """The thoughts of others take no room in a memory that is counted in tokens, and citations take none at all."""

    def tokens(person_id: str, *parts: Part) -> int:
        return tokens_in(by_ada(*parts), person_id=person_id, count_tokens=count)

    assert tokens("boole", *ALL) == tokens("boole", SAID)
    assert tokens("boole", THOUGHT, SEARCH, CALL) == 0
    assert tokens("ada", THOUGHT, SAID) == tokens("ada", SAID) + 2
    assert tokens("ada", SAID, SOURCE) == tokens("ada", SAID)


@pytest.mark.parametrize(("person_id", "knows"), [("ada", True), ("boole", False)])
async def test_a_summary_tells_nobody_what_others_did_in_private(person_id: str, knows: bool) -> None:
    """The record holds what the person may know: calls and results are those of the one who made them."""
    results = Message(from_person_id="tools", to_person_id="ada", content=(RESULT,))
    person = Person(id=person_id, llm_config=PersonLLMConfig(model="m"))
    with ScriptedService("It rained.") as service:
        await Summarizer(service).sum_up(person, [by_ada(*ALL), results])
    record = service.asked[0].messages[-1]
    assert isinstance(record, ChatMessage)
    assert "ada: It rains." in record.text
    assert ("secret call" in record.text, "secret result" in record.text) == (knows, knows)
    assert "secret thought" not in record.text


def test_a_file_keeps_every_part_to_the_letter() -> None:
    """Signatures, ids, and what a provider's tool said come back as they were."""
    talk = Conversation([by_ada(*ALL), Message.private(from_person_id="tools", to_person_id="ada", content=(RESULT,))])
    assert Conversation.from_json(talk.to_json()).messages == talk.messages
