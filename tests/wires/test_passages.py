"""What passes beneath the clients that have no method for our bytes: our body and our answer, on their connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import orjson
import pytest
from aiohttp import web
from attrs import define, field

from dipeo.domain.errors import ConfigurationError
from dipeo.domain.json_value import JsonObject
from dipeo.infrastructure.llm.drivers.wire import Framing, Wire, WireRequest
from dipeo.infrastructure.llm.wires._guarded_httpx import guarded_transport
from dipeo.infrastructure.llm.wires._httpx_reply import reply_of
from dipeo.infrastructure.llm.wires._passage import AnswerKeptError, answer_beneath, passage_here
from tests.wires.raw_server import KEY, open_wire

PATHS = {"google": "/v1beta/models/m:generateContent", "ollama": "/api/chat"}
CALLS_AT_ONCE = 24

each_client = pytest.mark.parametrize("wire", PATHS)


@define
class Echo:
    """Answers every request with its own body, after a moment; `seen` holds them, `peers` where they came from."""

    url: str = ""
    seen: list[web.Request] = field(factory=list)
    peers: set[object] = field(factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        body = await request.read()
        await asyncio.sleep(0.01)
        return web.Response(body=body, content_type="application/json", headers={"x-request-id": "req-1"})


@asynccontextmanager
async def wire_to_echo(name: str) -> AsyncIterator[tuple[Wire, Echo]]:
    """The official client's wire to a server that echoes."""
    echo = Echo()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", echo.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    echo.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    wire = open_wire(name, echo.url)
    try:
        yield wire, echo
    finally:
        await wire.aclose()
        await runner.cleanup()


def asking(wire: str, body: JsonObject) -> WireRequest:
    return WireRequest(path=PATHS[wire], body=body, headers={"X-Own": "ours"}, framing=Framing.NDJSON)


@each_client
async def test_our_body_goes_out_and_the_answer_comes_back_as_it_is(wire: str) -> None:
    """What no client has a field for goes both ways; the key and the client's name go with it, and our own headers."""
    body: JsonObject = {"no_such_field": [1, None, "ä", {"deep": {"er": True}}], "model": "m", "tools": []}
    async with wire_to_echo(wire) as (opened, echo):
        reply = await opened.send(asking(wire, body))
    assert (reply.status, reply.json, reply.headers["x-request-id"]) == (200, body, "req-1")
    (asked,) = echo.seen
    assert asked.headers.getall("x-own") == ["ours"]
    assert asked.headers.getall("content-type") == ["application/json"]
    assert asked.headers.getall("content-length") == [str(len(orjson.dumps(body)))]
    assert KEY in str(asked.headers)
    assert {"google": "genai", "ollama": "ollama-python"}[wire] in asked.headers["user-agent"]


@each_client
async def test_calls_at_once_do_not_mix(wire: str) -> None:
    """Each gets the answer to its own body, whole and streamed, on one client."""

    async def ask(opened: Wire, number: int) -> None:
        exchange = asking(wire, {"number": number})
        if number % 2:
            assert (await opened.send(exchange)).json == {"number": number}
            return
        stream = await opened.stream(exchange)
        try:
            assert [event async for event in stream.events()] == [{"number": number}]
        finally:
            await stream.aclose()

    async with wire_to_echo(wire) as (opened, echo):
        await asyncio.gather(*(ask(opened, number) for number in range(CALLS_AT_ONCE)))
    assert len(echo.seen) == CALLS_AT_ONCE


@each_client
async def test_a_connection_is_used_again(wire: str) -> None:
    """An answer that was read gives its connection back, and so does a stream that has ended."""
    async with wire_to_echo(wire) as (opened, echo):
        for number in range(3):
            assert (await opened.send(asking(wire, {"number": number}))).json == {"number": number}
            stream = await opened.stream(asking(wire, {"number": number}))
            async for _ in stream.events():
                pass
            await stream.drain()
            await stream.aclose()
    assert len(echo.seen) == 6
    assert len(echo.peers) == 1


async def test_a_client_that_asks_for_nothing_is_told() -> None:
    """No request, no answer: that is an error of ours, and no passage is left open."""

    async def idle() -> None:
        assert passage_here() is not None

    with pytest.raises(ConfigurationError, match="made no request"):
        await answer_beneath(idle(), WireRequest(path="/", body={}))
    assert passage_here() is None


async def test_what_a_client_raises_before_there_is_an_answer_comes_out() -> None:
    """It is the wire's to translate; no passage is left open."""

    async def broken() -> None:
        raise OSError("no way")

    with pytest.raises(OSError, match="no way"):
        await answer_beneath(broken(), WireRequest(path="/", body={}))
    assert passage_here() is None


async def test_nothing_is_sent_twice() -> None:
    """A client that tries again because it saw no answer sends nothing: the first answer is kept already."""
    async with wire_to_echo("ollama") as (_, echo):
        client = httpx.AsyncClient(transport=guarded_transport(echo.url))

        async def stubborn() -> None:
            for _ in range(3):
                with suppress(AnswerKeptError):
                    await client.post(f"{echo.url}/api/chat", json={"theirs": True})

        answer = await answer_beneath(stubborn(), asking("ollama", {"ours": True}))
        assert (await reply_of(answer)).json == {"ours": True}
        await client.aclose()
    assert len(echo.seen) == 1
