"""Every form of fault, seen by a plain HTTP client."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest

from dipeo.testing.simulator import Fault, ProviderSimulator, Reply

from .conftest import RawClient

SERVICES = ("openai", "anthropic", "google", "ollama")
MARKERS = {"openai": b"[DONE]", "anthropic": b"message_stop", "google": b"finishReason", "ollama": b'"done":true'}
SIX_WORDS = Reply("one two three four five six")


async def read_into(received: bytearray, response: aiohttp.ClientResponse) -> None:
    """Collect what arrives until the body ends or breaks."""
    async for data in response.content.iter_any():
        received += data


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_status_fault_has_the_vendors_envelope(
    client: RawClient, simulator: ProviderSimulator, service: str, *, is_stream: bool
) -> None:
    """A 429 carries the vendor's words, the given headers and the vendor's request id."""
    simulator.script(service, Fault(status=429, headers={"Retry-After": "2"}))
    reply = await client.read(service, is_stream=is_stream)
    assert reply.status == 429
    assert reply.headers["retry-after"] == "2"
    error = reply.json["error"]
    if service == "openai":
        assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
        assert reply.headers["x-request-id"].startswith("req_")
    elif service == "anthropic":
        assert (reply.json["type"], error["type"]) == ("error", "rate_limit_error")
        assert reply.json["request_id"] == reply.headers["request-id"]
    elif service == "google":
        assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
        assert error["details"][-1]["retryDelay"] == "2s"
    else:
        assert isinstance(error, str)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 413, 422, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("service", [*SERVICES, "xai", "groq", "mistral", "deepseek", "openrouter"])
async def test_every_status_has_an_envelope(
    client: RawClient, simulator: ProviderSimulator, service: str, status: int
) -> None:
    """Whatever the status, the vendor's envelope is a JSON object with words in it."""
    simulator.script(service, Fault(status=status))
    reply = await client.read(service)
    assert reply.status == status
    assert isinstance(reply.json, dict)
    assert reply.json
    assert simulator.requests[-1].status == status


async def test_fault_words_replace_the_vendors(client: RawClient, simulator: ProviderSimulator) -> None:
    """`code` and `message` take the place of the usual words, in every dialect."""
    for service in SERVICES:
        simulator.script(service, Fault(status=429, code="insufficient_quota", message="No more."))
    openai_error = (await client.read("openai")).json["error"]
    assert openai_error == {
        "message": "No more.", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"
    }  # fmt: skip
    assert (await client.read("anthropic")).json["error"] == {"type": "insufficient_quota", "message": "No more."}
    assert (await client.read("google")).json["error"]["status"] == "insufficient_quota"
    assert (await client.read("ollama")).json == {"error": "No more."}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (None, None),
        ({"error": "strange"}, b'{"error":"strange"}'),
        ("<html>bad gateway</html>", b"<html>bad gateway</html>"),
        (b"\xff\x00", b"\xff\x00"),
    ],
)
async def test_fault_body_is_sent_as_given(
    client: RawClient, simulator: ProviderSimulator, body: str | bytes | dict[str, str] | None, sent: bytes | None
) -> None:
    """A body of one's own replaces the envelope; text that looks like HTML is called so."""
    simulator.script("openai", Fault(status=502, body=body))  # type: ignore[arg-type]
    reply = await client.read("openai")
    assert reply.status == 502
    if sent is not None:
        assert reply.body == sent
    assert ("html" in reply.headers["content-type"]) == isinstance(body, str)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("is_reset", [False, True])
async def test_cut_stream_ends_after_some_chunks(
    client: RawClient, simulator: ProviderSimulator, service: str, *, is_reset: bool
) -> None:
    """The text so far arrives, then the connection breaks."""
    simulator.script(service, Fault.cut(after_chunks=2, reset=is_reset, reply=SIX_WORDS))
    received = bytearray()
    async with client.ask(service, is_stream=True) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await read_into(received, response)
    assert b"one" in received
    assert b" two" in received
    assert b" three" not in received
    assert MARKERS[service] not in received


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("is_reset", [False, True])
async def test_cut_unary_body_stays_incomplete(
    client: RawClient, simulator: ProviderSimulator, service: str, *, is_reset: bool
) -> None:
    """The body is shorter than its content-length says."""
    simulator.script(service, Fault.cut(reset=is_reset))
    with pytest.raises(aiohttp.ClientError):
        await client.read(service)


@pytest.mark.parametrize("service", SERVICES)
async def test_clean_end_lacks_the_terminal_marker(
    client: RawClient, simulator: ProviderSimulator, service: str
) -> None:
    """HTTP says that all is well, the vendor's own marker is missing."""
    simulator.script(service, Fault.clean_end(after_chunks=3, reply=SIX_WORDS))
    reply = await client.read(service, is_stream=True)
    assert b" three" in reply.body
    assert b" four" not in reply.body
    assert MARKERS[service] not in reply.body
    simulator.script(service, Fault.clean_end(after_chunks=99, reply=SIX_WORDS))
    assert MARKERS[service] not in (await client.read(service, is_stream=True)).body


