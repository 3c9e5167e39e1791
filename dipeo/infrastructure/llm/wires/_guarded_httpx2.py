"""The transport of the official clients that sit on httpx2: one origin, bounded answers."""

from collections.abc import AsyncGenerator

import httpx2

from dipeo.domain.errors import ConfigurationError, MalformedResponseError
from dipeo.infrastructure.llm.wires._answer_guard import AnswerGuard, bounded
from dipeo.infrastructure.llm.wires._passage import passage_here
from dipeo.infrastructure.llm.wires._proxy import proxy_for
from dipeo.infrastructure.llm.wires.limits import ACCEPTED_CODINGS

# Unlimited, as over the wire 'http': how many calls run at once is not decided by a client's own queue.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=100)


def guarded_transport(base_url: str) -> httpx2.AsyncBaseTransport:
    """A transport to this address, through the proxy that the environment names for it.

    Raises `ConfigurationError` for a proxy that cannot be used.
    """
    try:
        inner = httpx2.AsyncHTTPTransport(limits=_LIMITS, proxy=proxy_for(base_url))
    except (ValueError, ImportError, httpx2.InvalidURL):
        # Without the cause: the address of a proxy may hold a password.
        inner = None
    if inner is None:
        raise ConfigurationError(
            "The proxy that the environment names cannot be used.",
            field="wire",
            suggestion="Look at HTTPS_PROXY and ALL_PROXY, or use the wire 'http', which uses no proxy.",
        )
    return _GuardedTransport(inner, AnswerGuard(base_url))


class _GuardedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport, guard: AnswerGuard) -> None:
        self._inner = inner
        self._guard = guard

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._guard.check_address(request.url)
        passage = passage_here()
        if passage is not None:
            passage.check_first()
            request = httpx2.Request(
                request.method,
                request.url,
                headers=passage.headers(request.headers),
                content=passage.content(),
                extensions=request.extensions,
            )
        request.headers["accept-encoding"] = ACCEPTED_CODINGS
        response = await self._inner.handle_async_request(request)
        stream = response.stream
        # Several lines of it count as one list, which is refused as such.
        coding = response.headers.get("content-encoding", "")
        try:
            coding = self._guard.check_head(response.headers.raw, coding)
        except MalformedResponseError:
            await response.aclose()
            raise
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise TypeError(f"expected an asynchronous stream, got {type(stream).__name__}")
        if coding:
            # It is decoded here, with a bound, and must not be decoded again.
            del response.headers["content-encoding"]
            response.headers.pop("content-length", None)
        answer = httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedStream(stream, coding),
            extensions=response.extensions,
        )
        if passage is not None:
            raise passage.keep(answer)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, coding: str) -> None:
        self._inner = inner
        self._coding = coding

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        async for piece in bounded(self._inner, self._coding):
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
