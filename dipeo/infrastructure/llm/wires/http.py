"""The default wire: one aiohttp session per endpoint, no redirects, nothing retried, bounded bodies."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Final

import aiohttp
import orjson
from yarl import URL

from dipeo.domain.errors import (
    ConfigurationError,
    ConnectFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    DipeoError,
    MalformedResponseError,
    ServiceClosedError,
)
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires.framing import parser_for, readable, reply_from
from dipeo.infrastructure.llm.wires.limits import (
    ACCEPTED_CODINGS,
    CONNECT_TIMEOUT_S,
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
)
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

KEEPALIVE_S: Final = 15.0
LOCAL_KEEPALIVE_S: Final = 3.0
"""Idle connections are dropped sooner than servers drop them, so that a request seldom meets a dead one: providers keep
them for a minute and more, servers of one's own, which are reached without TLS, often for five seconds."""

_USER_AGENT: Final = "dipeo"
_READ_BYTES: Final = 64 * 1024
_DRAIN_BYTES: Final = 4 * 1024


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint."""
    return HttpWire(endpoint.base_url, credentials=credentials)


class HttpWire(Wire):
    """Speaks HTTP to one base URL; belongs to the event loop it was made on.

    `credentials` are headers that go with every request and are shown nowhere. Proxies and other settings of the
    environment are ignored: a key goes where the configuration says and nowhere else.
    """

    def __init__(self, base_url: str, *, credentials: Mapping[str, str]) -> None:
        check_live_call(base_url)
        self._base_url = base_url.rstrip("/")
        self._is_secure = base_url.startswith("https:")
        self._urls: dict[str, URL] = {}
        self._unfinished: set[aiohttp.ClientResponse] = set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=KEEPALIVE_S if self._is_secure else LOCAL_KEEPALIVE_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Content-Type": "application/json",
                "User-Agent": _USER_AGENT,
                "Accept-Encoding": ACCEPTED_CODINGS,
                **credentials,
            },
            max_headers=MAX_HEADERS,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            read_bufsize=_READ_BYTES,
            trust_env=False,
            raise_for_status=False,
        )

    async def send(self, exchange: WireRequest) -> WireReply:
        try:
            posting = self._post(exchange)
            del exchange  # not kept while the answer is awaited
            return await _reply_of(await posting, self._unfinished)
        except (aiohttp.ClientError, OSError) as problem:
            failure = _translated(problem)
        except asyncio.CancelledError:
            if not self._is_closed_under_caller():
                raise
            failure = ConnectionLostError("The service was closed during the call.")
        # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
        raise failure

    async def stream(self, exchange: WireRequest) -> WireStream:
        try:
            response = await self._post(exchange, is_stream=True)
            return _HttpStream(response, exchange, self._unfinished)
        except (aiohttp.ClientError, OSError) as problem:
            failure = _translated(problem)
        except asyncio.CancelledError:
            if not self._is_closed_under_caller():
                raise
            failure = ConnectionLostError("The service was closed during the call.")
        # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
        raise failure

    async def aclose(self) -> None:
        for response in list(self._unfinished):
            # The session's own close would drop the connection without a word to whoever reads from it.
            response.content.set_exception(aiohttp.ClientConnectionError("The session was closed."))
            response.close()
        await self._session.close()
        # The sockets say that they are closed in the next turn of the loop, which may be about to end.
        await asyncio.sleep(0)

    def _is_closed_under_caller(self) -> bool:
        """Whether a cancellation is no wish of the caller's: the session cancels its look-ups when it is closed."""
        task = asyncio.current_task()
        return self._session.closed and task is not None and not task.cancelling()

    def _post(self, exchange: WireRequest, *, is_stream: bool = False) -> Awaitable[aiohttp.ClientResponse]:
        if self._session.closed:
            raise ServiceClosedError("The wire is closed.")
        if exchange.method == "GET":
            # Not remembered like the others: a path that asks for one page of a list is asked for once.
            address = URL(self._base_url + exchange.path, encoded=True)
            return self._session.get(address, headers=exchange.headers or None, allow_redirects=False)
        url = self._urls.get(exchange.path)
        if url is None:
            url = self._urls[exchange.path] = URL(self._base_url + exchange.path, encoded=True)
        headers = exchange.headers or None
        if is_stream and not self._is_secure:
            # Some servers of one's own close the connection after a stream though they promised to keep it, and the
            # next request would be lost on it. Without TLS a new connection is cheap.
            headers = {**exchange.headers, "Connection": "close"}
        return self._session.post(
            url,
            # Copied, because orjson's own bytes keep the 4 KB they were written in for as long as the answer takes.
            data=bytes(memoryview(orjson.dumps(exchange.body))),
            headers=headers,
            allow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"<HttpWire {self._base_url}{' closed' if self._session.closed else ''}>"


class _HttpStream(WireStream):
    """A streamed answer on an open connection."""

    def __init__(
        self, response: aiohttp.ClientResponse, exchange: WireRequest, unfinished: set[aiohttp.ClientResponse]
    ) -> None:
        self._response = response
        self._unfinished = unfinished
        unfinished.add(response)
        self._framing = exchange.framing
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        parser = parser_for(self._framing)
        size = 0
        try:
            read = self._response.content.readany
            while chunk := await read():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise MalformedResponseError(f"The stream is larger than {MAX_BODY_BYTES} bytes.")
                for event in parser.feed(chunk):
                    yield readable(event)
            for event in parser.finish():
                yield readable(event)
            return
        except (aiohttp.ClientError, OSError) as problem:
            failure = _translated(problem)
        # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
        raise failure

    async def reply(self) -> WireReply:
        try:
            return await _reply_of(self._response, self._unfinished)
        except (aiohttp.ClientError, OSError) as problem:
            failure = _translated(problem)
        # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
        raise failure

    async def drain(self) -> None:
        try:
            await self._response.content.read(_DRAIN_BYTES)
            return
        except (aiohttp.ClientError, OSError) as problem:
            failure = _translated(problem)
        # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
        raise failure

    async def aclose(self) -> None:
        self._unfinished.discard(self._response)
        # An unread rest makes the connection useless for the next request: close, do not release.
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


async def _reply_of(response: aiohttp.ClientResponse, unfinished: set[aiohttp.ClientResponse]) -> WireReply:
    """The whole answer, whatever its status; among the unfinished for as long as it is read."""
    content = response.content
    try:
        if content.is_eof():
            # Nearly every answer has come whole by now, and its connection is given back already.
            body = content.read_nowait()
        else:
            unfinished.add(response)
            body = await _bounded_body_of(response)
        if len(body) > MAX_BODY_BYTES:
            raise MalformedResponseError(f"The answer is larger than {MAX_BODY_BYTES} bytes.", status=response.status)
    except BaseException:
        # Read to its end, a response has given its connection back; one that was not read must not keep it.
        response.close()
        raise
    finally:
        unfinished.discard(response)
    return reply_from(response.status, response.headers, body)


async def _bounded_body_of(response: aiohttp.ClientResponse) -> bytes:
    """The decoded body; the rest of one that is larger than it may be is not read."""
    chunks: list[bytes] = []
    size = 0
    while size <= MAX_BODY_BYTES and (chunk := await response.content.readany()):
        size += len(chunk)
        chunks.append(chunk)
    return b"".join(chunks)


# The most specific class comes first: aiohttp derives a certificate error from a connection error.
_TRANSLATIONS: Final[tuple[tuple[type[Exception], type[DipeoError], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, ConfigurationError, "The provider's certificate is not trusted."),
    (aiohttp.ClientSSLError, ConfigurationError, "No secure connection could be made to the provider."),
    (aiohttp.ConnectionTimeoutError, ConnectFailedError, "The provider did not accept a connection in time."),
    (aiohttp.ClientConnectorError, ConnectFailedError, "The provider could not be reached."),
    (aiohttp.InvalidURL, ConfigurationError, "The base URL is not usable."),
    (aiohttp.ServerTimeoutError, DeadlineExceededError, "The provider did not answer in time."),
    (aiohttp.ClientResponseError, MalformedResponseError, "The provider's answer is not HTTP as it should be."),
    (aiohttp.ClientError, ConnectionLostError, ConnectionLostError.default_message),
    (TimeoutError, DeadlineExceededError, "The provider did not answer in time."),
    (OSError, ConnectionLostError, ConnectionLostError.default_message),
)


def _translated(problem: Exception) -> DipeoError:
    """Our error for one of aiohttp's; its text is not kept, because it may quote a header."""
    if isinstance(problem.__cause__, aiohttp.http_exceptions.ContentEncodingError):
        # The provider is still there; what it sends cannot be decompressed.
        return MalformedResponseError("The answer's compression is broken.", cause=type(problem).__name__)
    if isinstance(problem, aiohttp.ClientResponseError) and problem.message.startswith("Bad status line"):
        # aiohttp tells a header that is too long by the same class.
        return ConfigurationError("What answers at the base URL does not speak HTTP.", sent=True)
    for theirs, ours, message in _TRANSLATIONS:
        if isinstance(problem, theirs):
            return ours(message, cause=type(problem).__name__)
    raise problem
