"""A conversation that outgrows what a person remembers: another, smaller model sums up what came before.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dipeo
from dipeo import Conversation, Message, Person, PersonLLMConfig
from dipeo.application.context import ContextPreparation
from dipeo.application.summarizer import Summarizer
from dipeo.facade import wired
from dipeo.testing import FakeKeys, ProviderSimulator, Reply


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        simulator.script("google", Reply("The host described rooms of a house; room 3 is the only one with a stove."))
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Says more than the guide remembers word for word, and prints what is sent."""
    talk = Conversation()
    guide = Person(
        id="guide", llm_config=PersonLLMConfig(model="claude"), memory="summary and last 200 tokens", conversation=talk
    )
    for number in range(60):
        furniture = "a stove" if number == 3 else "a table"
        talk.append(Message(from_person_id="host", content=f"Room {number} has {furniture} and one window."))
    talk.append(Message(from_person_id="host", content="Which room is warm?"))

    parts = wired()
    async with simulated() as llm:
        summarizer = Summarizer(llm, model="gemini", max_tokens=300)
        context = ContextPreparation(parts.counter(), catalog=parts.catalog(), summarizer=summarizer)
        prepared = await context.prepared(guide)
        completion = await llm.complete_with_person(prepared.messages, guide.id, guide.llm_config)
    guide.says(completion.text)

    print(f"{len(talk)} messages in the conversation, {len(prepared.messages)} sent")
    print(prepared.messages[0].text)
    print(*prepared.notes)
    if prepared.summary is not None:
        print(f"-- summed up by {prepared.summary.model}, answered by {completion.model}")


if __name__ == "__main__":
    asyncio.run(main())
