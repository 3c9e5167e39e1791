"""A small search: which of these sentences is nearest to the question.

Runs without a key, on the provider simulator, whose vectors tell texts apart and know nothing of their meaning. With
your own keys, write `connect_embeddings()` where `simulated()` stands.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dipeo
from dipeo.domain.ports.embeddings import EmbeddingPort
from dipeo.facade import connect_embeddings
from dipeo.testing import FakeKeys, ProviderSimulator

SENTENCES = (
    "Comets are made of ice and dust.",
    "A fossil is what time leaves of a plant or an animal.",
    "Rain begins as vapour over warm seas.",
)
QUESTION = "Comets are made of ice and dust."


@asynccontextmanager
async def simulated() -> AsyncIterator[EmbeddingPort]:
    """Embeddings from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with connect_embeddings(settings, keys=FakeKeys()) as embeddings:
            yield embeddings


def likeness(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """How much two vectors point the same way, from -1 to 1."""
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


async def main() -> None:
    """Embeds the sentences and the question, and prints the nearest sentence."""
    async with simulated() as embeddings:
        result = await embeddings.embed([*SENTENCES, QUESTION], "text-embedding-3-small")
    *known, asked = result.vectors
    nearest = max(range(len(known)), key=lambda place: likeness(known[place], asked))
    print(f"Nearest: {SENTENCES[nearest]} ({likeness(known[nearest], asked):.2f})")
    print(f"-- {result.model} on {result.service}: {len(result.vectors)} vectors of {result.dimensions} numbers")
    print(f"-- {result.usage.input_tokens} tokens, {len(result.attempts)} attempt")


if __name__ == "__main__":
    asyncio.run(main())
