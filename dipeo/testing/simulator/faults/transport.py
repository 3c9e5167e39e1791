"""F41 to F55: answers that are too much, no HTTP, or nobody's; and connections that come to nothing."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

from dipeo.domain.attempt import Billed
from dipeo.domain.errors import (
    ConfigurationError,
    ConnectFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    MalformedResponseError,
)
from dipeo.testing.simulator.faults.entry import (
    EVERYBODY,
    MAX_ATTEMPTS,
    Dialect,
    Exceptional,
    FaultCase,
    FaultRow,
    Mode,
    Outcome,
    Place,
    WireName,
    refused,
    unknown,
)
from dipeo.testing.simulator.faults.words import (
    ANTHROPIC,
    CHAT,
    GOOGLE,
    HTML,
    JSON,
    OLLAMA,
    PAGE,
    RESPONSES,
    alike,
    begin,
    each,
    reply,
    stream_type,
    streamed,
    whole,
)
from dipeo.testing.simulator.json_value import encode_json
from dipeo.testing.simulator.steps import Bytes, Chunk, Close, Hang, Headers, Reset, Status, Steps

MIB = 1024 * 1024
TOO_MUCH_BYTES = 66 * MIB
"""A little more than dipeo reads."""

_NEVER_SENT = Outcome(error=ConnectFailedError, requests=0, attempts=MAX_ATTEMPTS, billed=Billed.NO)
_NOT_TRIED = Outcome(error=ConfigurationError, requests=0, attempts=0)
_ONE_BOUND: Mapping[Mode | Dialect, str] = {
    Mode.STREAM: "The bound is the wire's, and the same for a stream.",
    **dict.fromkeys((RESPONSES, ANTHROPIC, GOOGLE), "The bound is the wire's, and does not look at the dialect."),
}


def _everywhere(
    name: str, steps: Steps, outcome: Outcome, *exceptions: Exceptional, is_slow: bool = False
) -> FaultCase:
    """The same steps, however one asks."""
    return FaultCase(
        name=name, unary=alike(steps), stream=alike(steps), outcome=outcome, exceptions=exceptions, is_slow=is_slow
    )


def _unreadable(name: str, value: bytes) -> FaultCase:
    """A good answer with this value in it, which no JSON reader should take."""

    def broken(dialect: Dialect) -> bytes:
        return b'{"deep":' + value + b"," + encode_json(whole(dialect))[1:]

    def streamed_whole(dialect: Dialect) -> Steps:
        text = broken(dialect)
        return streamed(dialect, text + b"\n" if dialect is OLLAMA else b"data: " + text + b"\n\n")

    return FaultCase(
        name=name,
        unary=each(lambda dialect: reply(broken(dialect))),
        stream=each(streamed_whole),
        outcome=unknown(MalformedResponseError),
    )


def _bomb() -> Steps:
    packed = gzip.compress(b" " * TOO_MUCH_BYTES, compresslevel=1, mtime=0)
    return begin(200, JSON, packed, headers={"content-encoding": "gzip"})


_TOO_MUCH = (
    FaultRow(
        id="F41",
        title="JSON that breaks readers: very deep, very long numbers, NaN",
        cases=(
            _unreadable("F41.deep", b"[" * 200_000 + b"]" * 200_000),
            _unreadable("F41.number", b"9" * 5_000),
            _unreadable("F41.nan", b"NaN"),
        ),
        note="A whole answer of this kind is not tried again under any policy; in a stream it is an event as in F61.",
    ),
    FaultRow(
        id="F42",
        title="A small body that unpacks to a large one",
        cases=(
            FaultCase(
                name="F42",
                unary=alike(_bomb(), (CHAT, OLLAMA)),
                outcome=unknown(MalformedResponseError),
                is_heavy=True,
            ),
        ),
        absent=_ONE_BOUND,
    ),
    FaultRow(
        id="F43",
        title="A body that is simply too large",
        cases=(
            FaultCase(
                name="F43",
                unary=alike((*begin(200, JSON), *(Chunk(b" " * MIB),) * (TOO_MUCH_BYTES // MIB)), (CHAT, OLLAMA)),
                outcome=unknown(MalformedResponseError),
                is_heavy=True,
            ),
        ),
        absent=_ONE_BOUND,
    ),
    FaultRow(
        id="F44",
        title="A header that is too long, or too many of them",
        cases=(
            _everywhere(
                "F44.long",
                begin(200, JSON, encode_json(whole(CHAT)), headers={"x-long": "x" * 200_000}),
                unknown(MalformedResponseError),
            ),
            _everywhere(
                "F44.many",
                begin(200, JSON, encode_json(whole(CHAT)), headers={f"x-many-{number}": "x" for number in range(5000)}),
                unknown(MalformedResponseError),
            ),
        ),
    ),
)

_UNREACHED = (
    FaultRow(
        id="F45",
        title="Nobody listens",
        cases=(FaultCase(name="F45", unary=alike(()), stream=alike(()), outcome=_NEVER_SENT, place=Place.CLOSED_PORT),),
    ),
    FaultRow(
        id="F46",
        title="No secure connection comes about",
        cases=(
            FaultCase(
                name="F46",
                unary=alike(()),
                stream=alike(()),
                outcome=_NOT_TRIED,
                place=Place.NO_TLS,
            ),
        ),
        note="Nothing was sent, and nothing is recorded. It is never tried without TLS.",
    ),
    FaultRow(
        id="F47",
        title="The connection is closed before the status line",
        cases=(_everywhere("F47", (Close(),), unknown(ConnectionLostError)),),
    ),
    FaultRow(
        id="F48",
        title="The connection is reset before the status line",
        cases=(_everywhere("F48", (Reset(),), unknown(ConnectionLostError)),),
    ),
    FaultRow(
        id="F49",
        title="The connection is closed after the headers",
        cases=(
            FaultCase(
                name="F49",
                unary=alike((*begin(200, JSON), Close())),
                stream=each(lambda dialect: (*begin(200, stream_type(dialect)), Close())),
                outcome=unknown(ConnectionLostError),
            ),
        ),
    ),
    FaultRow(
        id="F50",
        title="The body is shorter than promised",
        cases=(
            FaultCase(
                name="F50",
                unary=each(
                    lambda dialect: (
                        Status(200),
                        Headers({"content-type": JSON, "content-length": "9999"}),
                        Chunk(encode_json(whole(dialect))),
                        Close(),
                    )
                ),
                outcome=unknown(ConnectionLostError),
            ),
        ),
        absent={Mode.STREAM: "A stream promises no length."},
    ),
    FaultRow(
        id="F51",
        title="Something that is not HTTP",
        cases=(
            _everywhere("F51.lines", (Bytes(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), Close()), refused(ConfigurationError)),
            _everywhere(
                "F51.banner",
                (Bytes(b"SSH-2.0-OpenSSH_9.9\r\n"), Close()),
                refused(ConfigurationError),
                Exceptional(
                    wires=(WireName.SDK,),
                    outcome=unknown(ConnectionLostError),
                    why="httpx waits for an empty line, and sees a server that went away before it.",
                ),
            ),
        ),
    ),
    FaultRow(
        id="F52",
        title="The request is taken, and nothing comes",
        cases=(_everywhere("F52", (Hang(),), unknown(DeadlineExceededError), is_slow=True),),
    ),
    FaultRow(
        id="F53",
        title="dipeo's own connections are all in use",
        cases=(),
        absent=dict.fromkeys(EVERYBODY, "No wire has a limit of connections that a call could wait for."),
    ),
    FaultRow(
        id="F54",
        title="A redirection to somebody else",
        cases=(
            _everywhere(
                "F54",
                begin(307, HTML, PAGE, headers={"location": "http://127.0.0.1:9/v1/elsewhere"}),
                refused(ConfigurationError),
            ),
        ),
        note="It is not followed: neither the key nor the words go there.",
    ),
    FaultRow(
        id="F55",
        title="A redirection in a circle",
        cases=(_everywhere("F55", begin(302, HTML, PAGE, headers={"location": "/"}), refused(ConfigurationError)),),
    ),
)

ROWS = (*_TOO_MUCH, *_UNREACHED)