async def test_clean_end_of_a_unary_call_is_half_a_document(client: RawClient, simulator: ProviderSimulator) -> None:
    """A complete HTTP reply whose JSON is not."""
    simulator.script("openai", Fault.clean_end())
    reply = await client.read("openai")
    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        _ = reply.json


async def test_hang_sends_nothing_until_the_client_goes(client: RawClient, simulator: ProviderSimulator) -> None:
    """The request is logged without a status, and the handler ends with the client."""
    simulator.script("anthropic", Fault.hang())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.read("anthropic"), 0.2)
    assert simulator.requests[-1].status is None
    async with asyncio.timeout(2):
        while simulator.open_connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("service", SERVICES)
async def test_hang_after_some_chunks(client: RawClient, simulator: ProviderSimulator, service: str) -> None:
    """The text so far arrives, then silence."""
    simulator.script(service, Fault.hang(after_chunks=2, reply=SIX_WORDS))
    received = bytearray()
    async with client.ask(service, is_stream=True) as response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read_into(received, response), 0.2)
    assert b" two" in received
    assert b" three" not in received


async def test_closing_ends_what_hangs_within_a_second(simulator: ProviderSimulator) -> None:
    """Neither hanging answers, nor long sleeps, nor idle connections hold the simulator up."""
    simulator.script("openai", Fault.hang(), Fault.hang(after_chunks=1), Reply("late", delay_s=60))
    simulator.script("openai", Reply("a b c", chunk_delay_s=60))
    async with aiohttp.ClientSession() as session:
        client = RawClient(simulator, session)
        calls = [asyncio.create_task(client.read("openai", is_stream=True)) for _ in range(4)]
        await client.read("ollama")
        async with asyncio.timeout(2):
            while len(simulator.requests) < 5:
                await asyncio.sleep(0.01)
        started = time.monotonic()
        await simulator.aclose()
        assert time.monotonic() - started < 1
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)
    assert simulator.open_connections == 0


async def test_garbage_is_sent_as_it_is(client: RawClient, simulator: ProviderSimulator) -> None:
    """Status, content type and bytes are the given ones."""
    simulator.script("google", Fault.garbage(b"<html>log in</html>", status=203, content_type="text/html"))
    reply = await client.read("google")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (203, b"<html>log in</html>", "text/html")


@pytest.mark.parametrize("service", [*SERVICES, "mistral", "openrouter"])
async def test_error_event_in_a_stream(client: RawClient, simulator: ProviderSimulator, service: str) -> None:
    """After some text the vendor's error comes, and no terminal marker."""
    simulator.script(service, Fault.error_event(after_chunks=2, reply=SIX_WORDS))
    reply = await client.read(service, is_stream=True)
    assert reply.status == 200
    before, _, after = reply.text.rpartition(" two")
    assert "error" not in before
    assert "error" in after
    assert MARKERS.get(service, b"[DONE]") not in reply.body
    if service == "anthropic":
        assert "event: error\n" in after
        assert "overloaded_error" in after
    if service == "google":
        assert '"UNAVAILABLE"' in after


async def test_error_event_of_a_unary_call_is_an_error_under_200(
    client: RawClient, simulator: ProviderSimulator
) -> None:
    """The envelope comes although the status promises an answer."""
    simulator.script("openrouter", Fault.error_event(status=502, message="Upstream is gone."))
    reply = await client.read("openrouter")
    assert reply.status == 200
    assert reply.json["error"]["message"] == "Upstream is gone."


async def test_fault_delay_passes_before_the_answer(client: RawClient, simulator: ProviderSimulator) -> None:
    """`delay_s` holds back the status line."""
    simulator.script("openai", Fault(status=500, delay_s=0.15))
    started = time.monotonic()
    assert (await client.read("openai")).status == 500
    assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Fault(status=99),
        lambda: Fault(delay_s=-1),
        lambda: Fault.cut(after_chunks=-1),
        lambda: Reply("x", chunks=0),
        lambda: Reply("x", delay_s=float("nan")),
        lambda: Reply("x", finish="because"),  # type: ignore[arg-type]
        lambda: Reply("x", input_tokens=3, cached_tokens=4),
        lambda: Reply("x", output_tokens=3, reasoning_tokens=4),
    ],
)
def test_bad_values_are_refused(bad: object) -> None:
    """Replies and faults check themselves where they are made."""
    assert callable(bad)
    with pytest.raises(ValueError, match=r".+"):
        bad()
