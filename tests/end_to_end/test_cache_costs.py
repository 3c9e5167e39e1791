"""What a prompt cache costs, from the request to the price."""

from decimal import Decimal
from typing import Literal

import pytest

import dipeo
from dipeo.domain.catalog import TokenPrice
from dipeo.facade import wired
from dipeo.testing import FakeKeys, ProviderSimulator, Reply

QUESTION = [{"role": "system", "content": "You are the guide of a museum."}, {"role": "user", "content": "Where?"}]


@pytest.mark.parametrize(
    ("asked", "short_tokens", "long_tokens", "factor"), [("short", 900, 0, "1.25"), ("long", 0, 900, "2")]
)
async def test_what_is_written_for_an_hour_costs_more(
    asked: Literal["short", "long"], short_tokens: int, long_tokens: int, factor: str, simulator: ProviderSimulator
) -> None:
    """The provider says for how long it keeps what it wrote, unary and streamed; nobody has to tell the catalogue."""
    simulator.script("anthropic", *[Reply("There.", input_tokens=1000, output_tokens=0, cache_write_tokens=900)] * 2)
    settings = dipeo.Settings(base_urls=simulator.base_urls)
    async with dipeo.connect(settings, keys=FakeKeys()) as llm:
        whole = await llm.complete(QUESTION, "claude-opus-5", prompt_cache=asked)
        async with llm.stream(QUESTION, "claude-opus-5", prompt_cache=asked) as stream:
            async for _ in stream:
                pass
    catalog = wired().catalog()
    price = catalog.facts("claude-opus-5").prices.input
    for usage in (whole.usage, stream.completion.usage):
        assert (usage.input_tokens, usage.cache_write_tokens) == (1000, 900)
        assert (usage.cache_write_short_tokens, usage.cache_write_long_tokens) == (short_tokens, long_tokens)
        cost = catalog.cost(usage, "claude-opus-5")
        assert isinstance(price, TokenPrice)
        assert cost.usd == price.usd * (100 + 900 * Decimal(factor)) / 1_000_000
