"""The default wire, over real sockets."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from dipeo.domain.errors import (
    ConfigurationError,
    ConnectFailedError,
    ConnectionLostError,
    DipeoError,
    MalformedResponseError,
    ServiceClosedError,
)
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.wires.http import HttpWire
from dipeo.infrastructure.llm.wires.limits import MAX_BODY_BYTES

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
EXCHANGE = WireRequest(path="/answer", body={"question": "why?"}, headers={"x-more": "yes"})


@asynccontextmanager
async def wire_to(handler: Handler, *, base_path: str = "") -> AsyncIterator[HttpWire]:
    """A wire to a server that answers everything with this handler."""
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    wire = HttpWire(f"http://127.0.0.1:{port}{base_path}", credentials={"Authorization": "Bearer sk-canary-4711"})
    try:
        yield wire
    finally:
        await wire.aclose()
        await runner.cleanup()


async def test_an_exchange_sends_path_headers_key_and_body() -> None:
    """What the server sees is the base path and the path, both sets of headers, and the body as JSON."""

    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/v1/answer"
        assert request.headers["Authorization"] == "Bearer sk-canary-4711"
        assert request.headers["x-more"] == "yes"
        assert request.content_type == "application/json"
        assert await request.json() == {"question": "why?"}
        return web.json_response({"because": 1}, headers={"X-Request-Id": "req_1"})

    async with wire_to(answer, base_path="/v1") as wire:
        reply = await wire.send(EXCHANGE)
    assert (reply.status, reply.json, reply.headers["x-request-id"]) == (200, {"because": 1}, "req_1")


async def test_a_body_that_is_no_json_is_shown_as_a_sample() -> None:
    """A web page comes back with its status and a short, escaped sample."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>\x1b[31m" + "x" * 5000, content_type="text/html")

    async with wire_to(page) as wire:
        reply = await wire.send(EXCHANGE)
    assert reply.status == 502
    assert reply.json is None
    assert reply.sample.startswith("<html>\\x1b[31m")
    assert len(reply.sample) == 200


async def test_redirects_are_not_followed() -> None:
    """A redirect comes back as it is, and the key goes nowhere else."""
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/other"})

    async with wire_to(elsewhere) as wire:
        assert (await wire.send(EXCHANGE)).status == 307
    assert seen == ["/answer"]


async def test_a_compressed_answer_may_not_unfold_without_bound() -> None:
    """A small body that unfolds beyond the limit is given up while it is read."""
    bomb = gzip.compress(b"0" * (MAX_BODY_BYTES + 1024))

    async def unfold(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"}, content_type="application/json")

    async with wire_to(unfold) as wire:
        with pytest.raises(MalformedResponseError, match="larger than"):
            await wire.send(EXCHANGE)


async def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    """Nobody listens: the connection failed, and a retry is safe."""
    wire = HttpWire("http://127.0.0.1:9", credentials={})
    try:
        with pytest.raises(ConnectFailedError) as caught:
            await wire.send(EXCHANGE)
    finally:
        await wire.aclose()
    assert caught.value.is_retryable
    assert not caught.value.is_outcome_unknown


async def test_a_connection_closed_before_the_answer_leaves_the_outcome_unknown() -> None:
    """The server took the request and hung up: it may have been billed, so it is not simply sent again."""

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with wire_to(hang_up) as wire:
        with pytest.raises(ConnectionLostError) as caught:
            await wire.send(EXCHANGE)
    assert not caught.value.is_retryable
    assert caught.value.is_outcome_unknown


async def test_a_server_that_does_not_speak_http_is_a_wrong_address() -> None:
    """A greeting of another protocol is no HTTP status: the base URL is not a provider's."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = HttpWire(f"http://127.0.0.1:{port}", credentials={"Authorization": "Bearer sk-canary-4711"})
    async with server:
        with pytest.raises(DipeoError) as caught:
            await wire.send(EXCHANGE)
        await wire.aclose()
    assert isinstance(caught.value, ConfigurationError | ConnectionLostError)
    assert "sk-canary" not in repr(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)


async def test_an_untrusted_certificate_is_a_setting_to_mend() -> None:
    """A plain server behind https is a configuration error and is not tried again."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    async with wire_to(answer) as plain:
        secure = HttpWire(str(plain).split()[1].rstrip(">").replace("http:", "https:"), credentials={})
        with pytest.raises(ConfigurationError):
            await secure.send(EXCHANGE)
        await secure.aclose()


async def test_a_stream_gives_events_as_they_arrive_and_leaves_no_connection_behind() -> None:
    """Events are seen before the stream ends; without TLS each stream has a connection of its own, and closes it."""
    connections: set[object] = set()
    request_headers: list[str | None] = []
    gate = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        connections.add(request.transport)
        request_headers.append(request.headers.get("Connection"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"n": 1}\n\n')
        await gate.wait()
        await response.write(b"data: [DONE]\n\n")
        return response

    async with wire_to(stream) as wire:
        for _ in range(2):
            upstream = await wire.stream(EXCHANGE)
            events = upstream.events()
            assert await anext(events) == {"n": 1}
            gate.set()
            assert [event async for event in events] == ["[DONE]"]
            await upstream.aclose()
        assert request_headers == ["close", "close"]
    assert len(connections) == 2


async def test_leaving_a_stream_closes_its_connection() -> None:
    """A reader who leaves early is seen by the server at once."""
    left = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b'data: {"n": 1}\n\n')
                await asyncio.sleep(0.005)
        except (ConnectionError, asyncio.CancelledError):
            left.set()
            raise

    async with wire_to(drip) as wire:
        upstream = await wire.stream(EXCHANGE)
        events = upstream.events()
        assert await anext(events) == {"n": 1}
        await events.aclose()
        await upstream.aclose()
        async with asyncio.timeout(2):
            await left.wait()


async def test_a_closed_wire_refuses_and_shows_no_key() -> None:
    """Use after close is a mistake in the program; the wire's repr shows the address alone."""
    wire = HttpWire("http://127.0.0.1:9/v1/", credentials={"Authorization": "Bearer sk-canary-4711"})
    assert repr(wire) == "<HttpWire http://127.0.0.1:9/v1>"
    await wire.aclose()
    await wire.aclose()
    with pytest.raises(ServiceClosedError):
        await wire.send(EXCHANGE)
