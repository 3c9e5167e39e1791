"""A picture and a document beside the words, and what happens where a model cannot take one.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dipeo
from dipeo import ChatMessage, Role, errors
from dipeo.domain.parts import DocumentPart, ImagePart, TextPart
from dipeo.testing import FakeKeys, ProviderSimulator

# In your program: Path("dot.png").read_bytes(). This one is a single red dot.
DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGO4IycHAALyARlzRAvLAAAAAElFTkSuQmCC")
INVOICE = b"%PDF-1.7\n% the pages would follow\n%%EOF\n"


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Shows three models the same picture and invoice."""
    picture = ImagePart(media_type="image/png", data=DOT)
    invoice = DocumentPart(media_type="application/pdf", data=INVOICE, name="invoice.pdf")
    question = ChatMessage(Role.USER, (picture, invoice, TextPart("Is this dot the logo on the invoice?")))
    async with simulated() as llm:
        for model in ("openai", "claude", "grok-4"):
            try:
                completion = await llm.complete([question], model)
                print(f"{completion.service}: {completion.text}")
            except errors.UnsupportedParameterError as error:
                print(f"{model} was not asked: {error.field} is not taken.")


if __name__ == "__main__":
    asyncio.run(main())
