"""One question, one answer, and what is known about it.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dipeo
from dipeo.testing import FakeKeys, ProviderSimulator


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Asks one question."""
    question = [
        {"role": "system", "content": "You are a patient teacher. Answer in two sentences."},
        {"role": "user", "content": "Why is the evening sky red?"},
    ]
    async with simulated() as llm:
        completion = await llm.complete(question, "openai", max_tokens=200)
    print(completion.text)
    print(f"-- {completion.model} on {completion.service}, {completion.finish_reason}")
    print(f"-- {completion.usage.input_tokens} tokens in, {completion.usage.output_tokens} out")
    print(f"-- attempts: {len(completion.attempts)}")


if __name__ == "__main__":
    asyncio.run(main())
