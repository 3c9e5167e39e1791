"""A person who thinks before she speaks, and keeps her thoughts while another vendor's model speaks for her.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import evolve

import dipeo
from dipeo import Conversation, Message, Person, PersonLLMConfig
from dipeo.domain.sampling import Sampling
from dipeo.testing import FakeKeys, ProviderSimulator, Reply


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        simulator.script(
            "anthropic",
            Reply("No: it is 7 times 143.", reasoning="Seven goes into 1,001.", reasoning_tokens=6),
            Reply("No: it is 17 times 59.", reasoning="Seven does not go into 1,003.", reasoning_tokens=7),
        )
        simulator.script("google", Reply("Yes, it is."))
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def ask(llm: dipeo.LLMServicePort, person: Person, question: str) -> None:
    """Puts a question to the person, and prints what they think, say, and could not take along."""
    person.conversation.append(Message(from_person_id="host", content=question))
    completion = await llm.complete_with_person(person.get_messages(), person.id, person.llm_config)
    # The parts and not the text alone: the thoughts go back to the vendor that made them.
    person.says(completion.parts)
    print(f"{completion.service} thinks: {completion.reasoning or '(not shown)'}")
    print(f"{person.name} says: {completion.text} ({completion.usage.reasoning_tokens} tokens of thought)")
    for adaptation in completion.adaptations:
        print(f"-- {adaptation.parameter} {adaptation.action}")


async def main() -> None:
    """Asks Ada, lets another model speak for her, and goes back."""
    config = PersonLLMConfig(model="claude", sampling=Sampling(reasoning_effort="high"))
    ada = Person(id="ada", name="Ada", llm_config=config, conversation=Conversation())
    async with simulated() as llm:
        await ask(llm, ada, "Is 1,001 a prime number?")
        await ask(llm, evolve(ada, llm_config=PersonLLMConfig(model="gemini")), "Is 1,009?")
        await ask(llm, ada, "Is 1,003?")


if __name__ == "__main__":
    asyncio.run(main())
