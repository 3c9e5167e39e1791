"""An answer as a value of a class of your own: asked for, checked, and asked for again when it does not fit.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from attrs import field, frozen, validators

import dipeo
from dipeo.structured import StructuredOutput
from dipeo.testing import FakeKeys, ProviderSimulator, Reply


@frozen
class Guest:
    """Somebody who comes."""

    name: str
    meal: Literal["fish", "vegetables"]


@frozen
class Party:
    """An invitation.

    Attributes:
        day: The day of the week.
        guests: Who comes.
    """

    day: str
    guests: tuple[Guest, ...] = field(validator=validators.min_len(1))


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        simulator.script(
            "openai",
            Reply('{"day": "Friday", "guests": [{"name": "Ada", "meal": "cake"}]}'),
            Reply('{"day": "Friday", "guests": [{"name": "Ada", "meal": "fish"}]}'),
            Reply('{"day": "Sunday", "guests": [{"name": "Grace", "meal": "fish"}]}', chunk_delay_s=0.02),
        )
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Prints the values, what was wrong at first, and a value while it grows."""
    letter = [{"role": "user", "content": "Ada comes on Friday, and likes fish. Who comes, and when?"}]
    async with simulated() as llm:
        structured = StructuredOutput(llm)
        answer = await structured.complete(letter, "openai", Party)
        print(answer.value)
        print(f"-- after {len(answer.completions)} answers, {answer.usage.total_tokens} tokens")
        print(f"-- at first: {answer.problems[0]}")

        async with structured.stream(letter, "openai", Party) as stream:
            async for known in stream.partials():
                print(known)
        print(stream.answer.value.guests[0].name)


if __name__ == "__main__":
    asyncio.run(main())
