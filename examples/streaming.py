"""An answer piece by piece, as it is written.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dipeo
from dipeo.testing import FakeKeys, ProviderSimulator, Reply


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine, at the pace of a typist."""
    async with ProviderSimulator() as simulator:
        simulator.script(
            "anthropic", Reply("Rain is water that has changed its mind about the sky.", chunk_delay_s=0.05)
        )
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Prints each piece when it comes, and the counts at the end."""
    question = [{"role": "user", "content": "What is rain?"}]
    pieces = 0
    async with simulated() as llm:
        async with llm.stream(question, "claude") as stream:
            async for text in stream.text():
                pieces += 1
                print(text, end="", flush=True)
        print(f"\n-- {pieces} pieces, {stream.completion.usage.output_tokens} tokens")

        # Leaving the block early closes the connection: the provider stops writing.
        async with llm.stream(question, "gemini") as stream:
            async for text in stream.text():
                print(f"{text} -- enough")
                break


if __name__ == "__main__":
    asyncio.run(main())
