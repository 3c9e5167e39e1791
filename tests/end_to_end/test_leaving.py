"""Whoever leaves a call, in whatever way, leaves no connection behind, and at once."""

import asyncio
import contextlib
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence

import pytest

import dipeo
from dipeo import CompletionStream, LLMService, LLMServicePort, Settings, TextDelta
from dipeo.domain.verdict import Verdict
from dipeo.testing import FakeLedger, Fault, ProviderSimulator, Reply
from tests.end_to_end.test_services import HELLO, MODELS, each_dialect

READERS = 20
BOUND_S = 0.1
LONG = Reply("one two three four five six seven eight", chunk_delay_s=1.0)
LATE = Reply("Too late.", delay_s=5.0)


async def breaks(stream: CompletionStream) -> None:
    """Leaves the loop and the block."""
    async with stream:
        async for _ in stream.text():
            break


async def abandons(stream: CompletionStream) -> None:
    """Leaves the loop, has no block, and forgets the stream."""
    async for _ in stream.text():
        break


async def closes(stream: CompletionStream) -> None:
    """Reads one event and closes."""
    await anext(stream)
    await stream.aclose()


async def fails(stream: CompletionStream) -> None:
    """Trips over the first piece."""
    with contextlib.suppress(ZeroDivisionError):
        async with stream:
            async for _ in stream.text():
                _ = 1 / 0


async def gone_within(simulator: ProviderSimulator) -> float:
    """How long it takes until the server has no connection, in seconds; fails after two."""
    began_s = time.perf_counter()
    async with asyncio.timeout(2):
        while simulator.open_connections:
            await asyncio.sleep(0.001)
    return time.perf_counter() - began_s


async def only_tasks(count: int) -> None:
    """Waits until no more tasks are left than that; the server's own, on the same loop, end a few turns later."""
    async with asyncio.timeout(2):
        while len(asyncio.all_tasks()) > count:
            await asyncio.sleep(0.005)


async def cancelled(calls: Sequence[Awaitable[object]], simulator: ProviderSimulator) -> None:
    """Cancels all of these calls once the server has them; each sees its own cancellation."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    async with asyncio.timeout(2):
        while simulator.open_connections < len(tasks):
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)


@each_dialect
@pytest.mark.parametrize("leaves", [breaks, abandons, closes, fails], ids=lambda way: way.__name__)
async def test_a_stream_that_is_left_has_no_connection_a_moment_later(
    service: LLMService,
    leaves: Callable[[CompletionStream], Awaitable[None]],
    simulator: ProviderSimulator,
    settings: Settings,
) -> None:
    """However twenty readers leave after the first piece, the server sees all connections end within 100 ms."""
    simulator.script(service.value, *[LONG] * READERS)
    ledger = FakeLedger()
    tasks_before = len(asyncio.all_tasks())
    async with dipeo.connect(settings, ledger=ledger) as llm:
        with warnings.catch_warnings():
            # Whoever abandons a stream is told so; what is shown here is that its connection ends all the same.
            warnings.simplefilter("ignore", ResourceWarning)
            await asyncio.gather(*(leaves(llm.stream(HELLO, MODELS[service], service=service)) for _ in range(READERS)))
        assert await gone_within(simulator) < BOUND_S
        await only_tasks(tasks_before)
    assert [attempt.verdict for attempt in ledger.recorded] == [Verdict.CANCELLED] * READERS
    assert simulator.peak_connections == READERS


@each_dialect
@pytest.mark.parametrize("reply", [LONG, LATE], ids=["after the first piece", "before the first piece"])
async def test_a_stream_that_is_cancelled_has_no_connection_a_moment_later(
    service: LLMService, reply: Reply, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Cancelled while they wait for the first piece or for the next, twenty readers leave nothing after 100 ms."""
    simulator.script(service.value, *[reply] * READERS)
    async with dipeo.connect(settings) as llm:
        streams = [llm.stream(HELLO, MODELS[service], service=service) for _ in range(READERS)]
        await cancelled([stream.collect() for stream in streams], simulator)
        assert await gone_within(simulator) < BOUND_S


@each_dialect
async def test_a_call_that_is_cancelled_has_no_connection_a_moment_later(
    service: LLMService, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Twenty callers who are cancelled while they wait for the answer leave nothing after 100 ms."""
    simulator.script(service.value, *[LATE] * READERS)
    async with dipeo.connect(settings) as llm:
        calls = [llm.complete(HELLO, MODELS[service], service=service) for _ in range(READERS)]
        await cancelled(calls, simulator)
        assert await gone_within(simulator) < BOUND_S


async def test_five_hundred_streams_are_open_at_once_and_are_left_at_once(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """Each has had its first piece while all others are open; when all leave, nothing stays."""
    simulator.script("openai", *[Fault.hang(after_chunks=1)] * 500)
    tasks_before = len(asyncio.all_tasks())
    async with dipeo.connect(settings) as llm:
        streams = [llm.stream(HELLO, "gpt-5.4-mini") for _ in range(500)]
        events = await asyncio.gather(*(anext(stream) for stream in streams))
        assert all(isinstance(event, TextDelta) for event in events)
        assert simulator.open_connections == simulator.peak_connections == 500
        await asyncio.gather(*(stream.aclose() for stream in streams))
        await gone_within(simulator)
        await only_tasks(tasks_before)


async def test_whoever_left_holds_up_nobody_else(simulator: ProviderSimulator, settings: Settings) -> None:
    """Half of the readers leave, the other half read on, over the same adapter, and miss nothing."""
    simulator.script("openai", *[Reply("one two three", chunk_delay_s=0.05)] * READERS)

    async def read(llm: LLMServicePort, *, is_patient: bool) -> str:
        stream = llm.stream(HELLO, "gpt-5.4-mini")
        if not is_patient:
            await breaks(stream)
            return ""
        return (await stream.collect()).text

    async with dipeo.connect(settings) as llm:
        heard = await asyncio.gather(*(read(llm, is_patient=number % 2 == 0) for number in range(READERS)))
    assert heard == ["one two three", ""] * (READERS // 2)
