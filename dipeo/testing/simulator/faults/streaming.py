"""F56 to F70: streams that break off, stand still, or hold what they should not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import (
    MalformedResponseError,
    OverloadedError,
    ProviderError,
)
from dipeo.testing.simulator.faults.entry import (
    EVERYBODY,
    Dialect,
    FaultCase,
    FaultRow,
    Mode,
    Outcome,
    answered,
    broken_off,
    only,
    retried,
    tried_again_once,
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
    TEXT,
    alike,
    begin,
    closing,
    each,
    frames,
    line,
    opening,
    piece,
    pieces,
    problem,
    sse,
    stream_type,
    streamed,
    whole,
)
from dipeo.testing.simulator.json_value import encode_json
from dipeo.testing.simulator.steps import Close, Hang, Reset, Sleep, Step, Steps

STREAM_ALONE: Mapping[Mode | Dialect, str] = {Mode.UNARY: "Only a stream has a beginning before its end."}
KEEP_ALIVE_S = 0.02
_KEEP_ALIVES = {
    CHAT: b": still here\n\n",
    RESPONSES: b": still here\n\n",
    ANTHROPIC: b'event: ping\ndata: {"type": "ping"}\n\n',
    GOOGLE: b": still here\n\n",
    OLLAMA: b"\n",
}


def _after_text(name: str, *then: Step, is_slow: bool = False) -> FaultCase:
    """Text, and then this."""
    return FaultCase(
        name=name,
        stream=each(lambda dialect: streamed(dialect, *pieces(dialect), then=then)),
        outcome=broken_off(TEXT),
        is_slow=is_slow,
    )


def _framed(
    name: str,
    make: Callable[[Dialect], Steps],
    outcome: Outcome,
    dialects: tuple[Dialect, ...] = EVERYBODY,
) -> FaultCase:
    return FaultCase(name=name, stream=each(make, dialects), outcome=outcome)


def _event(dialect: Dialect, data: bytes) -> bytes:
    """Bytes where an event's JSON stands."""
    return data + b"\n" if dialect is OLLAMA else b"data: " + data + b"\n\n"


def _error(dialect: Dialect) -> bytes:
    """The provider's error inside a stream."""
    code = {ANTHROPIC: "overloaded_error", GOOGLE: "UNAVAILABLE"}.get(dialect, "server_error")
    body = problem(dialect, 503, "Something broke.", code if dialect is not OLLAMA else "")
    return line(body) if dialect is OLLAMA else sse(body)


_OVERLOADED = {ANTHROPIC: "overloaded_error", GOOGLE: "UNAVAILABLE"}


def _bytewise(dialect: Dialect) -> tuple[bytes, ...]:
    """A whole stream, a byte at a time."""
    return tuple(bytes([byte]) for byte in b"".join(frames(dialect)))


_BREAKING = (
    FaultRow(
        id="F56",
        title="The connection breaks after some text",
        cases=(_after_text("F56.close", Close()), _after_text("F56.reset", Reset())),
        absent=STREAM_ALONE,
        note="The text is on the error, and nothing is begun again.",
    ),
    FaultRow(
        id="F57",
        title="The stream ends well, without the provider's own end",
        cases=(_after_text("F57"),),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F58",
        title="The stream ends well, in the middle of an event",
        cases=(
            _framed(
                "F58",
                lambda dialect: streamed(dialect, *pieces(dialect), piece(dialect, " four")[:-12]),
                broken_off(TEXT),
            ),
        ),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F59",
        title="The provider's error in the middle of a stream, or in place of one",
        cases=(
            _framed("F59", lambda dialect: streamed(dialect, *pieces(dialect), _error(dialect)), broken_off(TEXT)),
            _framed(
                "F59.first",
                lambda dialect: streamed(dialect, *opening(dialect), _error(dialect)),
                retried(ProviderError),
                dialects=(CHAT, RESPONSES, OLLAMA),
            ),
            _framed(
                "F59.overloaded",
                lambda dialect: streamed(dialect, *opening(dialect), _error(dialect)),
                retried(OverloadedError),
                dialects=(ANTHROPIC, GOOGLE),
            ),
        ),
        absent={Mode.UNARY: "F30 is the same for a whole answer."},
    ),
    FaultRow(
        id="F60",
        title="The ways in which OpenAI's responses end",
        cases=(
            *(
                _framed(
                    f"F60.{name}",
                    lambda dialect, event=event: streamed(dialect, *pieces(dialect), event),  # type: ignore[misc]
                    outcome,
                    dialects=(RESPONSES,),
                )
                for name, event, outcome in (
                    (
                        "failed",
                        sse(
                            {
                                "type": "response.failed",
                                "response": {"status": "failed", "error": {"code": "server_error", "message": "No."}},
                            }
                        ),
                        broken_off(TEXT),
                    ),
                    (
                        "error",
                        sse({"type": "error", "code": "server_error", "message": "No.", "param": None}),
                        broken_off(TEXT),
                    ),
                    (
                        "incomplete",
                        closing(RESPONSES, finish="max_output_tokens")[0],
                        answered(TEXT, FinishReason.LENGTH),
                    ),
                    ("marker", b"data: [DONE]\n\n", broken_off(TEXT)),
                )
            ),
        ),
        absent={**STREAM_ALONE, **only(RESPONSES, why="OpenAI's responses alone.")},
    ),
    FaultRow(
        id="F61",
        title="An event that is no JSON",
        cases=(
            _framed(
                "F61.later",
                lambda dialect: streamed(dialect, *pieces(dialect), _event(dialect, b'{"a": oops}'), *closing(dialect)),
                broken_off(TEXT),
            ),
            _framed(
                "F61.first",
                lambda dialect: streamed(dialect, _event(dialect, b'{"a": oops}'), *frames(dialect)),
                unknown(MalformedResponseError),
            ),
        ),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F62",
        title="Silence after some text",
        cases=(_after_text("F62", Hang(), is_slow=True),),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F63",
        title="Signs of life for ever, and no content",
        cases=(
            FaultCase(
                name="F63",
                stream=each(
                    lambda dialect: streamed(
                        dialect,
                        *pieces(dialect),
                        then=(*begin(200, "", _KEEP_ALIVES[dialect])[2:], Sleep(KEEP_ALIVE_S)) * 200,
                    ),
                    (CHAT, RESPONSES, ANTHROPIC, GOOGLE, OLLAMA),
                ),
                outcome=broken_off(TEXT),
                is_slow=True,
            ),
        ),
        absent=STREAM_ALONE,
    ),
)

