"""The transport of Google's former client, which sits on requests: one origin, bounded answers, no foreign settings."""

import http.client
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse
from urllib3 import exceptions as urllib3_errors

from dipeo.domain.errors import (
    ConfigurationError,
    ConnectFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    DipeoError,
    MalformedResponseError,
)
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.wires._answer_guard import AnswerGuard, bounded
from dipeo.infrastructure.llm.wires._httpx_reply import HttpxResponse
from dipeo.infrastructure.llm.wires._own_thread import in_own_thread
from dipeo.infrastructure.llm.wires._passage import answer_beneath, passage_here
from dipeo.infrastructure.llm.wires._proxy import proxy_for
from dipeo.infrastructure.llm.wires.limits import ACCEPTED_CODINGS, CONNECT_TIMEOUT_S

_KEPT_CONNECTIONS: Final = 100
_READ_BYTES: Final = 64 * 1024
READ_TIMEOUT_S: Final = 600.0
"""A thread cannot be interrupted: one whose caller has left ends with the head of the answer, or with this."""


async def answer_in_thread(call: Callable[[], object], exchange: WireRequest, base_url: str) -> HttpxResponse:
    """The answer to the request that a client's blocking method makes, its body unread.

    Raises what the client raises before there is an answer.
    """
    errand = _Errand(base_url + exchange.path)
    token = _ERRAND.set(errand)
    is_there = False
    try:
        answer = await answer_beneath(in_own_thread(call), exchange)
        is_there = True
    finally:
        _ERRAND.reset(token)
        if not is_there:
            errand.abandon()
    return answer


class _Errand:
    """What the thread that makes a request shares with its caller, who may leave before there is an answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._answer: _ThreadedAnswer | None = None
        self._is_abandoned = False

    def note(self, answer: "_ThreadedAnswer") -> None:
        self._answer = answer
        if self._is_abandoned:
            answer.close()

    def abandon(self) -> None:
        self._is_abandoned = True
        if self._answer is not None:
            self._answer.close()


_ERRAND: ContextVar[_Errand] = ContextVar("errand")


class _ThreadedAnswer(HttpxResponse):
    """An answer whose bytes are read in threads, one chunk after the other."""

    def __init__(self, status: int, headers: Mapping[str, str], raw: HTTPResponse, coding: str) -> None:
        self._status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._raw = raw
        self._coding = coding

    @property
    def status_code(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    async def aiter_bytes(self) -> AsyncGenerator[bytes, None]:
        chunks = _chunks(self._raw)

        async def read() -> AsyncGenerator[bytes, None]:
            while chunk := await in_own_thread(partial(next, chunks, b"")):
                yield chunk

        async for piece in bounded(read(), self._coding):
            yield piece

    async def aclose(self) -> None:
        await in_own_thread(self.close)

    def close(self) -> None:
        """Closes the connection, or gives it back where all is read. A thread that reads sees the end."""
        # Where the connection is given back already, or a urllib3 too old for such a method, there is nothing to stop.
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            self._raw.shutdown()
        self._raw.close()
        self._raw.release_conn()


def _chunks(raw: HTTPResponse) -> Iterator[bytes]:
    """The bytes as they come, still compressed."""
    if raw.chunked:
        yield from raw.read_chunked(_READ_BYTES, decode_content=False)
        return
    while chunk := raw.read1(_READ_BYTES, decode_content=False):
        yield chunk


def guard_session(session: requests.Session, base_url: str) -> None:
    """Binds a session to this address and bounds its answers.

    It then obeys no variable of the environment and no netrc, but for a proxy that `proxy_for` finds; keeps no cookie,
    and follows no redirect. Raises `ConfigurationError` for a proxy that cannot be used.
    """
    session.trust_env = False
    proxy = proxy_for(base_url)
    if proxy is not None:
        if urlsplit(proxy).scheme not in _PROXY_SCHEMES:
            # Without the address: that of a proxy may hold a password.
            raise ConfigurationError(
                "The proxy that the environment names cannot be used.",
                field="wire",
                suggestion="Look at HTTPS_PROXY and ALL_PROXY, or use the wire 'http', which uses no proxy.",
            )
        session.proxies = {"http": proxy, "https": proxy}
    adapter = _GuardedAdapter(AnswerGuard(base_url))
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)


_PROXY_SCHEMES: Final = frozenset({"http", "https"})


class _Address(NamedTuple):
    scheme: str
    host: str
    port: int | None


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, guard: AnswerGuard) -> None:
        super().__init__(pool_connections=1, pool_maxsize=_KEPT_CONNECTIONS, max_retries=0)
        self._guard = guard

    def send(self, request: requests.PreparedRequest, *args: Any, **settings: Any) -> requests.Response:  # noqa: ANN401  # handed on as they are
        """Sends our request in place of the client's, and raises `AnswerKeptError` once there is an answer to it.

        So no session follows a redirect, sends again what was refused with 401, or keeps a cookie.
        """
        passage, errand = passage_here(), _ERRAND.get()
        if passage is None:
            raise ConfigurationError("The provider's client makes a request that nobody asked for.", field="wire")
        passage.check_first()
        request.prepare_url(errand.url, None)
        parts = urlsplit(str(request.url))
        self._guard.check_address(_Address(parts.scheme, parts.hostname or "", parts.port))
        body = passage.content()
        request.body = body
        request.headers = CaseInsensitiveDict(
            passage.headers({name: str(value) for name, value in request.headers.items()})
        )
        request.headers.update({"accept-encoding": ACCEPTED_CODINGS, "content-length": str(len(body))})
        settings |= {"stream": True, "timeout": (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)}
        response = super().send(request, *args, **settings)
        try:
            coding = self._guard.check_head(_lines(response.raw), response.headers.get("content-encoding", ""))
        except MalformedResponseError:
            response.close()
            raise
        answer = _ThreadedAnswer(response.status_code, response.headers, response.raw, coding)
        errand.note(answer)
        raise passage.keep(answer)

    def close(self) -> None:
        """Closes the connections, which are otherwise left to the garbage collector."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in list(manager.pools.keys()):
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()


