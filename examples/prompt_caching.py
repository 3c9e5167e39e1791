"""The same long instructions in every call: the provider remembers them, and what that saves is counted.

Runs without a key, on the provider simulator, whose counts are scripted. With your own keys, leave `settings` and
`keys` out.
"""

import asyncio

import dipeo
from dipeo import errors
from dipeo.facade import wired
from dipeo.testing import FakeKeys, ProviderSimulator, Reply

GUIDE = {"role": "system", "content": "You are the guide of a museum. " * 400}
QUESTIONS = ("Where is the café?", "When do you close?")
MODEL = "claude-sonnet-5"


async def main() -> None:
    """Asks twice, and prints what was written to the cache and read from it; then asks for what another cannot do."""
    async with ProviderSimulator() as simulator:
        simulator.script(
            "anthropic",
            Reply("On the first floor.", input_tokens=3_010, cache_write_tokens=3_000),
            Reply("At six.", input_tokens=3_010, cached_tokens=3_000),
        )
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        container = wired(settings, keys=FakeKeys())
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            for question in QUESTIONS:
                messages = [GUIDE, {"role": "user", "content": question}]
                completion = await llm.complete(messages, MODEL, prompt_cache="short")
                usage, cost = completion.usage, container.catalog().cost(completion.usage, MODEL)
                print(f"{completion.text} -- {usage.input_tokens} tokens in: ", end="")
                print(f"{usage.cache_write_tokens} written, {usage.cached_tokens} read, {cost.usd} USD")
            # Google remembers by itself: the wish is left out, which is told, and is an error where that matters.
            completion = await llm.complete(messages, "gemini", prompt_cache="long")
            print("--", completion.adaptations[0].parameter, completion.adaptations[0].action)
            try:
                await llm.complete(messages, "gemini", prompt_cache="long", strict=True)
            except errors.UnsupportedParameterError as error:
                print("-- with strict=True:", error.message)


if __name__ == "__main__":
    asyncio.run(main())
