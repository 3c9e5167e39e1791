"""Calls over a wire that answers at once from memory, one after the other; run by `benchmarks.layer`.

`python -m benchmarks.layer_calls` prints a line for each round: the microseconds of the layer, and of its JSON.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import dipeo
from benchmarks.canned_server import ANSWER
from dipeo.domain.json_value import JsonObject
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream

MODEL = "gpt-5.4-mini"
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What should a thinking machine be allowed to decide?"},
]
ROUNDS = 9
CALLS = 2_000


class StubWire(Wire):
    """Answers at once from memory: what remains is dipeo."""

    def __init__(self, answer: JsonObject) -> None:
        self._reply = WireReply(status=200, headers={"x-request-id": "req_bench"}, json=answer)

    async def send(self, exchange: WireRequest) -> WireReply:
        return self._reply

    async def stream(self, exchange: WireRequest) -> WireStream:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


async def exchange_json() -> object:
    """Writes and reads with `json` what such a call sends and gets: a measure of the machine."""
    json.dumps({"model": MODEL, "messages": MESSAGES})
    return json.loads(ANSWER)["choices"][0]["message"]["content"]


async def best_tenth_us(call: Callable[[], Awaitable[object]]) -> float:
    """The wall time in microseconds that the fastest tenth of single calls stays within: what nobody disturbed."""
    taken_ns: list[int] = []
    for _ in range(CALLS):
        before_ns = time.perf_counter_ns()
        await call()
        taken_ns.append(time.perf_counter_ns() - before_ns)
    return sorted(taken_ns)[CALLS // 10] / 1e3


async def main() -> None:
    settings = dipeo.Settings(base_urls={LLMService.OPENAI: "http://127.0.0.1:1"}, environ={"OPENAI_API_KEY": "sk-x"})
    stub = StubWire(json.loads(ANSWER))
    async with dipeo.connect(settings, open_wire=lambda _endpoint, _credentials: stub) as llm:
        assert (await llm.complete(MESSAGES, MODEL)).text == await exchange_json()
        for _ in range(ROUNDS):
            print(await best_tenth_us(lambda: llm.complete(MESSAGES, MODEL)), await best_tenth_us(exchange_json))


if __name__ == "__main__":
    asyncio.run(main())
