"""Three persons on three providers hold a conversation; the simulator's log proves what each was sent."""

from pathlib import Path
from typing import Any

import dipeo
from dipeo import Conversation, LLMService, Message, Person, PersonLLMConfig, Settings
from dipeo.application.dialogue import Dialogue, TurnEnds
from dipeo.testing import ProviderSimulator, SimulatedRequest

SECRET = "the vault opens at midnight"  # a secret among persons, not a credential

SERVICES = {"ada": "openai", "boole": "anthropic", "curie": "google"}


def persons() -> list[Person]:
    return [
        Person(id="ada", llm_config=PersonLLMConfig(model="gpt-5.4-mini", system_prompt="You are Ada.")),
        Person(id="boole", llm_config=PersonLLMConfig(model="claude-sonnet-5-5", system_prompt="You are Boole.")),
        Person(id="curie", llm_config=PersonLLMConfig(model="gemini-3.5-flash", system_prompt="You are Curie.")),
    ]


def conversation_with_a_secret() -> Conversation:
    return Conversation(
        [
            Message(from_person_id="moderator", content="What should a machine decide?"),
            Message.private(from_person_id="moderator", to_person_id="ada", content=SECRET),
        ]
    )


async def hold(llm: dipeo.LLMServicePort, conversation: Conversation, turns: int) -> list[TurnEnds]:
    dialogue = Dialogue(llm, persons(), conversation)
    return [event async for event in dialogue.run(turns=turns) if isinstance(event, TurnEnds)]


