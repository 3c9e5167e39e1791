"""A provider searches the web while it answers; the answer names its sources, and the next turn knows them.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dipeo
from dipeo import ChatMessage, Role
from dipeo.domain.parts import CitationPart, ProviderToolPart, TextPart
from dipeo.testing import FakeKeys, ProviderSimulator, Reply
from dipeo.testing.simulator import SimulatedCitation, SimulatedProviderTool

ANSWER = "The comet returns in 2061."
PAGE = SimulatedCitation(
    url="https://almanac.example.com/halley", title="The Almanac", cited_text="Next: 2061.", end=len(ANSWER)
)


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        search = SimulatedProviderTool(query="Halley's comet next return", pages=(PAGE,))
        simulator.script(
            "anthropic", Reply(ANSWER, citations=(PAGE,), provider_tools=(search,)), Reply("In 1986, says the Almanac.")
        )
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Prints an answer with its sources as footnotes, and goes on from it."""
    messages = [ChatMessage.from_text(Role.USER, "When does Halley's comet come back?")]
    async with simulated() as llm:
        completion = await llm.complete(messages, "claude", provider_tools=["web_search"])
        sources: list[CitationPart] = []
        for part in completion.parts:
            if isinstance(part, ProviderToolPart):
                print(f"-- to be kept: {part.vendor}, {part.name}")
            elif isinstance(part, TextPart):
                print(part.text, end="")
            elif isinstance(part, CitationPart):
                sources.append(part)
                print(f" [{len(sources)}]")
        for number, source in enumerate(sources, start=1):
            print(f"[{number}] {source.title}, {source.url}")

        # The parts and not the text alone: what the search found goes back to the vendor that made it.
        messages.append(ChatMessage(Role.ASSISTANT, completion.parts))
        messages.append(ChatMessage.from_text(Role.USER, "And when was it here before?"))
        completion = await llm.complete(messages, "claude", provider_tools=["web_search"])
        print(completion.text)


if __name__ == "__main__":
    asyncio.run(main())
