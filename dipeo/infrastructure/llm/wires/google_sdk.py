"""Google's official client, google-genai, as a wire."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx2
from google import genai
from google.genai import types
from google.genai.client import DebugConfig

from dipeo.domain.errors import ConfigurationError, DipeoError, ServiceClosedError
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires._google_call import PLACEHOLDER_KEY, GoogleAction, read_call, read_list
from dipeo.infrastructure.llm.wires._guarded_httpx2 import guarded_transport
from dipeo.infrastructure.llm.wires._httpx_reply import HttpxResponse, HttpxStream, reply_of
from dipeo.infrastructure.llm.wires._passage import answer_beneath
from dipeo.infrastructure.llm.wires._stainless import TIMEOUT, translated
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

_REPLACED: Final = "-"
"""The client demands contents; the body that is sent takes their place."""


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint; the client is given the key itself, and sends it its own way."""
    check_live_call(endpoint.base_url)
    return GoogleWire(endpoint)


class GoogleWire(Wire):
    """Sends through the client's own methods and reads the bytes of the answer, which the client would not give.

    Its retries, the hidden one too, are off.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._base_url = endpoint.base_url
        # Its own, so that the client does not change to aiohttp, and to a retry of its own, where that is installed.
        self._http = httpx2.AsyncClient(
            follow_redirects=False, timeout=TIMEOUT, transport=guarded_transport(endpoint.base_url)
        )
        self._client = genai.Client(
            api_key=endpoint.key.reveal() if endpoint.key else PLACEHOLDER_KEY,
            # Given, so that the client asks the environment neither for Vertex nor for recordings to replay.
            vertexai=False,
            debug_config=DebugConfig(client_mode=None, replays_directory=None, replay_id=None),
            http_options=types.HttpOptions(base_url=endpoint.base_url, httpx_async_client=self._http),
        )

    async def send(self, exchange: WireRequest) -> WireReply:
        response = await self._answer(exchange)
        with _translated():
            return await reply_of(response)

    async def stream(self, exchange: WireRequest) -> WireStream:
        return HttpxStream(await self._answer(exchange), exchange.framing, _translated)

    async def aclose(self) -> None:
        await self._client.aio.aclose()
        await self._http.aclose()
        await asyncio.sleep(0)  # the sockets say that they are closed in the next turn of the loop

    async def _answer(self, exchange: WireRequest) -> HttpxResponse:
        if self._http.is_closed:
            raise ServiceClosedError("The wire is closed.")
        call = self._list(exchange.path) if exchange.method == "GET" else self._call(exchange.path)
        if call is None:
            raise ConfigurationError(
                f"Google's client has no method for {exchange.path!r}.",
                field="wire",
                suggestion="Use the wire 'http'.",
            )
        with _translated():
            return await answer_beneath(call, exchange)

    def _call(self, path: str) -> Awaitable[object] | None:
        call = read_call(path)
        if call is None:
            return None
        models, model, options = self._client.aio.models, call.model, _options(call.version)
        match call.action:
            case GoogleAction.GENERATE:
                return models.generate_content(
                    model=model, contents=_REPLACED, config=types.GenerateContentConfig(http_options=options)
                )
            case GoogleAction.STREAM:
                return self._first_chunk(model, types.GenerateContentConfig(http_options=options))
            case GoogleAction.EMBED:
                return models.embed_content(
                    model=model, contents=_REPLACED, config=types.EmbedContentConfig(http_options=options)
                )
            case GoogleAction.COUNT:
                return models.count_tokens(
                    model=model, contents=_REPLACED, config=types.CountTokensConfig(http_options=options)
                )

    async def _first_chunk(self, model: str, config: types.GenerateContentConfig) -> None:
        chunks = await self._client.aio.models.generate_content_stream(model=model, contents=_REPLACED, config=config)
        await anext(aiter(chunks))  # the client asks for nothing before

    def _list(self, path: str) -> Awaitable[object] | None:
        page = read_list(path)
        if page is None:
            return None
        return self._client.aio.models.list(
            config=types.ListModelsConfig(
                page_size=page.size, page_token=page.token, http_options=_options(page.version)
            )
        )

    def __repr__(self) -> str:
        return f"<GoogleWire {self._base_url}{' closed' if self._http.is_closed else ''}>"


def _options(version: str) -> types.HttpOptions:
    return types.HttpOptions(api_version=version, retry_options=types.HttpRetryOptions(attempts=1))


@contextmanager
def _translated() -> Iterator[None]:
    failure: DipeoError | None = None
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as problem:
        failure = translated(problem)
    # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
    if failure is not None:
        raise failure
