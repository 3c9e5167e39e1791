"""Three persons, three models, one conversation.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands;
the aliases then need a key each for OpenAI, Anthropic and Google.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dipeo
from dipeo import Conversation, Message, Person, PersonLLMConfig
from dipeo.testing import FakeKeys, ProviderSimulator


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


def person(name: str, model: str, character: str, conversation: Conversation) -> Person:
    """A person who takes part in the conversation."""
    config = PersonLLMConfig(model=model, system_prompt=f"You are {name}, {character}. Answer in two sentences.")
    return Person(id=name.split()[0].lower(), name=name, llm_config=config, conversation=conversation)


async def main() -> None:
    """Lets everybody speak twice."""
    conversation = Conversation()
    persons = [
        person("Ada Lovelace", "openai", "a mathematician", conversation),
        person("George Boole", "claude", "a logician", conversation),
        person("Marie Curie", "gemini", "a chemist", conversation),
    ]
    conversation.append(Message(from_person_id="host", content="What should a thinking machine decide by itself?"))
    async with simulated() as llm:
        for speaker in persons * 2:
            completion = await llm.complete_with_person(speaker.get_messages(), speaker.id, speaker.llm_config)
            speaker.says(completion.text)
            print(f"{speaker.name} ({completion.service}): {completion.text}\n")
    print(conversation)


if __name__ == "__main__":
    asyncio.run(main())
