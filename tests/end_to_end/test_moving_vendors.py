"""Persons think and call tools, are moved to another vendor, and go on."""

import itertools

import pytest
from attrs import evolve

import dipeo
from dipeo import Conversation, LLMServicePort, Message, Person, PersonLLMConfig, Settings
from dipeo.application.tool_loop import ToolLoop
from dipeo.domain.memory import repaired
from dipeo.domain.parts import ReasoningPart, ToolCallPart, ToolResultPart
from dipeo.domain.sampling import Sampling
from dipeo.testing import ProviderSimulator, Reply, SimulatedToolCall

MODELS = {
    "openai": "gpt-5.4-mini",
    "anthropic": "claude-sonnet-5-5",
    "google": "gemini-3.5-flash",
    "ollama": "qwen3:8b",
}


def weather(town: str) -> str:
    """What the weather is like in a town."""
    return f"It rains in {town}."


def on(service: str) -> PersonLLMConfig:
    return PersonLLMConfig(
        model=MODELS[service], system_prompt="You advise travellers.", sampling=Sampling(reasoning_effort="high")
    )


def thinks_and_calls(simulator: ProviderSimulator, service: str, town: str) -> None:
    """Scripts a thought with a call of the tool, and then an answer."""
    simulator.script(
        service,
        Reply(reasoning="They want to know.", tool_calls=[SimulatedToolCall("weather", {"town": town})]),
        Reply(f"Take an umbrella to {town}.", reasoning="It rains, then."),
    )


async def speaks(llm: LLMServicePort, person: Person) -> str:
    """Lets the person speak, with the tool, into their conversation."""
    run = ToolLoop(llm, [weather]).stream_with_person(repaired(person.get_messages()), person.id, person.llm_config)
    async with run:
        async for _ in run:
            pass
    assert run.outcome.is_answered, run.outcome
    for message in run.outcome.said:
        person.conversation.append(message)
    return run.outcome.text


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("wire", ["http", "sdk"])
async def test_three_persons_go_on_after_each_is_moved(
    simulator: ProviderSimulator, settings: Settings, wire: str, api: str
) -> None:
    """Every vendor accepts a history that others made: signatures go home, and to nobody else."""
    settings = evolve(settings, wires=wire, apis={"openai": api})
    talk = Conversation()
    vendors = ["openai", "anthropic", "google"]
    persons = {
        name: Person(id=name, llm_config=on(service), conversation=talk)
        for name, service in zip(["ada", "bo", "cy"], vendors, strict=True)
    }
    async with dipeo.connect(settings) as llm:
        for shift in range(4):
            for place, name in enumerate(persons):
                service = (vendors * 2)[place + shift % 3] if shift < 3 else "ollama"
                persons[name] = evolve(persons[name], llm_config=on(service))
                town = f"town-{shift}-{name}"
                talk.append(Message(from_person_id="host", to_person_id=name, content=f"How is {town}?"))
                thinks_and_calls(simulator, service, town)
                assert await speaks(llm, persons[name]) == f"Take an umbrella to {town}."
    parts = list(itertools.chain.from_iterable(message.parts for message in talk.messages))
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    results = [part for part in parts if isinstance(part, ToolResultPart)]
    assert len(calls) == len(results) == 12
    assert [result.content for result in results] == [f"It rains in {call.arguments['town']}." for call in calls]
    thoughts = {part.vendor for part in parts if isinstance(part, ReasoningPart)}
    # Over chat completions, OpenAI shows no thoughts.
    assert thoughts >= {"anthropic", "google"} | ({"openai"} if api == "responses" else set())
    assert all(request.status == 200 for request in simulator.requests)


async def test_a_person_who_comes_home_brings_their_thoughts(simulator: ProviderSimulator, settings: Settings) -> None:
    """After a turn with another vendor, the first one is sent its own signatures again, and nobody else's."""
    talk = Conversation()
    async with dipeo.connect(settings) as llm:
        for service in ("anthropic", "google", "anthropic"):
            person = Person(id="ada", llm_config=on(service), conversation=talk)
            talk.append(Message(from_person_id="host", content=f"How is {service}town?"))
            thinks_and_calls(simulator, service, f"{service}town")
            await speaks(llm, person)
    own = [
        part.signature
        for message in talk.messages
        for part in message.parts
        if isinstance(part, ReasoningPart) and part.vendor == "anthropic" and part.signature
    ]
    foreign = [
        part.signature
        for message in talk.messages
        for part in message.parts
        if isinstance(part, ReasoningPart | ToolCallPart) and part.vendor == "google" and part.signature
    ]
    sent = str(simulator.requests[-1].body)
    assert own[0] in sent
    assert foreign
    assert not any(signature in sent for signature in foreign)
