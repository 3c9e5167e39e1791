"""A name of your own for a model on a server of your own.

Any server that speaks OpenAI's chat completions will do: vLLM, llama.cpp, LM Studio, a company's proxy. Here the
simulator plays that server, so that the program runs as it is; put your server's address where `base_url` stands.
"""

import asyncio

import dipeo
from dipeo import ModelTarget
from dipeo.testing import FakeKeys, ProviderSimulator


async def main() -> None:
    """Asks the house model under its alias."""
    async with ProviderSimulator() as simulator:
        house_model = ModelTarget(
            service=dipeo.LLMService.OPENAI_COMPATIBLE,
            model="llama-3.3-70b-instruct",
            base_url=simulator.base_urls["openai_compatible"],  # yours: "http://127.0.0.1:8080/v1"
            api_key_id="house",  # leave it out for a server that wants no key
        )
        aliases = {"house-model": house_model}
        keys = FakeKeys({"house": "sk-house"})  # yours: leave `keys` out and set DIPEO_KEY_HOUSE
        async with dipeo.connect(dipeo.Settings(), aliases=aliases, keys=keys) as llm:
            completion = await llm.complete([{"role": "user", "content": "Are you at home?"}], "house-model")
        print(completion.text)
        print(f"-- {completion.model} on {completion.service}")
        for request in simulator.requests:
            print(f"-- the server saw: {request.method} {request.path} for {request.model}")


if __name__ == "__main__":
    asyncio.run(main())
