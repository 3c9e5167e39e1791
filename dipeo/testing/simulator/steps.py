"""The low-level steps of an answer, and their execution on a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

import attrs
from aiohttp import web


@attrs.frozen(slots=True)
class Status:
    """Which status the next `Headers` step sends."""

    code: int


@attrs.frozen(slots=True)
class Headers:
    """Send the status line and these headers; without a content-length the body is sent in HTTP chunks."""

    fields: Mapping[str, str]


@attrs.frozen(slots=True)
class Chunk:
    """Send these bytes at once."""

    data: bytes


@attrs.frozen(slots=True)
class Bytes:
    """Put these bytes on the connection as they are, in place of a status line or in the middle of a body."""

    data: bytes


@attrs.frozen(slots=True)
class Sleep:
    """Wait this long, in seconds."""

    delay_s: float


@attrs.frozen(slots=True)
class Close:
    """Close the connection where the answer stands."""


@attrs.frozen(slots=True)
class Reset:
    """Reset the connection where the answer stands."""


@attrs.frozen(slots=True)
class Hang:
    """Wait until the client goes or the simulator closes."""


Step: TypeAlias = Status | Headers | Bytes | Chunk | Sleep | Close | Reset | Hang
Steps: TypeAlias = tuple[Step, ...]

# Long enough for what was sent before a reset to be read; an abort drops what still waits in the buffers.
_RESET_DELAY_S = 0.02


class StepPlayer:
    """Plays steps on the connection of one request; every wait ends when `closing` is set."""

    def __init__(
        self, request: web.BaseRequest, closing: asyncio.Event, *, note_sent: Callable[[int], None] = lambda _: None
    ) -> None:
        self._request = request
        self._closing = closing
        self._note_sent = note_sent
        self._response = web.StreamResponse()

    async def play(self, steps: Sequence[Step]) -> web.StreamResponse:
        """Play the steps in order; a sequence that neither closes nor resets ends in good order."""
        # A reader who leaves half-way is nothing to report: there is nobody left to play for.
        with suppress(ConnectionResetError):
            for step in steps:
                if not await self._play_one(step):
                    break
        return self._response

    async def _play_one(self, step: Step) -> bool:
        match step:
            case Status(code):
                self._response.set_status(code)
            case Headers(fields):
                self._response.headers.update(fields)
                await self._response.prepare(self._request)
            case Bytes(data):
                self._write(data)
            case Chunk(data):
                self._note_sent(len(data))
                await self._response.write(data)
            case Sleep(delay_s):
                return await self._sleep(delay_s)
            case Hang():
                await self._closing.wait()
                self._close()
                return False
            case Close():
                self._close()
                return False
            case Reset():
                await asyncio.sleep(_RESET_DELAY_S)
                self._reset()
                return False
        return True

    async def _sleep(self, delay_s: float) -> bool:
        try:
            async with asyncio.timeout(delay_s):
                await self._closing.wait()
        except TimeoutError:
            return True
        self._close()
        return False

    def _write(self, data: bytes) -> None:
        self._note_sent(len(data))
        if self._request.transport is not None:
            self._request.transport.write(data)

    def _close(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.close()

    def _reset(self) -> None:
        transport = self._request.transport
        if transport is None:
            return
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