def _lines(raw: HTTPResponse) -> list[tuple[bytes, bytes]]:
    """The header lines, those of the same name one by one."""
    fields = raw.headers.iteritems()
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in fields]


def translated(problem: BaseException) -> DipeoError:
    """Our error for one of requests' or of what lies below; its text is not kept, because it may quote a header."""
    chain = list(_chain(problem))
    for theirs, ours, facts in _TRANSLATIONS:
        found = next((each for each in chain if isinstance(each, theirs)), None)
        if isinstance(found, DipeoError):
            return found
        if found is not None:
            return ours(cause=type(found).__name__, **facts)
    return ConnectionLostError(cause=type(problem).__name__)


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    """The exception and what it came from, outermost first."""
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


_NOT_HTTP: Final = {"message": "The provider's answer is not HTTP as it should be."}
_NO_HTTP: Final = {"message": "What answers at the base URL does not speak HTTP.", "sent": True}
_NO_TLS: Final = {"message": "No secure connection could be made to the provider."}
_NO_URL: Final = {"message": "The base URL is not usable."}

# The more telling first: each of requests' own classes stands for several causes.
_TRANSLATIONS: Final[tuple[tuple[type[BaseException], type[DipeoError], Mapping[str, Any]], ...]] = (
    (DipeoError, DipeoError, {}),
    (ssl.SSLError, ConfigurationError, _NO_TLS),
    (http.client.RemoteDisconnected, ConnectionLostError, {}),
    (http.client.BadStatusLine, ConfigurationError, _NO_HTTP),
    (http.client.UnknownProtocol, ConfigurationError, _NO_HTTP),
    (urllib3_errors.InvalidChunkLength, MalformedResponseError, _NOT_HTTP),
    (http.client.IncompleteRead, ConnectionLostError, {}),
    (http.client.HTTPException, MalformedResponseError, _NOT_HTTP),
    (urllib3_errors.InvalidHeader, MalformedResponseError, _NOT_HTTP),
    (urllib3_errors.ConnectTimeoutError, ConnectFailedError, {}),
    (urllib3_errors.NewConnectionError, ConnectFailedError, {}),
    (urllib3_errors.ProxyError, ConnectFailedError, {}),
    (requests.exceptions.Timeout, DeadlineExceededError, {}),
    (requests.exceptions.InvalidURL, ConfigurationError, _NO_URL),
)
