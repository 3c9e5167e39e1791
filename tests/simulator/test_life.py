"""Starting, closing, counting and logging."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request

import aiohttp
import pytest

from dipeo.testing.simulator import Fault, ProviderSimulator, Reply, SimulatedMessage

from .conftest import RawClient

KEY = "sk-planted-key-0123456789"


async def test_log_tells_what_was_asked(client: RawClient, simulator: ProviderSimulator) -> None:
    """Service, path, model, messages in the vendor's own roles, body and status are logged in order."""
    await client.read("openai", messages=[("developer", "Be kind."), ("user", "Hi")], model="gpt-5")
    await client.read("anthropic", changes={"system": [{"type": "text", "text": "Be kind."}]}, is_stream=True)
    await client.read("openai", key="wrong")
    first, second, third = simulator.requests
    assert (first.number, first.service, first.method, first.path) == (1, "openai", "POST", "/v1/chat/completions")
    assert (first.model, first.is_stream, first.status) == ("gpt-5", False, 200)
    assert first.messages == (
        SimulatedMessage(role="developer", name=None, text="Be kind."),
        SimulatedMessage(role="user", name=None, text="Hi"),
    )
    assert isinstance(first.body, dict)
    assert second.is_stream
    assert second.messages[0] == SimulatedMessage(role="system", name=None, text="Be kind.")
    assert third.status == 401


@pytest.mark.parametrize("service", ["openai", "anthropic", "google"])
async def test_log_holds_no_credential(client: RawClient, simulator: ProviderSimulator, service: str) -> None:
    """The key is nowhere in a logged request, but keys can be told apart."""
    await client.read(service, key=KEY, headers={"cookie": f"session={KEY}", "X-Custom": "kept"})
    await client.read(service, key="sk-another")
    await client.read(service, key=KEY)
    first, second, third = simulator.requests
    assert KEY not in repr(simulator.requests)
    assert first.headers["x-custom"] == "kept"
    assert "***" in first.headers.values()
    assert first.credential_fingerprint == third.credential_fingerprint != second.credential_fingerprint
    await client.read("ollama")
    assert simulator.requests[-1].credential_fingerprint is None


async def test_log_is_bounded() -> None:
    """The oldest entries make room."""
    async with ProviderSimulator(log_capacity=2) as simulator, aiohttp.ClientSession() as session:
        client = RawClient(simulator, session)
        for _ in range(3):
            await client.read("ollama")
        assert [entry.number for entry in simulator.requests] == [2, 3]
    with pytest.raises(ValueError, match="log_capacity"):
        ProviderSimulator(log_capacity=0)


async def test_connections_are_counted(simulator: ProviderSimulator) -> None:
    """Open connections go up and down, their peak stays."""
    simulator.script("openai", *(Fault.hang() for _ in range(3)))
    async with aiohttp.ClientSession() as session:
        calls = [asyncio.create_task(RawClient(simulator, session).read("openai")) for _ in range(3)]
        async with asyncio.timeout(2):
            while simulator.open_connections < 3:
                await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    async with asyncio.timeout(2):
        while simulator.open_connections:
            await asyncio.sleep(0.01)
    assert simulator.peak_connections == 3


async def test_script_refuses_what_it_cannot_play(simulator: ProviderSimulator) -> None:
    """Unknown services and things that are no answers are mistakes of the test."""
    with pytest.raises(ValueError, match="unknown service 'azure'"):
        simulator.script("azure", Reply("x"))
    with pytest.raises(TypeError, match="Reply or a Fault"):
        simulator.script("openai", "x")  # type: ignore[arg-type]


async def test_simulator_has_no_address_before_it_starts() -> None:
    """Using it too early, or starting it twice, is an error that says so."""
    simulator = ProviderSimulator()
    with pytest.raises(RuntimeError, match="started"):
        _ = simulator.base_urls
    async with simulator:
        assert "port=" in repr(simulator)
        with pytest.raises(RuntimeError, match="already"):
            await simulator.start()
    assert "closed" in repr(simulator)
    await simulator.aclose()


async def test_taken_port_is_an_os_error(simulator: ProviderSimulator) -> None:
    """A port that somebody else has cannot be had, on either kind of loop."""
    with pytest.raises(OSError, match="address"):
        await ProviderSimulator(port=simulator.port).start()
    with pytest.raises(OSError, match="address"), ProviderSimulator(port=simulator.port):
        pytest.fail("entered a simulator that cannot listen")


async def test_clients_that_leave_early_disturb_nobody(
    client: RawClient, simulator: ProviderSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that is left in the middle ends quietly, and the next call is answered."""
    simulator.script("openai", *(Reply("word " * 2000, chunk_delay_s=delay_s) for delay_s in (0.0, 0.001, 0.01)))
    for _ in range(3):
        async with client.ask("openai", is_stream=True) as response:
            await response.content.readany()
    async with asyncio.timeout(2):
        while simulator.open_connections:
            await asyncio.sleep(0.01)
    assert (await client.read("openai")).status == 200
    assert caplog.records == []


def test_thread_mode_answers_and_ends() -> None:
    """`with` runs the server on its own thread, which is gone afterwards, even with a call hanging."""
    others = set(threading.enumerate())
    with ProviderSimulator(seed=1) as simulator:
        with urllib.request.urlopen(f"{simulator.base_urls['ollama']}/api/version", timeout=5) as response:
            assert response.status == 200
        simulator.script("ollama", Fault.hang())
        request = urllib.request.Request(
            f"{simulator.base_urls['ollama']}/api/chat",
            data=b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}',
        )
        errors: list[BaseException] = []

        def call() -> None:
            try:
                urllib.request.urlopen(request, timeout=10)
            except OSError as error:
                errors.append(error)

        caller = threading.Thread(target=call)
        caller.start()
        deadline = time.monotonic() + 5
        while len(simulator.requests) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 1.5
    caller.join(5)
    assert errors
    left = set(threading.enumerate()) - others
    assert not any(thread.name == "provider-simulator" for thread in left)


async def test_one_simulator_can_live_twice() -> None:
    """After closing it may be started again; log and script go on."""
    simulator = ProviderSimulator(seed=2)
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with simulator:
                assert (await RawClient(simulator, session).read("ollama")).status == 200
    assert [entry.number for entry in simulator.requests] == [1, 2]
