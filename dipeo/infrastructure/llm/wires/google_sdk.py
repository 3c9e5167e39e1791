"""Google's official client, google-genai, as a wire."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import httpx2
from google import genai
from google.genai import errors, types
from google.genai.client import DebugConfig
from pydantic import ValidationError as PydanticError

from dipeo.domain.errors import ConfigurationError, DipeoError, MalformedResponseError, ServiceClosedError
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires._google_call import PLACEHOLDER_KEY, read_path
from dipeo.infrastructure.llm.wires._guarded_httpx2 import guarded_transport
from dipeo.infrastructure.llm.wires._httpx_reply import reply_from
from dipeo.infrastructure.llm.wires._stainless import TIMEOUT, FailedStream, translated
from dipeo.infrastructure.llm.wires.framing import check_value
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

_URL_SAFE: Final = str.maketrans("-_", "+/")
_REPLACED: Final = "-"
"""The client demands contents; the body that it is given takes their place."""

_BYTES_FIELDS: Final = frozenset({"thoughtSignature", "data"})


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint; the client is given the key itself, and sends it its own way."""
    check_live_call(endpoint.base_url)
    return GoogleWire(endpoint)


class GoogleWire(Wire):
    """Sends through the client's own methods; its retries, the hidden one too, are off."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._base_url = endpoint.base_url
        # Its own, so that the client does not change to aiohttp, and to a retry of its own, where that is installed.
        self._http = httpx2.AsyncClient(
            follow_redirects=False,
            timeout=TIMEOUT,
            event_hooks={"response": [_note_opened]},
            transport=guarded_transport(endpoint.base_url),
        )
        self._client = genai.Client(
            api_key=endpoint.key.reveal() if endpoint.key else PLACEHOLDER_KEY,
            # Given, so that the client asks the environment neither for Vertex nor for recordings to replay.
            vertexai=False,
            debug_config=DebugConfig(client_mode=None, replays_directory=None, replay_id=None),
            http_options=types.HttpOptions(base_url=endpoint.base_url, httpx_async_client=self._http),
        )

    async def send(self, exchange: WireRequest) -> WireReply:
        model, config = self._call(exchange)
        config.should_return_http_response = True
        with _translated():
            try:
                answer = await self._client.aio.models.generate_content(model=model, contents=_REPLACED, config=config)
            except errors.APIError as problem:
                return _failed(problem)
        response = answer.sdk_http_response
        if response is None:
            raise MalformedResponseError("The client gave no answer.")
        return reply_from(200, _lower(response.headers), (response.body or "").encode())

    async def stream(self, exchange: WireRequest) -> WireStream:
        model, config = self._call(exchange)
        opened: list[httpx2.Response] = []
        _OPENED.set(opened)
        with _translated():
            try:
                chunks = await self._client.aio.models.generate_content_stream(
                    model=model, contents=_REPLACED, config=config
                )
                # The status is known once the first chunk has come; the client asks for it no sooner.
                first = await anext(aiter(chunks), None)
            except errors.APIError as problem:
                return FailedStream(_failed(problem))
        return _GoogleStream(first, chunks, opened)

    async def aclose(self) -> None:
        await self._client.aio.aclose()
        await self._http.aclose()
        await asyncio.sleep(0)  # the sockets say that they are closed in the next turn of the loop

    def _call(self, exchange: WireRequest) -> tuple[str, types.GenerateContentConfig]:
        if self._http.is_closed:
            raise ServiceClosedError("The wire is closed.")
        call = read_path(exchange.path)
        if call is None:
            raise ConfigurationError(
                f"Google's client has no method for {exchange.path!r} that gives the answer as it is.",
                field="wire",
                suggestion="Use the wire 'http'.",
            )
        options = types.HttpOptions(
            api_version=call.version,
            headers=dict(exchange.headers) or None,
            extra_body=dict(exchange.body),
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        return call.model, types.GenerateContentConfig(http_options=options)

    def __repr__(self) -> str:
        return f"<GoogleWire {self._base_url}{' closed' if self._http.is_closed else ''}>"


class _GoogleStream(WireStream):
    """The chunks of a streamed answer, as the client reads them, written down as JSON again."""

    status = 200

    def __init__(
        self,
        first: types.GenerateContentResponse | None,
        rest: AsyncIterator[types.GenerateContentResponse],
        opened: Sequence[httpx2.Response],
    ) -> None:
        self._first = first
        self._rest = rest
        self._opened = opened
        response = first.sdk_http_response if first is not None else None
        # Where the client gives no chunk, the answer may still have been a web page, or empty: its headers tell.
        told = response if response is not None else next(iter(opened), None)
        self.headers: Mapping[str, str] = _lower(told.headers if told is not None else None)

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        chunk = self._first
        while chunk is not None:
            with _translated():
                event = _as_json(chunk)
            yield event
            with _translated():
                try:
                    chunk = await anext(self._rest, None)
                except errors.APIError as problem:
                    # In the middle of a stream an error is an event like any other: the adapter reads it.
                    yield problem.details
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
        for response in self._opened:
            # The client leaves that to the garbage collector.
            await response.aclose()


async def _note_opened(response: httpx2.Response) -> None:
    opened = _OPENED.get(None)
    if opened is not None:
        opened.append(response)


_OPENED: ContextVar[list[httpx2.Response]] = ContextVar("opened")
"""The responses of the stream that is being begun in this task."""


def _as_json(chunk: types.GenerateContentResponse) -> JsonValue:
    body: JsonValue = chunk.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"sdk_http_response"})
    check_value(body)
    return _with_plain_bytes(body)


def _with_plain_bytes(value: JsonValue, *, name: str = "") -> JsonValue:
    """The client writes bytes in the URL-safe alphabet; Google sends, and wants back, the usual one."""
    if isinstance(value, dict):
        return {key: _with_plain_bytes(item, name=key) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_plain_bytes(item) for item in value]
    return value.translate(_URL_SAFE) if name in _BYTES_FIELDS and isinstance(value, str) else value


def _failed(problem: errors.APIError) -> WireReply:
    headers = _lower(getattr(problem.response, "headers", None))
    details: JsonValue = problem.details if isinstance(problem.details, dict | list) else None
    return WireReply(
        status=problem.code, headers=headers, json=details, sample="" if details else problem.message or ""
    )


def _lower(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


@contextmanager
def _translated() -> Iterator[None]:
    failure: DipeoError | None = None
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as problem:
        failure = translated(problem)
    except (ValueError, PydanticError, errors.UnknownApiResponseError, RecursionError) as problem:
        failure = MalformedResponseError("Google's client could not read the answer.", cause=type(problem).__name__)
    # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
    if failure is not None:
        raise failure
