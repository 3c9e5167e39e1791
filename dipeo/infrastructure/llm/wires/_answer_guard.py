"""Bounds for the answers that httpx and httpx2 read, which have none of their own."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from attrs import field, frozen

from dipeo.domain.errors import ConfigurationError, MalformedResponseError
from dipeo.infrastructure.llm.wires.limits import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS

_PLAIN: Final = frozenset({"", "identity"})
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_PIECE_BYTES: Final = 256 * 1024
_ANY_ZLIB: Final = 32 + zlib.MAX_WBITS
"""gzip or zlib, whichever the first bytes say."""

_PORTS: Final = {"http": 80, "https": 443}


class Address(Protocol):
    """What both packages' URLs have in common."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...


Origin = tuple[str, str, int | None]


@frozen
class AnswerGuard:
    """Lets requests to one origin through and bounds what comes back."""

    base_url: str = field(repr=False)
    _origin: Origin = field(init=False)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        object.__setattr__(self, "_origin", _origin(parts.scheme, parts.hostname or "", parts.port))

    def check_address(self, url: Address) -> None:
        """Raises `ConfigurationError` for a request that a client would send elsewhere than it was told to."""
        if _origin(url.scheme, url.host, url.port) != self._origin:
            raise ConfigurationError(
                "The provider's client was about to send the request to another host than the configured one.",
                field="wire",
                suggestion="Look for variables of the client's own in the environment, or use the wire 'http'.",
            )

    def check_head(self, fields: Sequence[tuple[bytes, bytes]], coding: str) -> str:
        """The compression in use, "" for none. Raises `MalformedResponseError` for what is too large or unasked."""
        if len(fields) > MAX_HEADERS:
            raise MalformedResponseError(f"The answer has more than {MAX_HEADERS} headers.")
        if any(len(name) + len(value) > MAX_HEADER_BYTES for name, value in fields):
            raise MalformedResponseError(f"A header of the answer is longer than {MAX_HEADER_BYTES} bytes.")
        coding = coding.strip().lower()
        if coding in _PLAIN:
            return ""
        if coding not in _COMPRESSED:
            raise MalformedResponseError("The answer is compressed in a way that was not asked for.")
        return coding


def _origin(scheme: str, host: str, port: int | None) -> Origin:
    return scheme, host.lower().strip("[]"), port or _PORTS.get(scheme)


async def bounded(chunks: AsyncIterable[bytes], coding: str) -> AsyncGenerator[bytes, None]:
    """The decoded body in pieces. Raises `MalformedResponseError` once it is larger than it may be."""
    unfold = _Unfolding() if coding else None
    size = 0
    async for chunk in chunks:
        for piece in unfold.feed(chunk) if unfold else (chunk,):
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise MalformedResponseError(f"The answer is larger than {MAX_BODY_BYTES} bytes.")
            yield piece
            if len(piece) == _PIECE_BYTES:
                # A small chunk may unfold into very much: other tasks have their turn in between.
                await asyncio.sleep(0)


class _Unfolding:
    """Decompresses gzip, zlib, and the raw deflate that some servers send under its name; bounded in each step."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_ANY_ZLIB)
        self._is_begun = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What the chunk unfolds to, in pieces. Raises `MalformedResponseError` for what is no compressed data."""
        try:
            yield from self._pieces(chunk)
        except zlib.error:
            raise MalformedResponseError("The answer's compression is broken.") from None

    def _pieces(self, rest: bytes) -> Iterator[bytes]:
        while rest:
            if self._inflate.eof:
                # gzip may consist of several members, one behind the other.
                self._inflate = zlib.decompressobj(_ANY_ZLIB)
            piece = self._inflated(rest)
            self._is_begun = True
            rest = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                yield piece

    def _inflated(self, data: bytes) -> bytes:
        try:
            return self._inflate.decompress(data, _PIECE_BYTES)
        except zlib.error:
            if self._is_begun:
                raise
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflate.decompress(data, _PIECE_BYTES)
