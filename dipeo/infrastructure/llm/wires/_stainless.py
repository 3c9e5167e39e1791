"""The one exchange of the SDKs that OpenAI and Anthropic generate with the same tool."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

import httpx2

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
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires._httpx_reply import HttpxStream, reply_of
from dipeo.infrastructure.llm.wires.framing import reply_from
from dipeo.infrastructure.llm.wires.limits import CONNECT_TIMEOUT_S

# One timer for the whole call stands outside; a read may take as long as that allows.
TIMEOUT = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)


class StainlessClient(Protocol):
    """The part of such an SDK's client that the wire uses: its documented way to reach any endpoint."""

    async def post(
        self,
        path: str,
        *,
        cast_to: type[httpx2.Response],
        body: object,
        options: Mapping[str, object],
        stream: bool,
    ) -> httpx2.Response: ...

    async def get(
        self, path: str, *, cast_to: type[httpx2.Response], options: Mapping[str, object], stream: bool
    ) -> httpx2.Response: ...

    def is_closed(self) -> bool: ...

    async def close(self) -> None: ...


class StatusError(Protocol):
    """What such an SDK raises for a status that says the request failed."""

    response: httpx2.Response


class StainlessWire(Wire):
    """Sends through the SDK's client and reads the bytes of its answer; the SDK's own retries are off."""

    def __init__(
        self,
        client: StainlessClient,
        *,
        status_error: type[Exception],
        sdk_error: type[Exception],
        name: str,
        headers: Mapping[str, object] | None = None,
    ) -> None:
        self._client = client
        self._status_error = status_error
        self._sdk_error = sdk_error
        self._name = name
        self._headers = headers or {}

    async def send(self, exchange: WireRequest) -> WireReply:
        response = await self._exchange(exchange)
        if isinstance(response, WireReply):
            return response
        with self._translated():
            return await reply_of(response)

    async def stream(self, exchange: WireRequest) -> WireStream:
        response = await self._exchange(exchange)
        if isinstance(response, WireReply):
            return FailedStream(response)
        return HttpxStream(response, exchange.framing, self._translated)

    async def aclose(self) -> None:
        await self._client.close()
        await asyncio.sleep(0)  # the sockets say that they are closed in the next turn of the loop

    async def _exchange(self, exchange: WireRequest) -> httpx2.Response | WireReply:
        """The answer with its body unread, or, where the SDK has read it to raise an error, the whole answer."""
        if self._client.is_closed():
            raise ServiceClosedError("The wire is closed.")
        options = {"headers": {**self._headers, **exchange.headers}, "max_retries": 0, "timeout": TIMEOUT}
        with self._translated():
            try:
                if exchange.method == "GET":
                    return await self._client.get(exchange.path, cast_to=httpx2.Response, options=options, stream=True)
                return await self._client.post(
                    exchange.path, cast_to=httpx2.Response, body=exchange.body, options=options, stream=True
                )
            except self._status_error as problem:
                return _failed(problem)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        failure: DipeoError | None = None
        try:
            yield
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, self._sdk_error, OSError) as problem:
            failure = translated(problem)
        # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
        if failure is not None:
            raise failure

    def __repr__(self) -> str:
        return f"<StainlessWire {self._name}{' closed' if self._client.is_closed() else ''}>"


class FailedStream(WireStream):
    """The answer to a streaming request that failed before its stream began."""

    def __init__(self, reply: WireReply) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers = reply.headers

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        for nothing in list[JsonValue]():
            yield nothing

    async def reply(self) -> WireReply:
        return self._reply

    async def drain(self) -> None:
        """Nothing is left to read."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _failed(problem: Exception) -> WireReply:
    response: httpx2.Response = problem.response  # type: ignore[attr-defined]  # every status error has one
    return reply_from(response.status_code, response.headers, response.content)


def translated(problem: BaseException) -> DipeoError:
    """Our error for one of the SDK's or of its HTTP package; its text is not kept, because it may quote a header."""
    # The SDK wraps what its HTTP package raised; the cause says more.
    cause = problem.__cause__ if isinstance(problem.__cause__, httpx2.HTTPError | DipeoError) else problem
    if isinstance(cause, DipeoError):
        return cause
    if is_tls_failure(cause):
        return ConfigurationError("No secure connection could be made to the provider.", cause=type(cause).__name__)
    if is_no_http(cause):
        return ConfigurationError("What answers at the base URL does not speak HTTP.", sent=True)
    if isinstance(cause, httpx2.RemoteProtocolError) and not is_hang_up(cause):
        return MalformedResponseError(_NOT_HTTP, cause=type(cause).__name__)
    for theirs, ours, message in _TRANSLATIONS:
        if isinstance(cause, theirs):
            return ours(message, cause=type(cause).__name__)
    return ConnectionLostError(cause=type(cause).__name__)


def is_hang_up(problem: Exception) -> bool:
    """Whether the server went away, rather than sent what is no HTTP.

    httpx and httpx2 have one exception for both, and nothing but its text tells them apart.
    """
    return str(problem).startswith(("Server disconnected", "peer closed connection"))


def is_no_http(problem: BaseException) -> bool:
    """Whether the server speaks another protocol; as with a server that hangs up, nothing but the text tells."""
    return str(problem).startswith("illegal status line")


def is_tls_failure(problem: BaseException | None) -> bool:
    """Whether it was the encryption that failed, which the packages tell as a connection that failed."""
    while problem is not None and not isinstance(problem, ssl.SSLError):
        problem = problem.__cause__ or problem.__context__
    return problem is not None


_NOT_HTTP: Final = "The provider's answer is not HTTP as it should be."

_TRANSLATIONS: tuple[tuple[type[BaseException], type[DipeoError], str], ...] = (
    (httpx2.ConnectTimeout, ConnectFailedError, "The provider did not accept a connection in time."),
    (httpx2.TimeoutException, DeadlineExceededError, "The provider did not answer in time."),
    (httpx2.ConnectError, ConnectFailedError, "The provider could not be reached."),
    (httpx2.UnsupportedProtocol, ConfigurationError, "The base URL is not usable."),
    (httpx2.InvalidURL, ConfigurationError, "The base URL is not usable."),
    (httpx2.DecodingError, MalformedResponseError, _NOT_HTTP),
    (TimeoutError, DeadlineExceededError, "The provider did not answer in time."),
)
