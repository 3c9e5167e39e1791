"""OpenAI's responses over OpenAI's own client: an answer that is kept there, and one that goes on from it.

Needs `pip install 'dipeo[openai]'`. Runs without a key, on the provider simulator. With your own key, leave `base_urls`
and `keys` out.
"""

import asyncio

import dipeo
from dipeo.domain.service import LLMService
from dipeo.testing import FakeKeys, ProviderSimulator


async def main() -> None:
    """Asks, then goes on by the name of the answer, and prints what was sent the second time."""
    async with ProviderSimulator() as simulator:
        settings = dipeo.Settings(
            base_urls=simulator.base_urls, apis={LLMService.OPENAI: "responses"}, wires={LLMService.OPENAI: "sdk"}
        )
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            first = await llm.complete(
                [{"role": "user", "content": "Name a comet."}], "gpt-5.4-mini", provider_options={"store": True}
            )
            print(f"-- kept: {first.response_id is not None}, {first.usage.total_tokens} tokens")
            second = await llm.complete(
                [{"role": "user", "content": "When does it come back?"}],
                "gpt-5.4-mini",
                previous_response_id=first.response_id,
            )
            print(second.text)
        print("-- over", simulator.requests[-1].path, "by", simulator.requests[-1].headers["user-agent"].split("/")[0])


if __name__ == "__main__":
    asyncio.run(main())