async def test_three_persons_on_three_providers_hold_ten_turns(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """Ten turns are spoken in order, each over its person's own provider, and all stand in the conversation."""
    conversation = conversation_with_a_secret()
    async with dipeo.connect(settings) as llm:
        turns = await hold(llm, conversation, 10)
    assert [turn.person.id for turn in turns] == ["ada", "boole", "curie"] * 3 + ["ada"]
    assert [request.service for request in simulator.requests] == [SERVICES[turn.person.id] for turn in turns]
    assert [message.text for message in conversation][2:] == [turn.completion.text for turn in turns]
    assert all(turn.completion.usage.output_tokens > 0 for turn in turns)
    assert simulator.open_connections == 0


async def test_a_private_message_is_in_nobody_elses_request(simulator: ProviderSimulator, settings: Settings) -> None:
    """What was said to Ada alone is in all of her requests and in none of the others'."""
    async with dipeo.connect(settings) as llm:
        await hold(llm, conversation_with_a_secret(), 9)
    for request in simulator.requests:
        assert (SECRET in str(request.body)) == (request.service == "openai")


async def test_each_is_sent_their_own_view_in_the_roles_of_their_provider(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """Own messages are the assistant's, the others' are named users', the own prompt is in the provider's own place."""
    conversation = conversation_with_a_secret()
    async with dipeo.connect(settings) as llm:
        turns = await hold(llm, conversation, 9)
    said = {number: turn.completion.text for number, turn in enumerate(turns, 1)}
    ada, boole, curie = simulator.requests[6], simulator.requests[7], simulator.requests[8]

    assert lines(ada) == [
        ("developer", None, "You are Ada."),
        ("user", "moderator", "What should a machine decide?"),
        ("user", "moderator", SECRET),
        ("assistant", None, said[1]),
        ("user", "boole", said[2]),
        ("user", "curie", said[3]),
        ("assistant", None, said[4]),
        ("user", "boole", said[5]),
        ("user", "curie", said[6]),
    ]
    assert body(boole)["system"] == "You are Boole."
    assert turns_of(body(boole)["messages"], "content") == [
        ("user", ["moderator: What should a machine decide?", f"ada: {said[1]}"]),
        ("assistant", [said[2]]),
        ("user", [f"curie: {said[3]}", f"ada: {said[4]}"]),
        ("assistant", [said[5]]),
        ("user", [f"curie: {said[6]}", f"ada: {said[7]}"]),
    ]
    assert body(curie)["systemInstruction"] == {"parts": [{"text": "You are Curie."}]}
    assert turns_of(body(curie)["contents"], "parts") == [
        ("user", ["moderator: What should a machine decide?", f"ada: {said[1]}", f"boole: {said[2]}"]),
        ("model", [said[3]]),
        ("user", [f"ada: {said[4]}", f"boole: {said[5]}"]),
        ("model", [said[6]]),
        ("user", [f"ada: {said[7]}", f"boole: {said[8]}"]),
    ]


async def test_a_prompt_file_gives_instructions_model_and_sampling(
    simulator: ProviderSimulator, settings: Settings, tmp_path: Path
) -> None:
    """A person from a file is asked over the model that the file names, with its sampling, and re-read when changed."""
    file = tmp_path / "dora.md"
    file.write_text("---\nname: Dora\nmodel: llama3.2:3b\ntemperature: 0.25\n---\nYou are Dora.\n")
    person = dipeo.load_person("dora.md", base_dir=tmp_path)
    assert (person.id, person.name) == ("dora", "Dora")
    messages = [Message(from_person_id="moderator", content="Who are you?")]
    here = Settings(base_dir=tmp_path, base_urls=simulator.base_urls)
    async with dipeo.connect(here) as llm:
        await llm.complete_with_person(messages, person.id, person.llm_config)
        file.write_text("---\nname: Dora\nmodel: llama3.2:3b\n---\nYou are Dora, and tired.\n")
        completion = await llm.complete_with_person(messages, person.id, person.llm_config, temperature=0.5)
    first, second = simulator.requests
    assert first.service == LLMService.OLLAMA
    assert (lines(first)[0], body(first)["options"]) == (("system", None, "You are Dora."), {"temperature": 0.25})
    assert (lines(second)[0][2], body(second)["options"]) == ("You are Dora, and tired.", {"temperature": 0.5})
    assert completion.notes == ()


async def test_a_missing_prompt_file_falls_back_and_says_so(simulator: ProviderSimulator, settings: Settings) -> None:
    """The inline prompt takes the place of a file that is not there, and the completion carries the note."""
    config = PersonLLMConfig(model="gpt-5.4-mini", prompt_file="prompts/nobody.md", system_prompt="You are Nobody.")
    async with dipeo.connect(settings) as llm:
        completion = await llm.complete_with_person(
            [Message(from_person_id="moderator", content="Who are you?")], "nobody", config
        )
    assert "nobody.md" in completion.notes[0]
    assert lines(simulator.requests[0])[0] == ("developer", None, "You are Nobody.")


async def test_one_who_speaks_twice_in_a_row_goes_on(simulator: ProviderSimulator, settings: Settings) -> None:
    """Where a provider wants the other side to speak last, a nudge is inserted and the adaptation recorded."""
    conversation = Conversation([Message(from_person_id="moderator", content="Begin.")])
    boole = persons()[1].joining(conversation)
    async with dipeo.connect(settings) as llm:
        for _ in range(2):
            completion = await llm.complete_with_person(boole.get_messages(), boole.id, boole.llm_config)
            boole.says(completion.text)
    assert [turn.role for turn in simulator.requests[1].messages] == ["system", "user", "assistant", "user"]
    assert [adaptation.parameter for adaptation in completion.adaptations] == ["messages"]


def body(request: SimulatedRequest) -> dict[str, Any]:
    assert isinstance(request.body, dict)
    return request.body


def lines(request: SimulatedRequest) -> list[tuple[str, str | None, str]]:
    return [(message.role, message.name, message.text) for message in request.messages]


def turns_of(turns: list[dict[str, Any]], key: str) -> list[tuple[str, list[str]]]:
    """Role and texts of each turn, whether its content is one text or a list of blocks."""
    found: list[tuple[str, list[str]]] = []
    for turn in turns:
        content = turn[key]
        texts = [content] if isinstance(content, str) else [block["text"] for block in content]
        found.append((turn["role"], texts))
    return found
