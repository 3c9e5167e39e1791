"""What counts as progress, how late a call may be, and how often it is made."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Unpack

import pytest
from attrs import evolve

import dipeo
from dipeo import Completion, LLMService, LLMServicePort, Settings, errors
from dipeo.domain.completion import CompletionOptions
from dipeo.testing import FakeLedger, Fault, ManualClock, ProviderSimulator, Reply
from tests.end_to_end.conftest import ENVIRON
from tests.end_to_end.test_services import HELLO, MODELS, each_dialect

LATENESS_S = 0.05
TRIES = 3

KEEP_ALIVES = {
    LLMService.OPENAI: b": still here\n\n",
    LLMService.OPENROUTER: b": OPENROUTER PROCESSING\n\n",
    LLMService.ANTHROPIC: b'event: ping\ndata: {"type": "ping"}\n\n',
    LLMService.GOOGLE: b": still here\n\n",
    LLMService.OLLAMA: b"\n",
}
"""What each provider sends, or might, while it has nothing to say."""

_OPENAI_WORD = b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Well"}}]}\n\n'
WORDS = {
    LLMService.OPENAI: _OPENAI_WORD,
    LLMService.OPENROUTER: _OPENAI_WORD,
    LLMService.ANTHROPIC: b"event: message_start\n"
    b'data: {"type": "message_start", "message": {"id": "1", "model": "m", "usage": {"input_tokens": 1}}}\n\n'
    b"event: content_block_start\n"
    b'data: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}\n\n'
    b"event: content_block_delta\n"
    b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Well"}}\n\n',
    LLMService.GOOGLE: b'data: {"candidates": [{"content": {"role": "model", "parts": [{"text": "Well"}]}}]}\n\n',
    LLMService.OLLAMA: b'{"model": "m", "message": {"role": "assistant", "content": "Well"}, "done": false}\n',
}
"""One word of an answer that goes no further."""

each_keep_alive = pytest.mark.parametrize("service", list(KEEP_ALIVES), ids=str)


@asynccontextmanager
async def dripping(service: LLMService, *, first: bytes = b"") -> AsyncIterator[Settings]:
    """A provider that says its first bytes and then keeps the connection alive; the client has to leave."""
    has_left = asyncio.Event()
    media_type = b"application/x-ndjson" if service is LLMService.OLLAMA else b"text/event-stream"

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + media_type + b"\r\n\r\n" + first)
        with contextlib.suppress(ConnectionError):
            for _ in range(500):
                writer.write(KEEP_ALIVES[service])
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        has_left.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield Settings(base_urls={service: base_url}, environ=ENVIRON, idle_timeout_s=None)
        async with asyncio.timeout(1):
            await has_left.wait()


@each_keep_alive
async def test_keeping_alive_is_no_first_event(service: LLMService) -> None:
    """Before the first word, no provider's way to keep a connection alive counts as an event."""
    async with dripping(service) as settings, dipeo.connect(settings) as llm:
        with pytest.raises(errors.DeadlineExceededError) as caught:
            await llm.stream(HELLO, MODELS[service], service=service, first_token_timeout_s=0.15).collect()
        assert caught.value.context["phase"] == "first_token"


@each_keep_alive
async def test_keeping_alive_is_no_content(service: LLMService) -> None:
    """Between two words it does not count either: the stream is silent, and ends with the word that came."""
    async with dripping(service, first=WORDS[service]) as settings, dipeo.connect(settings) as llm:
        with pytest.raises(errors.IncompleteStreamError) as caught:
            await llm.stream(HELLO, MODELS[service], service=service, idle_timeout_s=0.15).collect()
        assert (caught.value.context["phase"], caught.value.partial_text) == ("idle", "Well")


@each_keep_alive
async def test_keeping_alive_prolongs_no_call(service: LLMService) -> None:
    """Without narrower limits the deadline of the call ends it, however alive the connection is."""
    async with dripping(service, first=WORDS[service]) as settings, dipeo.connect(settings) as llm:
        began_s = time.monotonic()
        with pytest.raises(errors.DeadlineExceededError) as caught:
            await llm.stream(HELLO, MODELS[service], service=service, timeout_s=0.15).collect()
        assert 0.15 <= time.monotonic() - began_s < 1
        assert caught.value.context["phase"] == "total"


async def asked(
    llm: LLMServicePort, service: LLMService, *, is_stream: bool = False, **options: Unpack[CompletionOptions]
) -> Completion:
    """The service's answer, whole or streamed."""
    if is_stream:
        return await llm.stream(HELLO, MODELS[service], service=service, **options).collect()
    return await llm.complete(HELLO, MODELS[service], service=service, **options)


