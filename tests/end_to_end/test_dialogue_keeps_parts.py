"""What an answer holds beside its text stays with the person who gave it, from turn to turn, and from file to file."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import dipeo
from dipeo import Conversation, Dialogue, Message, Person, PersonLLMConfig, Settings
from dipeo.domain.parts import CitationPart, ProviderToolPart, ReasoningPart
from dipeo.domain.sampling import Sampling
from dipeo.testing import ProviderSimulator, Reply, SimulatedRequest
from dipeo.testing.simulator import SimulatedCitation, SimulatedProviderTool

THOUGHT = "Seven goes into it, but I shall not tell them at once."
HIGH = Sampling(reasoning_effort="high")


def ada(model: str = "claude", **config: Any) -> Person:
    return Person(id="ada", llm_config=PersonLLMConfig(model=model, sampling=HIGH, **config))


def boole(model: str = "gpt-5.4-mini") -> Person:
    return Person(id="boole", llm_config=PersonLLMConfig(model=model))


def opened() -> Conversation:
    return Conversation([Message(from_person_id="host", content="Is 1,001 a prime number?")])


def blocks_of(request: SimulatedRequest, role: str) -> list[Any]:
    """The content blocks that an Anthropic request has of this role, texts that stand alone included."""
    body: Any = request.body
    contents = [message["content"] for message in body["messages"] if message["role"] == role]
    return [block for content in contents for block in ([content] if isinstance(content, str) else content)]


async def speak(llm: dipeo.LLMServicePort, persons: list[Person], talk: Conversation, *, turns: int) -> None:
    async for _ in Dialogue(llm, persons, talk).run(turns=turns):
        pass


async def test_signed_thoughts_go_back_to_their_vendor_and_to_nobody_else(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """In her second turn Ada's model sees what it thought in the first, as it came; Boole's model never does."""
    simulator.script("anthropic", Reply("No.", reasoning=THOUGHT), Reply("Seven.", reasoning="They asked."))
    simulator.script("openai", Reply("Why not?"), Reply("I see."))
    talk = opened()
    async with dipeo.connect(settings) as llm:
        await speak(llm, [ada(), boole()], talk, turns=4)
    first, _, second, _ = simulator.requests
    assert first.is_stream
    thought = talk.messages[1].parts[0]
    assert isinstance(thought, ReasoningPart)
    assert thought.signature
    assert blocks_of(second, "assistant") == [
        {"type": "thinking", "thinking": THOUGHT, "signature": thought.signature},
        {"type": "text", "text": "No."},
    ]
    for request in simulator.requests:
        if request.service != "anthropic":
            assert THOUGHT not in str(request.body)
            assert thought.signature not in str(request.body)
            assert "No." in str(request.body)
    assert [message.text for message in talk] == ["Is 1,001 a prime number?", "No.", "Why not?", "Seven.", "I see."]


@pytest.mark.parametrize("model", ["gemini", "gpt-5.4-mini", "llama3.2:3b", "mistral-large-latest"])
async def test_another_vendor_gets_the_words_without_the_thoughts(
    simulator: ProviderSimulator, settings: Settings, model: str
) -> None:
    """A person who is moved speaks on; her text is there as her own, her thoughts are left out, and that is noted."""
    simulator.script("anthropic", Reply("No.", reasoning=THOUGHT))
    talk = opened()
    async with dipeo.connect(settings) as llm:
        await speak(llm, [ada()], talk, turns=1)
        talk.append(Message(from_person_id="host", content="And 1,003?"))
        dialogue = Dialogue(llm, [ada(model)], talk)
        ends = [event async for event in dialogue.turn("ada")]
    sent = simulator.requests[-1]
    assert THOUGHT not in str(sent.body)
    assert [message.text for message in sent.messages if message.role in ("assistant", "model")] == ["No."]
    adaptations = ends[-1].completion.adaptations  # type: ignore[union-attr]  # the last event is the turn's end
    assert any("messages[1].content[0]" in adaptation.parameter for adaptation in adaptations)


async def test_thoughts_survive_being_saved(simulator: ProviderSimulator, settings: Settings, tmp_path: Path) -> None:
    """A conversation that is read back is the same, and sends the same."""
    simulator.script("anthropic", Reply("No.", reasoning=THOUGHT), Reply("Seven."), Reply("Seven."))
    talk, file = opened(), tmp_path / "talk.json"
    async with dipeo.connect(settings) as llm:
        await speak(llm, [ada()], talk, turns=1)
        dipeo.save_conversation(talk, file)
        loaded = dipeo.load_conversation(file)
        assert loaded.messages == talk.messages
        for each in (talk, loaded):
            each.append(Message(from_person_id="host", content="Why?"))
            await speak(llm, [ada()], each, turns=1)
    _, original, from_file = simulator.requests
    assert blocks_of(from_file, "assistant") == blocks_of(original, "assistant")
    assert blocks_of(from_file, "assistant")[0]["type"] == "thinking"


async def test_what_a_provider_looked_up_is_known_in_the_next_turn(
    simulator: ProviderSimulator, settings: Settings, tmp_path: Path
) -> None:
    """A search and what it found go back to the vendor, also from a file; the sources are kept for whoever reads."""
    page = SimulatedCitation(url="https://example.com/halley", title="The Almanac", cited_text="2061.", end=26)
    search = SimulatedProviderTool(query="Halley", pages=(page,))
    simulator.script("anthropic", Reply("The comet returns in 2061.", citations=(page,), provider_tools=(search,)))
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    talk, file = opened(), tmp_path / "talk.json"
    async with dipeo.connect(settings) as llm:
        await speak(llm, [ada(provider_options={"tools": tools}), boole()], talk, turns=2)
        dipeo.save_conversation(talk, file)
        talk = dipeo.load_conversation(file)
        await speak(llm, [ada(provider_options={"tools": tools})], talk, turns=1)
    parts = talk.messages[1].parts
    looked_up = [part.data for part in parts if isinstance(part, ProviderToolPart)]
    assert [data["type"] for data in looked_up] == ["server_tool_use", "web_search_tool_result"]
    assert [part.url for part in parts if isinstance(part, CitationPart)] == ["https://example.com/halley"]
    _, other, again = simulator.requests
    sent = blocks_of(again, "assistant")
    assert [block for block in sent if block["type"] != "text"] == looked_up
    assert "server_tool_use" not in str(other.body)
    assert "example.com" not in str(other.body)
    assert "The comet returns in 2061." in str(other.body)


async def test_plain_answers_stay_plain_text(simulator: ProviderSimulator, settings: Settings) -> None:
    """Where there is nothing but text, a message holds text, as it always did."""
    simulator.script("anthropic", Reply("No."))
    talk = opened()
    async with dipeo.connect(settings) as llm:
        await speak(llm, [Person(id="ada", llm_config=PersonLLMConfig(model="claude"))], talk, turns=1)
    assert talk.messages[1].content == "No."


@pytest.mark.parametrize(
    ("model", "service"),
    [("gpt-5.4-mini", "openai"), ("gemini", "google"), ("qwen3:8b", "ollama"), ("grok-3-mini", "xai"),
     ("deepseek-reasoner", "deepseek"), ("magistral-medium-latest", "mistral"), ("openai/gpt-oss-120b", "openrouter"),
     ("openai/gpt-oss-120b", "groq")],
)  # fmt: skip
async def test_every_vendor_takes_back_what_is_kept(
    simulator: ProviderSimulator, settings: Settings, model: str, service: str
) -> None:
    """Whatever the vendor showed of its thinking: the second turn is taken, and nothing had to be left out for it."""
    simulator.script(service, Reply("No.", reasoning=THOUGHT), Reply("Seven.", reasoning=THOUGHT))
    talk = opened()
    async with dipeo.connect(settings) as llm:
        dialogue = Dialogue(llm, [ada(model, service=service)], talk)
        for question in ("Why?", "And 1,003?"):
            events = [event async for event in dialogue.turn("ada")]
            talk.append(Message(from_person_id="host", content=question))
    assert [request.status for request in simulator.requests] == [200, 200]
    adaptations = events[-1].completion.adaptations  # type: ignore[union-attr]  # the last event is the turn's end
    assert [each for each in adaptations if each.parameter.startswith("messages")] == []


async def test_openais_responses_get_their_encrypted_thoughts_again(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """Over this interface a thought is an item of its own, with what proves it, in front of the words."""
    simulator.script("openai", Reply("No.", reasoning=THOUGHT), Reply("Seven."))
    person = ada("gpt-5.4-mini", provider_options={"reasoning": {"summary": "auto"}})
    talk = opened()
    async with dipeo.connect(evolve(settings, apis={"openai": "responses"})) as llm:
        await speak(llm, [person], talk, turns=1)
        talk.append(Message(from_person_id="host", content="Why?"))
        await speak(llm, [person], talk, turns=1)
    body: Any = simulator.requests[-1].body
    items = [(item.get("type"), bool(item.get("encrypted_content"))) for item in body["input"]]
    assert ("reasoning", True) in items
    assert THOUGHT in str(body)
