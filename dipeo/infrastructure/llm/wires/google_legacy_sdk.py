"""google-generativeai, Google's former client, as a wire: its support ended on 2025-11-30.

For those who are bound to it. It speaks REST from worker threads, because its async calls block the event loop, and
what its messages have no field for is an error that names it.
"""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from dipeo.domain.errors import (
    ConfigurationError,
    ConnectFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    DipeoError,
    MalformedResponseError,
    ServiceClosedError,
    UnsupportedParameterError,
)
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires._google_call import PLACEHOLDER_KEY, read_path
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

with warnings.catch_warnings():
    # It says on import that it is no longer supported; whoever chose this wire has read so.
    warnings.simplefilter("ignore")
    import google.generativeai as genai
    from google.ai import generativelanguage
    from google.api_core import exceptions as google_errors
    from google.api_core.client_options import ClientOptions
    from google.protobuf import json_format
    from requests import exceptions as requests_errors

_T = TypeVar("_T")

VERSION: Final = "v1beta"
READ_TIMEOUT_S: Final = 600.0
"""A thread cannot be interrupted: one whose caller has left ends with this."""


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint; the client is given the key itself, and sends it its own way."""
    check_live_call(endpoint.base_url)
    return GoogleLegacyWire(endpoint)


class GoogleLegacyWire(Wire):
    """Sends through the client's REST transport in worker threads; its retries, of up to ten minutes, are off."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._base_url = endpoint.base_url
        key = endpoint.key.reveal() if endpoint.key else PLACEHOLDER_KEY
        options = ClientOptions(api_endpoint=endpoint.base_url, api_key=key)
        self._client = generativelanguage.GenerativeServiceClient(transport="rest", client_options=options)
        self._is_closed = False

    async def send(self, exchange: WireRequest) -> WireReply:
        request = self._request(exchange)
        with _translated():
            try:
                answer = await self._in_thread(self._client.generate_content, request)
            except google_errors.GoogleAPICallError as problem:
                return _failed(problem)
        return WireReply(status=200, headers={}, json=_as_json(answer))

    async def stream(self, exchange: WireRequest) -> WireStream:
        request = self._request(exchange)
        with _translated():
            try:
                chunks = await self._in_thread(self._client.stream_generate_content, request)
            except google_errors.GoogleAPICallError as problem:
                return _LegacyStream(None, _failed(problem))
        return _LegacyStream(chunks, WireReply(status=200, headers={}, json=None))

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._client.transport.close)

    async def _in_thread(self, call: Callable[..., _T], request: object) -> _T:
        return await asyncio.to_thread(call, request, retry=None, timeout=READ_TIMEOUT_S)

    def _request(self, exchange: WireRequest) -> object:
        """The request as the client's message. Raises `UnsupportedParameterError` for what it has no field for."""
        if self._is_closed:
            raise ServiceClosedError("The wire is closed.")
        call = read_path(exchange.path)
        if call is None or call.version != VERSION:
            raise ConfigurationError(
                f"google-generativeai has no method for {exchange.path!r}.",
                field="wire",
                suggestion="Use the wire 'http' or 'sdk'.",
            )
        message = genai.protos.GenerateContentRequest(model=call.model)
        try:
            json_format.ParseDict(dict(exchange.body), message._pb, ignore_unknown_fields=False)
        except json_format.ParseError as problem:
            reason = str(problem).splitlines()[0][:200]
        else:
            return message
        raise UnsupportedParameterError(
            f"google-generativeai cannot send this request: {reason}",
            field="wire",
            suggestion="Use the wire 'http' or 'sdk', or leave the parameter out.",
        )

    def __repr__(self) -> str:
        return f"<GoogleLegacyWire {self._base_url}{' closed' if self._is_closed else ''}>"


class _LegacyStream(WireStream):
    """The chunks of a streamed answer, read in a thread one after the other."""

    def __init__(self, chunks: Any, reply: WireReply) -> None:  # noqa: ANN401  # the client has no types
        self._chunks = chunks
        self._reply = reply
        self.status = reply.status
        self.headers: Mapping[str, str] = reply.headers

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        while self._chunks is not None:
            with _translated():
                try:
                    chunk = await asyncio.to_thread(next, self._chunks, None)
                except google_errors.GoogleAPICallError as problem:
                    # In the middle of a stream an error is an event like any other: the adapter reads it.
                    yield _failed(problem).json
                    return
                except ValueError:
                    # It trips over white space behind the answer's end, and over a torn end alike; which of them it was
                    # shows in whether the answer said that it was complete.
                    return
            if chunk is None:
                return
            yield _as_json(chunk)

    async def reply(self) -> WireReply:
        return self._reply

    async def drain(self) -> None:
        """Its end is seen with its last chunk."""

    async def aclose(self) -> None:
        response = getattr(self._chunks, "_response", None)
        if response is not None:
            # The client has no way to close a stream; the answer below it has.
            await asyncio.to_thread(response.close)


def _as_json(message: Any) -> JsonValue:  # noqa: ANN401  # the client has no types
    body: JsonValue = json_format.MessageToDict(message._pb)
    return body


def _failed(problem: google_errors.GoogleAPICallError) -> WireReply:
    status = int(problem.code or 500)
    return WireReply(status=status, headers={}, json={"error": {"code": status, "message": problem.message or ""}})


@contextmanager
def _translated() -> Iterator[None]:
    failure: DipeoError | None = None
    try:
        yield
    except (requests_errors.ConnectTimeout, requests_errors.ConnectionError) as problem:
        is_begun = "ProtocolError" in repr(problem) or "Connection aborted" in str(problem)
        failure = (ConnectionLostError if is_begun else ConnectFailedError)(cause=type(problem).__name__)
    except requests_errors.Timeout as problem:
        failure = DeadlineExceededError(cause=type(problem).__name__)
    except (json_format.Error, UnicodeDecodeError) as problem:
        failure = MalformedResponseError("google-generativeai could not read the answer.", cause=type(problem).__name__)
    except (requests_errors.RequestException, google_errors.GoogleAPIError, OSError, ValueError) as problem:
        failure = ConnectionLostError(cause=type(problem).__name__)
    # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
    if failure is not None:
        raise failure
