"""What the end of the service means to those who use it, and to the process."""

import asyncio
import concurrent.futures
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import dipeo
from dipeo import LLMServicePort, Settings, errors
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.drivers.pool import CLOSE_GRACE_S
from dipeo.testing import FakeLedger, Fault, ProviderSimulator, Reply
from tests.end_to_end.test_leaving import gone_within
from tests.end_to_end.test_services import HELLO


async def begun(call: "asyncio.Task[dipeo.Completion]", simulator: ProviderSimulator) -> None:
    """Waits until the server has seen the call."""
    async with asyncio.timeout(2):
        while not simulator.requests and not call.done():
            await asyncio.sleep(0.005)


async def test_a_call_that_ends_within_the_grace_is_answered(simulator: ProviderSimulator, settings: Settings) -> None:
    """Closing waits for calls and streams that are about to end, and for no longer than they need."""
    simulator.script("openai", Reply("one two", delay_s=0.1), Reply("one two", chunk_delay_s=0.1))
    async with dipeo.connect(settings) as llm:
        call = asyncio.ensure_future(llm.complete(HELLO, "openai"))
        stream = asyncio.ensure_future(llm.stream(HELLO, "openai").collect())
        await begun(call, simulator)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < CLOSE_GRACE_S
    assert [(await each).text for each in (call, stream)] == ["one two", "one two"]
    assert await gone_within(simulator) < 0.1


async def test_a_call_that_outlasts_the_grace_is_told(simulator: ProviderSimulator, settings: Settings) -> None:
    """A call whose connection is closed under it ends at once, with an error of ours and no cancellation."""
    simulator.script("openai", Fault.hang())
    ledger = FakeLedger()
    async with dipeo.connect(settings, ledger=ledger) as llm:
        call = asyncio.ensure_future(llm.complete(HELLO, "openai"))
        await begun(call, simulator)
        began_s = time.monotonic()
    with pytest.raises(errors.ConnectionLostError):
        async with asyncio.timeout(0.5):
            await call
    assert CLOSE_GRACE_S - 0.1 <= time.monotonic() - began_s < CLOSE_GRACE_S + 0.5
    assert [attempt.verdict for attempt in ledger.recorded] == [Verdict.CONNECTION_LOST]
    assert await gone_within(simulator) < 0.1


async def test_a_closed_service_refuses(simulator: ProviderSimulator, settings: Settings) -> None:
    """After its block a service refuses calls and streams, at once, and nothing reaches a server."""
    async with dipeo.connect(settings) as llm:
        kept: LLMServicePort = llm
    with pytest.raises(errors.ServiceClosedError):
        await kept.complete(HELLO, "openai")
    with pytest.raises(errors.ServiceClosedError):
        await kept.stream(HELLO, "openai").collect()
    assert simulator.requests == ()


_UNTIDY = """
import asyncio, time
import dipeo
from dipeo.facade import wired
from dipeo.testing import FakeKeys, ProviderSimulator, Reply

HELLO = [{"role": "user", "content": "Hello"}]
slow = Reply("one two three", chunk_delay_s=5.0)

async def main(base_urls):
    llm = wired(dipeo.Settings(base_urls=base_urls), keys=FakeKeys()).service()
    await llm.complete(HELLO, "openai")
    cancelled = asyncio.ensure_future(llm.complete(HELLO, "claude"))
    await asyncio.sleep(0.1)
    cancelled.cancel()
    still_running = asyncio.ensure_future(llm.complete(HELLO, "claude"))
    left = llm.stream(HELLO, "openai")
    await anext(left)
    await left.aclose()
    never_read = llm.stream(HELLO, "openai")
    await asyncio.sleep(0.1)

with ProviderSimulator() as simulator:
    simulator.script("openai", Reply("Hi."), slow)
    simulator.script("anthropic", Reply("Hi.", delay_s=5.0), Reply("Hi.", delay_s=5.0))
    asyncio.run(main(simulator.base_urls))
    asyncio.run(main(simulator.base_urls))
    time.sleep(0.1)
    assert simulator.open_connections == 0
print("done")
"""


def test_an_untidy_program_ends_in_silence() -> None:
    """Nobody closes anything, calls are cancelled or still running: no connection stays, and nothing complains."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "always", "-c", _UNTIDY],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


async def test_a_stream_that_outlasts_the_grace_is_told(simulator: ProviderSimulator, settings: Settings) -> None:
    """A reader whose connection is closed under them is told at once and need not wait for their deadline."""
    simulator.script("openai", Fault.hang(after_chunks=2))
    async with dipeo.connect(settings) as llm:
        reader = asyncio.ensure_future(llm.stream(HELLO, "openai").collect())
        while not simulator.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        began_s = time.monotonic()
    try:
        assert time.monotonic() - began_s < CLOSE_GRACE_S + 0.5, "closing waited for the grace twice"
        done, _ = await asyncio.wait([reader], timeout=0.5)
        assert done, "the reader still waits"
        assert isinstance(reader.exception(), errors.IncompleteStreamError)
    finally:
        reader.cancel()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_closing_while_a_name_is_looked_up_is_no_cancellation(is_stream: bool) -> None:
    """Closing cancels the look-up of the HTTP client; the caller, whom nobody cancelled, is told what happened."""
    resolver = concurrent.futures.ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(resolver)
    resolver.submit(time.sleep, 1.5)  # a slow resolver
    settings = Settings(base_urls={"openai_compatible": "http://localhost:9/v1"})
    async with dipeo.connect(settings) as llm:
        ask: Callable[[], object] = lambda: (  # noqa: E731
            llm.stream(HELLO, "any", service="openai_compatible").collect()
            if is_stream
            else llm.complete(HELLO, "any", service="openai_compatible")
        )
        call = asyncio.ensure_future(ask())  # type: ignore[call-overload]
        await asyncio.sleep(0.05)
    await asyncio.wait([call])
    assert not call.cancelled()
    assert isinstance(call.exception(), errors.DipeoError | errors.DipeoUsageError)
