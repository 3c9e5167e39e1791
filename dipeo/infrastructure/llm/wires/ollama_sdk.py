"""Ollama's official client as a wire."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx
import ollama
from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

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
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.infrastructure.llm.drivers.answer import objects_in
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires._guarded_httpx import guarded_transport
from dipeo.infrastructure.llm.wires._stainless import FailedStream, is_hang_up, is_no_http, is_tls_failure
from dipeo.infrastructure.llm.wires.framing import check_value
from dipeo.infrastructure.llm.wires.limits import CONNECT_TIMEOUT_S
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

_CHAT_PATH: Final = "/api/chat"
_TAKEN: Final = frozenset({"model", "messages", "tools", "stream", "think", "format", "options", "keep_alive"})
_TYPED: Final[Mapping[str, type[BaseModel]]] = {"messages": ollama.Message, "tools": ollama.Tool}
_NO_TLS: Final = "No secure connection could be made to the provider."
_NO_CONTACT: Final = -1
"""The status of an error that came in the middle of a stream, as the client puts it."""


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint."""
    check_live_call(endpoint.base_url)
    return OllamaWire(endpoint, credentials)


class OllamaWire(Wire):
    """Sends through the client's `chat()`, which tells neither headers nor more of an error than its text."""

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
        call = self._call(exchange)
        with _translated():
            try:
                answer = await self._client.chat(**{**call, "stream": False})
            except ollama.ResponseError as problem:
                return _failed(problem)
            return WireReply(status=200, headers={}, json=_as_json(answer))

    async def stream(self, exchange: WireRequest) -> WireStream:
        call = self._call(exchange)
        with _translated():
            try:
                lines = aiter(await self._client.chat(**{**call, "stream": True}))
                # The status is known once the first line has come; the client sends nothing before it is asked for.
                first = await anext(lines, None)
            except ollama.ResponseError as problem:
                return FailedStream(_failed(problem))
        return _OllamaStream(first, lines)

    async def aclose(self) -> None:
        self._is_closed = True
        await self._client.close()  # type: ignore[no-untyped-call]  # left without types by the client
        await asyncio.sleep(0)  # the sockets say that they are closed in the next turn of the loop

    def _call(self, exchange: WireRequest) -> Mapping[str, Any]:
        """The arguments of `chat()`. Raises `UnsupportedParameterError` for what the client would lose."""
        if self._is_closed:
            raise ServiceClosedError("The wire is closed.")
        if exchange.path != _CHAT_PATH:
            raise ConfigurationError(
                f"Ollama's client has no method for {exchange.path!r} that gives the answer as it is.",
                field="wire",
                suggestion="Use the wire 'http'.",
            )
        for name in exchange.body.keys() - _TAKEN:
            raise _unsupported(name)
        for name, kind in _TYPED.items():
            for item in objects_in(exchange.body.get(name)):
                if _as_client_sends(kind, item) != item:
                    raise _unsupported(name)
        return exchange.body

    def __repr__(self) -> str:
        return f"<OllamaWire {self._base_url}{' closed' if self._is_closed else ''}>"


class _OllamaStream(WireStream):
    """The lines of a streamed answer, as the client reads them, written down as JSON again."""

    status = 200

    def __init__(self, first: ollama.ChatResponse | None, rest: AsyncIterator[ollama.ChatResponse]) -> None:
        self._first = first
        self._rest = rest
        self.headers: Mapping[str, str] = {}

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        line = self._first
        while line is not None:
            with _translated():
                event = _as_json(line)
            yield event
            with _translated():
                try:
                    line = await anext(self._rest, None)
                except ollama.ResponseError as problem:
                    # In the middle of a stream an error is an event like any other: the adapter reads it.
                    yield {"error": problem.error}
                    return

    async def reply(self) -> WireReply:
        return WireReply(status=self.status, headers=self.headers, json=None)

    async def drain(self) -> None:
        with _translated():
            await anext(self._rest, None)

    async def aclose(self) -> None:
        close = getattr(self._rest, "aclose", None)  # a generator has one, though its type does not say so
        if close is not None:
            await close()


def _as_client_sends(kind: type[BaseModel], item: JsonObject) -> JsonValue:
    try:
        said: JsonValue = kind(**item).model_dump(exclude_none=True, mode="json")
    except PydanticError:
        return None
    return said


def _as_json(answer: ollama.ChatResponse) -> JsonValue:
    body: JsonValue = answer.model_dump(mode="json", exclude_none=True)
    check_value(body)
    return body


def _failed(problem: ollama.ResponseError) -> WireReply:
    status = 500 if problem.status_code == _NO_CONTACT else problem.status_code
    return WireReply(status=status, headers={}, json={"error": problem.error})


def _unsupported(name: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"Ollama's client cannot send {name!r} as it is.", field=name, suggestion="Use the wire 'http'."
    )


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
    except (ValueError, PydanticError, AttributeError, TypeError, RecursionError) as problem:
        failure = MalformedResponseError("Ollama's client could not read the answer.", cause=type(problem).__name__)
    # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
    if failure is not None:
        raise failure
