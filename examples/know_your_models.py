"""Which model fits: what is known of each, what a provider offers, how long a prompt is, what an answer would cost.

Runs without a key, on the provider simulator. With your own keys, leave `base_urls` and `keys` out. Prices come with
`pip install 'dipeo[catalog]'`; without them a cost is `UNKNOWN`, and says why.
"""

import asyncio

import dipeo
from dipeo.domain.catalog import UNKNOWN
from dipeo.facade import wired
from dipeo.testing import FakeKeys, ProviderSimulator

QUESTION = [{"role": "user", "content": "What is a comet?"}]
MODEL = "claude-sonnet-5"


async def main() -> None:
    """Prints facts, a list, two counts and a cost."""
    async with ProviderSimulator() as simulator:
        container = wired(dipeo.Settings(base_urls=simulator.base_urls), keys=FakeKeys())
        facts = container.catalog().facts(MODEL)
        print(f"{facts.model}: {facts.context_window_tokens:,} tokens, schemas {facts.takes_schema}")
        # What nobody knows is no "no": it is a state of its own.
        own = container.catalog().facts("own-model", service="groq")
        print("-- unknown of your own model:", own.takes_tools is UNKNOWN)
        offered = await container.model_lists().list_models("anthropic")
        print(f"-- offered by anthropic: {', '.join(each.model for each in offered)}")
        counted = await container.prompt_sizes().count_prompt(QUESTION, MODEL, max_tokens=100)
        estimated = container.counter().count_tokens(QUESTION[0]["content"], model=MODEL)
        print(f"-- the question: {counted} tokens as the provider counts, about {estimated} by estimate")
        completion = await container.service().complete(QUESTION, MODEL)
        print(f"-- the answer cost {container.catalog().cost(completion.usage, MODEL).usd} USD")
        await container.pool().aclose()


if __name__ == "__main__":
    asyncio.run(main())
