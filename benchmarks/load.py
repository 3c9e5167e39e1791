"""Many calls: mixed ones on one loop, a thousand at once, one loop after another, and loops in threads.

`python -m benchmarks.load` runs the last three and prints how long they take.
"""

import argparse
import asyncio
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final

from attrs import define, field

import dipeo
from dipeo import errors
from dipeo.container.root import Container
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.service import LLMService
from dipeo.facade import wired
from dipeo.testing import ProviderSimulator, Reply

MODELS: Final = {
    LLMService.OPENAI: "gpt-5.4-mini",
    LLMService.ANTHROPIC: "claude-sonnet-5-5",
    LLMService.GOOGLE: "gemini-3.5-flash",
    LLMService.OLLAMA: "llama3.2:3b",
}
"""One model for each dialect."""

MESSAGES: Final = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What should a thinking machine be allowed to decide?"},
]
KEYS: Final = {f"{name}_API_KEY": "sk-load" for name in ("OPENAI", "ANTHROPIC", "GEMINI")}

_CANCELLED_SHARE: Final = 0.10
_LATEST_CANCELLATION_S: Final = 0.03
_LEFT_EARLY_SHARE: Final = 0.2
_START_TIMEOUT_S: Final = 20.0


def settings_for(base_urls: Mapping[str, str]) -> dipeo.Settings:
    """Settings that point every service at a simulator."""
    return dipeo.Settings(base_urls=base_urls, environ=KEYS)


class RemoteSimulator:
    """A simulator in another process, asked over a pipe."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        if not line.poll(_START_TIMEOUT_S):
            raise RuntimeError("the simulator's process did not start")
        self.base_urls: Mapping[str, str] = line.recv()

    @property
    def open_connections(self) -> int:
        """How many client connections are open now."""
        self._line.send("open connections?")
        return int(self._line.recv())


def _simulate(line: Connection, seed: int) -> None:
    with ProviderSimulator(seed=seed, log_capacity=100) as simulator:
        line.send(dict(simulator.base_urls))
        while True:
            try:
                line.recv()
            except EOFError:  # whoever asked is gone
                return
            line.send(simulator.open_connections)


@contextmanager
def simulator_process(*, seed: int = 0) -> Iterator[RemoteSimulator]:
    """A simulator whose memory, threads and descriptors are not this process's."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_simulate, args=(theirs, seed), daemon=True)
    process.start()
    theirs.close()
    try:
        yield RemoteSimulator(ours)
    finally:
        ours.close()
        process.join(5)
        if process.is_alive():
            process.terminate()
            process.join(5)
        process.close()


@define
class Tally:
    """How calls ended."""

    answered: int = 0
    left_early: int = 0
    cancelled: int = 0
    failed: list[str] = field(factory=list)

    @property
    def total(self) -> int:
        """All calls."""
        return self.answered + self.left_early + self.cancelled + len(self.failed)


class MixedCalls:
    """Unary calls and streams in four dialects; one in ten is cancelled, one stream in five is left early.

    What becomes of a call is decided by the seed and the call's number alone.
    """

    def __init__(self, llm: LLMServicePort, *, seed: int) -> None:
        self._llm = llm
        self._seed = seed
        self._begun = 0
        self.tally = Tally()

    async def run(self, calls: int, *, concurrency: int) -> None:
        """Makes so many calls more, so many of them at a time."""
        end = self._begun + calls

        async def worker() -> None:
            while self._begun < end:
                self._begun += 1
                await self._one(random.Random(f"{self._seed}/{self._begun}"))

        await asyncio.gather(*(worker() for _ in range(concurrency)))

    async def _one(self, chance: random.Random) -> None:
        service = chance.choice(list(MODELS))
        work = self._streamed(service, chance) if chance.random() < 0.5 else self._unary(service)
        task = asyncio.ensure_future(work)
        is_to_be_cancelled = chance.random() < _CANCELLED_SHARE
        moment_s = chance.uniform(0, _LATEST_CANCELLATION_S)
        timer = asyncio.get_running_loop().call_later(moment_s, task.cancel) if is_to_be_cancelled else None
        try:
            await task
        except asyncio.CancelledError:
            if not is_to_be_cancelled:
                raise
            self.tally.cancelled += 1
        except errors.DipeoError as error:
            self.tally.failed.append(repr(error))
        finally:
            if timer is not None:
                timer.cancel()

    async def _unary(self, service: LLMService) -> None:
        completion = await self._llm.complete(MESSAGES, MODELS[service], service=service)
        self._count(completion.text)

    async def _streamed(self, service: LLMService, chance: random.Random) -> None:
        events_wanted = chance.randint(1, 4) if chance.random() < _LEFT_EARLY_SHARE else None
        async with self._llm.stream(MESSAGES, MODELS[service], service=service) as stream:
            if events_wanted is None:
                self._count((await stream.collect()).text)
                return
            for _ in range(events_wanted):
                await anext(stream)
        self.tally.left_early += 1

    def _count(self, text: str) -> None:
        if text:
            self.tally.answered += 1
        else:
            self.tally.failed.append("an empty answer")