SLOW_FAULTS: Mapping[str, Fault | Reply] = {
    "no answer": Fault.hang(),
    "half an answer": Fault.hang(after_chunks=1),
    "a wait of an hour": Fault(status=429, headers={"retry-after": "3600"}),
    "a wait without end": Fault(status=429, headers={"retry-after": "inf"}),
    "a wait till 2099": Fault(status=503, headers={"retry-after": "Thu, 01 Jan 2099 00:00:00 GMT"}),
    "an overload": Fault(status=503),
    "a slow refusal": Fault(status=500, delay_s=5.0),
    "a slow answer": Reply("Too late.", delay_s=5.0),
    "a drip": Reply("one two three four five six", chunk_delay_s=0.1),
}


@pytest.mark.parametrize("fault", SLOW_FAULTS.values(), ids=SLOW_FAULTS.keys())
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
async def test_no_call_is_later_than_its_deadline(
    fault: Fault | Reply, is_stream: bool, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Whatever takes its time, a call with a deadline of 0.2 s is over 50 ms after it at the latest."""
    simulator.script("openai", *[fault] * TRIES * 3)
    took_s = []
    async with dipeo.connect(settings) as llm:
        await llm.complete(HELLO, "llama3.2:3b")  # what is imported once is no part of the time
        for _ in range(TRIES):
            began_s = time.monotonic()
            with contextlib.suppress(errors.DipeoError):
                await asked(llm, LLMService.OPENAI, is_stream=is_stream, timeout_s=0.2, max_attempts=3)
            took_s.append(time.monotonic() - began_s)
    # The machine may be busy for a moment; dipeo is not.
    assert min(took_s) < 0.2 + LATENESS_S, took_s


FAULTS: Mapping[str, Fault | Reply] = {
    "429": Fault(status=429, headers={"retry-after": "1"}),
    "500": Fault(status=500),
    "503": Fault(status=503),
    "529": Fault(status=529),
    "401": Fault(status=401),
    "404": Fault(status=404),
    "cut": Fault.cut(after_chunks=0),
    "cut later": Fault.cut(after_chunks=1),
    "reset": Fault.cut(after_chunks=0, reset=True),
    "clean end": Fault.clean_end(after_chunks=1),
    "garbage": Fault.garbage(b"<html>"),
    "nothing": Fault.garbage(b""),
    "error event": Fault.error_event(after_chunks=0),
    "empty": Reply(""),
}


@each_dialect
@pytest.mark.parametrize("max_attempts", [1, 3])
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
async def test_what_is_recorded_is_what_the_server_saw(
    service: LLMService, max_attempts: int, is_stream: bool, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Whatever the fault, no more requests reach the server than attempts are allowed, and each has its record."""
    ledger = FakeLedger()
    # Each fault stands for itself: what a breaker or a budget remembers of the one before is shown elsewhere.
    settings = evolve(settings, breaker_failures=0, retry_share=None)
    async with dipeo.connect(settings, ledger=ledger, clock=ManualClock()) as llm:
        for name, fault in FAULTS.items():
            simulator.script(service.value, *[fault] * max_attempts)
            seen, recorded = len(simulator.requests), len(ledger.recorded)
            with pytest.raises(errors.DipeoError) as caught:
                await asked(llm, service, is_stream=is_stream, max_attempts=max_attempts)
            requests = len(simulator.requests) - seen
            assert 1 <= requests <= max_attempts, name
            assert len(ledger.recorded) - recorded == requests == len(caught.value.attempts), name
            # Those that the call did not want are taken by others, which are not counted.
            while simulator.unused:
                with contextlib.suppress(errors.DipeoError):
                    await asked(llm, service, max_attempts=1)


def test_the_first_call_holds_the_loop_no_longer_than_a_moment() -> None:
    """The first call imports an HTTP client, which takes some 100 ms: in a thread, so that the loop goes on."""
    program = (
        "import asyncio, time, dipeo\n"
        "async def main():\n"
        "    longest = 0.0\n"
        "    async def watch():\n"
        "        nonlocal longest\n"
        "        last = time.perf_counter()\n"
        "        while True:\n"
        "            await asyncio.sleep(0)\n"
        "            now = time.perf_counter()\n"
        "            longest, last = max(longest, now - last), now\n"
        "    s = dipeo.Settings(base_urls={'openai_compatible': 'http://127.0.0.1:9'})\n"
        "    async with dipeo.connect(s) as llm:\n"
        "        watching = asyncio.ensure_future(watch())\n"
        "        await asyncio.sleep(0)\n"
        "        try:\n"
        "            await llm.complete([{'role': 'user', 'content': 'Hi'}], 'm', service='openai_compatible',"
        " max_attempts=1)\n"
        "        except dipeo.errors.DipeoError:\n"
        "            pass\n"
        "        watching.cancel()\n"
        "    print(longest * 1000)\n"
        "asyncio.run(main())\n"
    )
    taken_ms = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(taken_ms) < 40, taken_ms
