"""One contender makes many calls at once; run by `benchmarks.thousand`, in a process that holds nothing else.

`python -m benchmarks.thousand_calls NAME BASE_URL CALLS` prints the seconds that all calls took together, after the
first few, and the most memory (MB) that the process held.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.abc import MetaPathFinder

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


class AsInABaseInstall(MetaPathFinder):
    """Hides pydantic: dependency-injector loads it where it finds it, and only the SDKs bring it along."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        if name == "pydantic":
            raise ModuleNotFoundError(name)


async def timed(contender: Contender, base_url: str, calls: int) -> float:
    """Seconds for all calls together."""
    await contender(base_url, 2)  # imports, and what is made once
    began_s = time.perf_counter()
    await contender(base_url, calls)
    return time.perf_counter() - began_s


if __name__ == "__main__":
    sys.meta_path.insert(0, AsInABaseInstall())
    took_s = asyncio.run(timed(CONTENDERS[sys.argv[1]], sys.argv[2], int(sys.argv[3])))
    print(took_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
