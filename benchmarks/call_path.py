"""CPU and Python calls per call: bare aiohttp, dipeo, and the official SDK, interleaved in one run.

CPU is this process's own, so that waiting for a busy machine does not count. Trust the counts, then the ratios within
a round; absolute times depend on the machine and on what else it does.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp
import openai
import orjson

import dipeo
from benchmarks.canned_server import ANSWER, STREAM_CHUNKS, canned_server
from benchmarks.layer_calls import MESSAGES, MODEL, StubWire, exchange_json
from benchmarks.python_calls import python_calls
from dipeo.domain.service import LLMService

Call = Callable[[], Awaitable[object]]


async def cpu_us(call: Call, *, calls: int, concurrency: int) -> float:
    """CPU microseconds of this process per call."""

    async def worker() -> None:
        for _ in range(calls // concurrency):
            await call()

    before = time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return (time.process_time() - before) / (calls // concurrency * concurrency) * 1e6


async def measure(base_url: str, *, rounds: int, calls: int, concurrency: int) -> None:
    settings = dipeo.Settings(base_urls={LLMService.OPENAI: base_url}, environ={"OPENAI_API_KEY": "sk-bench"})
    stub = StubWire(json.loads(ANSWER))
    async with (
        dipeo.connect(settings) as llm,
        dipeo.connect(settings, open_wire=lambda _endpoint, _credentials: stub) as stubbed,
        aiohttp.ClientSession(headers={"Authorization": "Bearer sk-bench"}) as session,
        openai.AsyncOpenAI(api_key="sk-bench", base_url=base_url, max_retries=0) as sdk,
    ):
        body = {"model": MODEL, "messages": MESSAGES}

        async def bare() -> object:
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        async def ours() -> object:
            return (await llm.complete(MESSAGES, MODEL)).text

        async def layer() -> object:
            return (await stubbed.complete(MESSAGES, MODEL)).text

        async def official() -> object:
            answer = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES)  # type: ignore[arg-type]
            return answer.choices[0].message.content

        async def bare_stream() -> object:
            pieces = []
            async with session.post(f"{base_url}/chat/completions", json={**body, "stream": True}) as response:
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        event = orjson.loads(line[6:])
                        pieces.append(event["choices"][0]["delta"].get("content") or "")
            return "".join(pieces)

        async def our_stream() -> object:
            return (await llm.stream(MESSAGES, MODEL).collect()).text

        async def official_stream() -> object:
            stream = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)  # type: ignore[arg-type]
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])  # type: ignore[union-attr]

        unary: dict[str, Call] = {
            "bare aiohttp": bare,
            "dipeo": ours,
            "dipeo, stub wire": layer,
            "its JSON, json": exchange_json,
            "openai SDK": official,
        }
        streams: dict[str, Call] = {"bare aiohttp": bare_stream, "dipeo": our_stream, "openai SDK": official_stream}
        assert len({await call() for call in unary.values()}) == 1, "the contenders disagree on the answer"
        assert len({await call() for call in streams.values()}) == 1, "the contenders disagree on the stream"

        print(f"unary, {concurrency} concurrent, {rounds} rounds of {calls} calls, interleaved")
        print("  goals for dipeo: 1.2 x aiohttp, 400 Python calls, 150 own; tests gate the counts, which are exact")
        await report(unary, rounds=rounds, calls=calls, concurrency=concurrency, divisor=1)
        print(f"\nstreams of {STREAM_CHUNKS} chunks, 5 concurrent, per chunk; goal for dipeo: 20 us")
        await report(streams, rounds=rounds, calls=max(calls // 20, 10), concurrency=5, divisor=STREAM_CHUNKS)


async def report(calls_by_name: dict[str, Call], *, rounds: int, calls: int, concurrency: int, divisor: int) -> None:
    measured: dict[str, list[float]] = {name: [] for name in calls_by_name}
    for _ in range(rounds):
        for name, call in calls_by_name.items():
            measured[name].append(await cpu_us(call, calls=calls, concurrency=concurrency) / divisor)
    floors = measured["bare aiohttp"]
    print(f"  {'':18} {'CPU us':>9} {'x aiohttp':>10} {'Python calls':>13} {'own':>6}")
    for name, call in calls_by_name.items():
        total, own = await python_calls(call)
        ratio = statistics.median(each / floor for each, floor in zip(measured[name], floors, strict=True))
        print(
            f"  {name:18} {statistics.median(measured[name]):9.1f} {ratio:10.2f}"
            f" {total / divisor:13.1f} {own / divisor:6.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=50)
    options = parser.parse_args()
    with canned_server() as base_url:
        asyncio.run(measure(base_url, rounds=options.rounds, calls=options.calls, concurrency=options.concurrency))


if __name__ == "__main__":
    main()
