"""Ollama's official client as a wire."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx
import ollama

from dipeo.domain.errors import (
    ConfigurationError,
    ConnectFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    DipeoError,
    MalformedResponseError,
    ServiceClosedError,
)
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires._guarded_httpx import guarded_transport
from dipeo.infrastructure.llm.wires._httpx_reply import HttpxResponse, HttpxStream, reply_of
from dipeo.infrastructure.llm.wires._passage import answer_beneath
from dipeo.infrastructure.llm.wires._stainless import is_hang_up, is_no_http, is_tls_failure
from dipeo.infrastructure.llm.wires.limits import CONNECT_TIMEOUT_S
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

_NO_TLS: Final = "No secure connection could be made to the provider."
_REPLACED: Final = "-"
"""The client demands a model; the body that takes the place of the client's names the real one."""


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint."""
    check_live_call(endpoint.base_url)
    return OllamaWire(endpoint, credentials)


class OllamaWire(Wire):
    """Sends through the client's own methods and reads the bytes of the answer, which the client would not give."""

    def __init__(self, endpoint: Endpoint, credentials: Mapping[str, str]) -> None:
        self._base_url = endpoint.base_url
        self._client = ollama.AsyncClient(
            host=endpoint.base_url,
            headers=dict(credentials),
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            transport=guarded_transport(endpoint.base_url),
        )
        if endpoint.key is None:
            # The client takes OLLAMA_API_KEY from the environment, which the settings may not know of.
            self._client._client.headers.pop("authorization", None)
        self._is_closed = False

    async def send(self, exchange: WireRequest) -> WireReply:
        response = await self._answer(exchange)
        with _translated():
            return await reply_of(response)

    async def stream(self, exchange: WireRequest) -> WireStream:
        return HttpxStream(await self._answer(exchange), exchange.framing, _translated)

    async def aclose(self) -> None:
        self._is_closed = True
        await self._client.close()  # type: ignore[no-untyped-call]  # left without types by the client
        await asyncio.sleep(0)  # the sockets say that they are closed in the next turn of the loop

    async def _answer(self, exchange: WireRequest) -> HttpxResponse:
        if self._is_closed:
            raise ServiceClosedError("The wire is closed.")
        call: Awaitable[object]
        match exchange.method, exchange.path:
            case "POST", "/api/chat":
                # Whether it is to be a stream is said by the body; the client's own reading of it takes no part.
                call = self._client.chat(_REPLACED, stream=False)
            case "POST", "/api/embed":
                call = self._client.embed(_REPLACED)
            case "GET", "/api/tags":
                call = self._client.list()
            case _:
                raise ConfigurationError(
                    f"Ollama's client has no method for {exchange.path!r}.",
                    field="wire",
                    suggestion="Use the wire 'http'.",
                )
        with _translated():
            return await answer_beneath(call, exchange)

    def __repr__(self) -> str:
        return f"<OllamaWire {self._base_url}{' closed' if self._is_closed else ''}>"


@contextmanager
def _translated() -> Iterator[None]:
    failure: DipeoError | None = None
    try:
        yield
    except ConnectionError as problem:
        failure = ConfigurationError(_NO_TLS) if is_tls_failure(problem) else ConnectFailedError()
    except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
        is_tls = is_tls_failure(problem)
        failure = ConfigurationError(_NO_TLS) if is_tls else ConnectFailedError(cause=type(problem).__name__)
    except httpx.TimeoutException as problem:
        failure = DeadlineExceededError(cause=type(problem).__name__)
    except (httpx.HTTPError, httpx.StreamError, OSError) as problem:
        is_lost = not isinstance(problem, httpx.RemoteProtocolError) or is_hang_up(problem)
        if is_no_http(problem):
            failure = ConfigurationError("What answers at the base URL does not speak HTTP.", sent=True)
        else:
            failure = (ConnectionLostError if is_lost else MalformedResponseError)(cause=type(problem).__name__)
    # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
    if failure is not None:
        raise failure
