"""A model calls two functions, one after asking for approval, and answers with what they gave back.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import dipeo
from dipeo.testing import FakeKeys, ProviderSimulator, Reply
from dipeo.testing.simulator import SimulatedToolCall
from dipeo.tools import Denied, PendingCall, ToolEnded, ToolError, ToolLoop, tool

STOCK = {"red": 3, "blue": 0}


@tool
def in_stock(colour: Literal["red", "blue"]) -> int:
    """How many boats are in stock.

    Args:
        colour: The colour of the boats.
    """
    return STOCK[colour]


@tool(needs_approval=True, runs_alone=True, timeout_s=5)
async def order(colour: Literal["red", "blue"], count: int = 1) -> dict[str, int]:
    """Orders boats."""
    if count > STOCK[colour]:
        raise ToolError(f"There are only {STOCK[colour]} in {colour}.")
    STOCK[colour] -= count
    return {"ordered": count}


def approve(call: PendingCall) -> bool | Denied:
    """Lets orders of up to two boats through; whatever needs no approval may always be done."""
    if not call.tool.needs_approval:
        return True
    count = call.part.arguments.get("count", 1)
    return True if isinstance(count, int) and count <= 2 else Denied("Two boats at most.")


@asynccontextmanager
async def simulated() -> AsyncIterator[dipeo.LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        simulator.script(
            "anthropic",
            Reply(
                tool_calls=(
                    SimulatedToolCall("in_stock", {"colour": "red"}),
                    SimulatedToolCall("in_stock", {"colour": "blue"}),
                )
            ),
            Reply(tool_calls=(SimulatedToolCall("order", {"colour": "red", "count": 9}),)),
            Reply(tool_calls=(SimulatedToolCall("order", {"colour": "red", "count": 2}),)),
            Reply("Two red boats are ordered; there was no blue one."),
        )
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Prints what each tool was asked and gave back, and the answer."""
    wish = [{"role": "user", "content": "Order me some boats, please."}]
    async with simulated() as llm:
        loop = ToolLoop(llm, [in_stock, order], approve=approve)
        async with loop.stream(wish, "claude") as run:
            async for event in run:
                if isinstance(event, ToolEnded):
                    call = event.call
                    print(f"{call.name} {dict(call.part.arguments)}: {call.ending} -> {call.result.content}")
    outcome = run.outcome
    print(outcome.text)
    print(f"-- {outcome.ending} after {len(outcome.completions)} answers, {outcome.usage.total_tokens} tokens")


if __name__ == "__main__":
    asyncio.run(main())