_HOLDING = (
    FaultRow(
        id="F64",
        title="A comment or an empty line between events",
        cases=(
            _framed(
                "F64",
                lambda dialect: streamed(dialect, *pieces(dialect), _KEEP_ALIVES[dialect], *closing(dialect)),
                answered(TEXT),
            ),
        ),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F65",
        title="One JSON text, or a web page, in place of a stream",
        cases=(
            FaultCase(
                name="F65.page",
                stream=alike(begin(200, HTML, PAGE)),
                outcome=unknown(MalformedResponseError),
            ),
            _framed(
                "F65.whole",
                lambda dialect: begin(200, JSON, encode_json(whole(dialect))),
                unknown(MalformedResponseError),
            ),
            _framed(
                "F65.error",
                lambda dialect: begin(200, JSON, encode_json(problem(dialect, 500, "It failed.", "server_error"))),
                retried(ProviderError),
                dialects=(CHAT, RESPONSES, OLLAMA),
            ),
            _framed(
                "F65.overloaded",
                lambda dialect: begin(
                    200, JSON, encode_json(problem(dialect, 503, "Overloaded", _OVERLOADED[dialect]))
                ),
                retried(OverloadedError),
                dialects=(ANTHROPIC, GOOGLE),
            ),
        ),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F66",
        title="A stream without any event",
        cases=(_framed("F66", lambda dialect: begin(200, stream_type(dialect)), tried_again_once()),),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F67",
        title="More text after the end",
        cases=(
            _framed(
                "F67",
                lambda dialect: streamed(dialect, *frames(dialect), piece(dialect, " and more")),
                answered(TEXT),
            ),
        ),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F68",
        title="Line separators of Unicode inside the text",
        cases=(
            _framed(
                "F68",
                lambda dialect: streamed(dialect, *frames(dialect, ("One\u2028", "two\u0085", "three"))),
                answered("One\u2028two\u0085three"),
            ),
        ),
        absent=STREAM_ALONE,
    ),
    FaultRow(
        id="F69",
        title="Bytes that are no UTF-8",
        cases=(
            _framed(
                "F69",
                lambda dialect: streamed(dialect, *(frame.replace(b"two", b"tw\xff") for frame in frames(dialect))),
                answered("One tw\ufffd three"),
            ),
        ),
        absent=STREAM_ALONE,
        note="Each stands as U+FFFD in the text; nothing else tells of it.",
    ),
    FaultRow(
        id="F70",
        title="Streams that are well, cut in unusual places",
        cases=(
            _framed("F70.usage", lambda dialect: streamed(dialect, *frames(dialect)), answered(TEXT)),
            _framed("F70.bytes", lambda dialect: streamed(dialect, *_bytewise(dialect)), answered(TEXT)),
            _framed(
                "F70.crlf",
                lambda dialect: streamed(dialect, *(frame.replace(b"\n", b"\r\n") for frame in frames(dialect))),
                answered(TEXT),
            ),
        ),
        absent=STREAM_ALONE,
    ),
)

ROWS = (*_BREAKING, *_HOLDING)
