"""What a provider's answer may be, on every wire, over real sockets."""

import asyncio
import gzip
import zlib
from collections.abc import Mapping

import pytest

from dipeo.domain.errors import ConfigurationError, ConnectionLostError, DipeoError, MalformedResponseError
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.wire import Wire, WireRequest
from dipeo.infrastructure.llm.wires.limits import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, MAX_JSON_DEPTH
from tests.wires.raw_server import BODY, KEY, WIRES, answer_with, exchange_for, raw_server, wire_to

each_wire = pytest.mark.parametrize("wire", WIRES)

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_GZIP = b"Content-Encoding: gzip\r\n"
_BOMB = gzip.compress(b" " * (MAX_BODY_BYTES + 8 * 1024 * 1024), 6)


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """An answer in HTTP chunks."""
    sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + sent + b"0\r\n" + trailers + b"\r\n"


def with_headers(count: int) -> bytes:
    """An answer with so many more headers."""
    return answer_with(BODY, headers=b"".join(b"x-%d: 1\r\n" % number for number in range(count)))


def nested(depth: int) -> bytes:
    """An answer that is nested so deeply, itself included."""
    return answer_with(BODY[:-1] + b',"extra":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}")


def with_number(number: bytes) -> bytes:
    """An answer that holds this number."""
    return answer_with(BODY[:-1] + b',"extra":' + number + b"}")


FINE: Mapping[str, bytes] = {
    "a plain body": answer_with(BODY),
    "gzip": answer_with(gzip.compress(BODY), headers=_GZIP),
    "gzip in two members": answer_with(gzip.compress(BODY[:20]) + gzip.compress(BODY[20:]), headers=_GZIP),
    "deflate": answer_with(zlib.compress(BODY), headers=b"Content-Encoding: deflate\r\n"),
    "deflate without its frame": answer_with(zlib.compress(BODY)[2:-4], headers=b"Content-Encoding: deflate\r\n"),
    "a hundred headers": with_headers(100),
    "a folded header": answer_with(BODY, headers=b"x-a: 1\r\n  and more\r\n"),
    "nesting that is still allowed": nested(MAX_JSON_DEPTH),
    "brackets in a text": answer_with(BODY[:-1] + b',"extra":"' + b'[{\\"' * 500 + b'"}'),
    "duplicate keys": answer_with(b'{"model":"other",' + BODY[1:]),
    "chunks": chunked(BODY[:7], BODY[7:]),
    "a chunk for every byte": chunked(*(BODY[index : index + 1] for index in range(len(BODY)))),
    "a chunk with an extension": chunked(BODY).replace(b"\r\n" + BODY[:9], b";a=b\r\n" + BODY[:9]),
    "a trailer": chunked(BODY, trailers=b"x-t: 1\r\n"),
    "no length": _HEAD + b"\r\n" + BODY,
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + answer_with(BODY),
    "103 first, often": b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" * 50 + answer_with(BODY),
    "HTTP/1.0": answer_with(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
}

MALFORMED: Mapping[str, bytes] = {
    "brotli, unasked": answer_with(BODY, headers=b"Content-Encoding: br\r\n"),
    "zstandard, unasked": answer_with(BODY, headers=b"Content-Encoding: zstd\r\n"),
    "compressed twice": answer_with(gzip.compress(gzip.compress(BODY)), headers=b"Content-Encoding: gzip, gzip\r\n"),
    "compressed twice, in two headers": answer_with(gzip.compress(gzip.compress(BODY)), headers=_GZIP * 2),
    "no gzip at all": answer_with(BODY, headers=_GZIP),
    "gzip that is torn": answer_with(gzip.compress(BODY)[:-12], headers=_GZIP),
    "gzip with rubbish behind it": answer_with(gzip.compress(BODY) + b"junkjunk", headers=_GZIP),
    "a gzip bomb": answer_with(_BOMB, headers=_GZIP),
    "a gzip bomb in an error": answer_with(_BOMB, status="500 Internal Server Error", headers=_GZIP),
    "a body beyond the limit": answer_with(b" " * (MAX_BODY_BYTES + 1)),
    "too many headers": with_headers(MAX_HEADERS + 1),
    "5,000 headers": with_headers(5000),
    "a header that is too long": answer_with(BODY, headers=b"x-a: " + b"a" * (MAX_HEADER_BYTES + 1) + b"\r\n"),
    "a header of 200 KB": answer_with(BODY, headers=b"x-a: " + b"a" * 200_000 + b"\r\n"),
    "a header without end": _HEAD + b"x-a: " + b"a" * 3_000_000,
    "nesting for which recursion has no room": nested(1_000),
    "nesting without bound": nested(200_000),
    "nesting beyond the limit": nested(MAX_JSON_DEPTH + 1),
    "nesting that copying has no room for": nested(600),
    "an integer of 5,000 digits": with_number(b"1" * 5_000),
    "NaN": with_number(b"NaN"),
    "an infinity": with_number(b"-Infinity"),
    "a number too large for a float": with_number(b"1e999"),
    "a chunk of no size": _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "a chunk of negative size": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + BODY,
    "a chunk of endless size": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n" + BODY,
    "a length that is too short": _HEAD + b"Content-Length: 30\r\n\r\n" + BODY,
    "a negative length": _HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length in words": _HEAD + b"Content-Length: many\r\n\r\n" + BODY,
    "two lengths": _HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n" + BODY,
    "a blank before the colon": answer_with(BODY, headers=b"x-a : 1\r\n"),
    "NUL in a header": answer_with(BODY, headers=b"x-a: a\x00b\r\n"),
    "an empty body": answer_with(b""),
    "the alarm of TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

LOST: Mapping[str, bytes] = {
    "no last chunk": chunked(BODY)[:-5],
    "a length that is too long": _HEAD + b"Content-Length: 500\r\n\r\n" + BODY,
    "100 and nothing more": b"HTTP/1.1 100 Continue\r\n\r\n",
    "nothing": b"",
}


READ_BY_THE_STANDARD_LIBRARY: Mapping[str, str] = {
    "a hundred headers": "malformed",
    "a negative length": "fine",
    "a length in words": "fine",
    "a blank before the colon": "fine",
    "NUL in a header": "fine",
    "a chunk of endless size": "lost",
}
"""What Google's former client has its answers from: it takes fewer headers, and more that HTTP does not allow."""


def expected(name: str, answers: Mapping[str, bytes], usual: str) -> dict[str, str]:
    """What is to become of each answer."""
    others = READ_BY_THE_STANDARD_LIBRARY if name == "google_legacy" else {}
    return {case: others.get(case, usual) for case in answers}


async def outcomes(name: str, answers: Mapping[str, bytes]) -> dict[str, str]:
    """What becomes of each answer; nothing but our own errors is expected, and never the key in one."""
    found: dict[str, str] = {}
    async with wire_to(name, b"") as (wire, server):
        for case, answer in answers.items():
            server.answer = answer
            async with asyncio.timeout(20):
                found[case] = await outcome(wire, exchange_for(name))
                await server.hang_up()
        assert len(server.seen) == len(answers), "something was sent twice"
    return found


async def outcome(wire: Wire, exchange: WireRequest) -> str:
    """What becomes of one answer."""
    try:
        reply = await wire.send(exchange)
    except (MalformedResponseError, ConfigurationError) as error:
        return "malformed" if KEY not in repr(error.to_dict()) else "leaked"
    except ConnectionLostError:
        return "lost"
    return "malformed" if reply.status == 200 and reply.json is None else "fine"


@each_wire
async def test_unusual_answers_that_http_allows_are_read(wire: str) -> None:
    """Whatever form the same body comes in, it is the same answer."""
    assert await outcomes(wire, FINE) == expected(wire, FINE, "fine")


@each_wire
async def test_answers_that_are_too_large_or_broken_are_malformed(wire: str) -> None:
    """One error of ours, whoever reads the answer; nothing is sent twice."""
    assert await outcomes(wire, MALFORMED) == expected(wire, MALFORMED, "malformed")


@each_wire
async def test_answers_that_stop_in_the_middle_are_lost(wire: str) -> None:
    """The server went away: the outcome is unknown, and nothing is sent twice."""
    assert await outcomes(wire, LOST) == expected(wire, LOST, "lost")


@each_wire
@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content", "304 Not Modified"])
async def test_a_status_without_a_body_is_no_answer(status: str, wire: str) -> None:
    """Nothing waits for a body that never comes, though the connection stays open."""
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    async with wire_to(wire, answer, is_kept=True) as (opened, _), asyncio.timeout(5):
        assert (await opened.send(exchange_for(wire))).status == int(status[:3])


@each_wire
async def test_a_redirect_takes_neither_key_nor_prompt_along(wire: str) -> None:
    """The other server hears nothing, whatever kind of redirect it is, of a whole answer or of a stream."""
    async with raw_server(answer_with(BODY)) as elsewhere, wire_to(wire, b"") as (opened, server):
        location = f"Location: {elsewhere.url}/\r\n".encode()
        for status in (301, 302, 303, 307, 308):
            server.answer = answer_with(b"{}", status=f"{status} Elsewhere", headers=location)
            assert (await opened.send(exchange_for(wire))).status == status
            await server.hang_up()
            stream = await opened.stream(exchange_for(wire, is_stream=True))
            assert stream.status == status
            await stream.aclose()
            await server.hang_up()
        assert len(server.seen) == 10
        assert elsewhere.seen == []


def streamed(wire: str, *events: bytes, is_zipped: bool = False, headers: bytes = b"") -> bytes:
    """A stream of these events, in the wire's framing."""
    said = b"".join(event + b"\n" if wire == "ollama" else b"data: " + event + b"\n\n" for event in events)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + headers + (_GZIP if is_zipped else b"")
    return head + b"\r\n" + (gzip.compress(said) if is_zipped else said)


async def events_of(wire: str, answer: bytes) -> list[JsonValue]:
    """All events of a stream."""
    async with wire_to(wire, answer) as (opened, _), asyncio.timeout(20):
        stream = await opened.stream(exchange_for(wire, is_stream=True))
        try:
            return [event async for event in stream.events()]
        finally:
            await stream.aclose()


@each_wire
@pytest.mark.parametrize("is_zipped", [False, True], ids=["plain", "gzip"])
async def test_a_compressed_stream_is_a_stream(is_zipped: bool, wire: str) -> None:
    """Its events are the same."""
    assert len(await events_of(wire, streamed(wire, BODY, BODY, BODY, is_zipped=is_zipped))) == 3


@each_wire
async def test_a_stream_without_bounds_is_malformed(wire: str) -> None:
    """A stream that unfolds without end, has too many headers or nests too deeply ends with our error."""
    many = b"".join(b"x-%d: 1\r\n" % number for number in range(MAX_HEADERS))
    for answer in (
        _HEAD + _GZIP + b"\r\n" + _BOMB,
        streamed(wire, BODY, headers=many),
        streamed(wire, BODY, b"[" * 5_000 + b"]" * 5_000),
        _HEAD + _GZIP + b"\r\n" + gzip.compress(b"\n") + b"no gzip",
    ):
        with pytest.raises(MalformedResponseError):
            await events_of(wire, answer)


@each_wire
async def test_the_error_instead_of_a_stream_is_bounded_too(wire: str) -> None:
    """Some clients read it at once, others leave it to us."""
    answer = answer_with(_BOMB, status="429 Too Many Requests", headers=_GZIP)
    async with wire_to(wire, answer) as (opened, _):

        async def ask() -> None:
            await (await opened.stream(exchange_for(wire, is_stream=True))).reply()

        with pytest.raises(MalformedResponseError):
            await ask()


@each_wire
async def test_what_lies_beyond_the_limit_is_not_even_fetched(wire: str) -> None:
    """A body of 110 MiB is given up after 64 MiB and what the buffers on the way hold."""
    body = b" " * (110 * 1024 * 1024)
    async with wire_to(wire, _HEAD + b"\r\n" + body) as (opened, server):
        with pytest.raises(DipeoError):
            await opened.send(exchange_for(wire))
        await asyncio.sleep(0.01)
        assert server.sent < MAX_BODY_BYTES + 16 * 1024 * 1024