def one_loop_after_another(container: Container, loops: int) -> Tally:
    """A call in an `asyncio.run` of its own, again and again, with one container for all."""
    tally = Tally()
    dialects = list(MODELS.items())

    async def call(service: LLMService, model: str) -> str:
        return (await container.service().complete(MESSAGES, model, service=service)).text

    for index in range(loops):
        try:
            text = asyncio.run(call(*dialects[index % len(dialects)]))
        except errors.DipeoError as error:
            tally.failed.append(repr(error))
        else:
            tally.answered += bool(text)
    return tally


def loops_in_threads(container: Container, *, threads: int, calls_each: int, concurrency: int = 8) -> Tally:
    """Mixed calls from several threads, each with a loop of its own, with one container for all."""
    mixed = [MixedCalls(container.service(), seed=index) for index in range(threads)]
    workers = [
        threading.Thread(target=lambda each=each: asyncio.run(each.run(calls_each, concurrency=concurrency)))
        for each in mixed
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    tallies = [each.tally for each in mixed]
    return Tally(
        answered=sum(tally.answered for tally in tallies),
        left_early=sum(tally.left_early for tally in tallies),
        cancelled=sum(tally.cancelled for tally in tallies),
        failed=[failure for tally in tallies for failure in tally.failed],
    )


async def all_at_once(llm: LLMServicePort, calls: int) -> Tally:
    """So many calls of one service, begun in the same moment."""
    tally = Tally()
    service = LLMService.OPENAI
    outcomes = await asyncio.gather(
        *(llm.complete(MESSAGES, MODELS[service], service=service) for _ in range(calls)), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, dipeo.Completion) and outcome.text:
            tally.answered += 1
        else:
            tally.failed.append(repr(outcome))
    return tally


async def slow_calls_at_once(simulator: ProviderSimulator, *, calls: int, delay_s: float) -> tuple[Tally, float]:
    """Calls that each take `delay_s`, all at once; how they ended and how long (s) all of them took together."""
    simulator.script(LLMService.OPENAI.value, *[Reply("At last.", delay_s=delay_s)] * calls)
    async with dipeo.connect(settings_for(simulator.base_urls)) as llm:
        began = time.monotonic()
        tally = await all_at_once(llm, calls)
        return tally, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--delay-s", type=float, default=0.5)
    options = parser.parse_args()
    with ProviderSimulator(seed=7) as simulator:
        tally, took_s = asyncio.run(slow_calls_at_once(simulator, calls=options.calls, delay_s=options.delay_s))
        print(f"{options.calls} calls of {options.delay_s} s at once: {took_s:.2f} s, {tally}")
        print(f"  connections at once, at most: {simulator.peak_connections}")
        container = wired(settings_for(simulator.base_urls))
        began = time.monotonic()
        tally = one_loop_after_another(container, options.loops)
        print(f"{options.loops} loops one after another: {time.monotonic() - began:.2f} s, {tally}")
        began = time.monotonic()
        tally = loops_in_threads(container, threads=options.threads, calls_each=options.calls // options.threads)
        print(f"{options.threads} threads with loops of their own: {time.monotonic() - began:.2f} s, {tally}")


if __name__ == "__main__":
    main()
