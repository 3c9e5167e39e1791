"""google-generativeai, Google's former client, as a wire: its support ended on 2025-11-30.

For those who are bound to it. It speaks REST from threads, because its async calls block the event loop.
"""

import asyncio
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from dipeo.domain.errors import ConfigurationError, DipeoError, MalformedResponseError, ServiceClosedError
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.wires._google_call import PLACEHOLDER_KEY, GoogleAction, read_path
from dipeo.infrastructure.llm.wires._guarded_requests import answer_in_thread, guard_session, translated
from dipeo.infrastructure.llm.wires._httpx_reply import HttpxResponse, HttpxStream, reply_of
from dipeo.infrastructure.llm.wires._own_thread import in_own_thread
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

with warnings.catch_warnings():
    # Its packages say on import that they are no longer supported; whoever chose this wire has read so.
    warnings.simplefilter("ignore")
    from google.ai import generativelanguage
    from google.api_core import exceptions as google_errors
    from google.api_core.client_options import ClientOptions
    from google.auth import exceptions as auth_errors
    from requests import exceptions as requests_errors
    from urllib3 import exceptions as urllib3_errors


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint; the client is given the key itself, and sends it its own way."""
    check_live_call(endpoint.base_url)
    return GoogleLegacyWire(endpoint)


class GoogleLegacyWire(Wire):
    """Sends through the client's REST transport and reads the bytes of the answer, which the client would not give.

    Its retries, of up to ten minutes, are off, and so is its second and third request after a 401.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._base_url = endpoint.base_url
        key = endpoint.key.reveal() if endpoint.key else PLACEHOLDER_KEY
        options = ClientOptions(api_endpoint=endpoint.base_url, api_key=key)
        self._client = generativelanguage.GenerativeServiceClient(transport="rest", client_options=options)
        # It offers no other way to the session that it sends through.
        guard_session(self._client.transport._session, endpoint.base_url)
        self._is_closed = False

    async def send(self, exchange: WireRequest) -> WireReply:
        response = await self._answer(exchange)
        with _translated():
            return await reply_of(response)

    async def stream(self, exchange: WireRequest) -> WireStream:
        return HttpxStream(await self._answer(exchange), exchange.framing, _translated)

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await in_own_thread(self._client.transport.close)
            await asyncio.sleep(0)  # the sockets say that they are closed in the next turn of the loop

    async def _answer(self, exchange: WireRequest) -> HttpxResponse:
        if self._is_closed:
            raise ServiceClosedError("The wire is closed.")
        call = self._call(exchange.path)
        if call is None:
            raise ConfigurationError(
                f"google-generativeai has no method for {exchange.path!r}.",
                field="wire",
                suggestion="Use the wire 'http' or 'sdk'.",
            )
        with _translated():
            return await answer_in_thread(call, exchange, self._base_url)

    def _call(self, path: str) -> Callable[[], object] | None:
        """The client's method for this path, with what it demands; the body that is sent takes its place."""
        call = read_path(path)
        if call is None:
            return None
        method, message = {
            GoogleAction.GENERATE: (self._client.generate_content, generativelanguage.GenerateContentRequest),
            GoogleAction.STREAM: (self._client.stream_generate_content, generativelanguage.GenerateContentRequest),
            GoogleAction.EMBED: (self._client.batch_embed_contents, generativelanguage.BatchEmbedContentsRequest),
            GoogleAction.COUNT: (self._client.count_tokens, generativelanguage.CountTokensRequest),
        }[call.action]
        return partial(method, message(model=call.model), retry=None, timeout=None)

    def __repr__(self) -> str:
        return f"<GoogleLegacyWire {self._base_url}{' closed' if self._is_closed else ''}>"


@contextmanager
def _translated() -> Iterator[None]:
    failure: DipeoError | None = None
    try:
        yield
    except (
        requests_errors.RequestException,
        urllib3_errors.HTTPError,
        google_errors.GoogleAPIError,
        auth_errors.GoogleAuthError,
        OSError,
    ) as problem:
        failure = translated(problem)
    except ValueError as problem:
        # What the standard library raises for a chunk of negative size.
        failure = MalformedResponseError(cause=type(problem).__name__)
    # Outside the `except`: there, the library's exception would stay in the chain, and it may quote a header.
    if failure is not None:
        raise failure
