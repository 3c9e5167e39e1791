"""Answers of httpx and its continuation httpx2, on which the official SDKs sit, as a wire gives them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.wire import Framing, WireReply, WireStream
from dipeo.infrastructure.llm.wires.framing import parser_for, readable, reply_from


class HttpxResponse(Protocol):
    """What both packages' responses have in common."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def aiter_bytes(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


Translation = Callable[[], AbstractContextManager[None]]
"""A block in which the exceptions of one SDK and of the HTTP package below it become ours."""


async def reply_of(response: HttpxResponse) -> WireReply:
    """The whole answer, whatever its status; the transport below bounds it."""
    chunks: list[bytes] = []
    try:
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
    finally:
        await response.aclose()
    return reply_from(response.status_code, response.headers, b"".join(chunks))


class HttpxStream(WireStream):
    """A streamed answer; its bytes are framed by us, because no SDK says whether it saw the end of a stream."""

    def __init__(self, response: HttpxResponse, framing: Framing, translated: Translation) -> None:
        self._response = response
        self._framing = framing
        self._translated = translated
        self._chunks = response.aiter_bytes()
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        parser = parser_for(self._framing)
        while True:
            with self._translated():
                chunk = await anext(self._chunks, None)
            if chunk is None:
                break
            for event in parser.feed(chunk):
                yield readable(event)
        for event in parser.finish():
            yield readable(event)

    async def reply(self) -> WireReply:
        with self._translated():
            return await reply_of(self._response)

    async def drain(self) -> None:
        with self._translated():
            await anext(self._chunks, None)

    async def aclose(self) -> None:
        await self._response.aclose()
