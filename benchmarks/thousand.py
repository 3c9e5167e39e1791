"""A thousand calls of half a second at once: how long they take together and how much memory, against bare aiohttp.

Each contender runs in a fresh process against one server in another; the time is the best of the rounds, because what
else the machine does can only add to it.
"""

import argparse
import asyncio
import multiprocessing
import resource
import statistics
import time
from collections.abc import Awaitable, Callable

from benchmarks.canned_server import canned_server

MODEL = "gpt-5.4-mini"
MESSAGES = [{"role": "user", "content": "What should a thinking machine be allowed to decide?"}]

Contender = Callable[[str, int], Awaitable[None]]


async def bare_aiohttp(base_url: str, calls: int) -> None:
    import aiohttp

    body = {"model": MODEL, "messages": MESSAGES}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-bench"}, connector=connector) as session:

        async def call() -> str:
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                return str((await response.json())["choices"][0]["message"]["content"])

        assert len(set(await asyncio.gather(*(call() for _ in range(calls))))) == 1


async def with_dipeo(base_url: str, calls: int) -> None:
    import dipeo
    from dipeo.domain.service import LLMService

    settings = dipeo.Settings(base_urls={LLMService.OPENAI: base_url}, environ={"OPENAI_API_KEY": "sk-bench"})
    async with dipeo.connect(settings) as llm:

        async def call() -> str:
            return (await llm.complete(MESSAGES, MODEL)).text

        assert len(set(await asyncio.gather(*(call() for _ in range(calls))))) == 1


CONTENDERS: dict[str, Contender] = {"bare aiohttp": bare_aiohttp, "dipeo": with_dipeo}


def run(name: str, base_url: str, calls: int) -> tuple[float, float]:
    """Seconds that all calls took together, after the first few, and the most memory (MB) that the process held."""

    async def timed() -> float:
        await CONTENDERS[name](base_url, 2)  # imports, and what is made once
        began_s = time.perf_counter()
        await CONTENDERS[name](base_url, calls)
        return time.perf_counter() - began_s

    took_s = asyncio.run(timed())
    return took_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    with canned_server(delay_s=0.5) as base_url:
        for _ in range(options.rounds):
            for name in CONTENDERS:
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    measured[name].append(process.apply(run, (name, base_url, options.calls)))
    print(f"{options.calls} calls of 0.5 s at once, best of {options.rounds}; goals for dipeo: 1.0 s, 60 MB")
    for name, rounds in measured.items():
        seconds = min(took_s for took_s, _ in rounds)
        print(f"  {name:14} {seconds:5.2f} s {statistics.median(size for _, size in rounds):6.1f} MB")


if __name__ == "__main__":
    main()
