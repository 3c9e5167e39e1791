"""An HTTP server that counts its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler


class CountingServer(web.Server):
    """Knows how many client connections are open, and how many were open at once."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        # A handler ends when its client leaves, so that no answer waits for somebody who is gone.
        super().__init__(handler, handler_cancellation=True, access_log=None)
        self.open_count = 0
        self.peak_count = 0

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count a new connection."""
        self.open_count += 1
        self.peak_count = max(self.peak_count, self.open_count)
        super().connection_made(handler, transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Count a connection less."""
        self.open_count -= 1
        super().connection_lost(handler, exc)
