"""F27 to F40: answers of status 200 whose content is none, or is not what was asked for."""

from __future__ import annotations

from collections.abc import Mapping

from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import (
    MalformedResponseError,
    OverloadedError,
    ProviderError,
    ToolCallInvalidError,
)
from dipeo.testing.simulator.faults.entry import (
    EVERYBODY,
    Dialect,
    FaultCase,
    FaultRow,
    Mode,
    Outcome,
    answered,
    only,
    retried,
    tried_again_once,
    unknown,
)
from dipeo.testing.simulator.faults.tool_words import streamed_calls, whole_calls
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
    gemini,
    opening,
    problem,
    reply,
    said,
    sse,
    streamed,
    whole,
)
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, encode_json

WHOLE_ALONE: Mapping[Mode | Dialect, str] = {Mode.STREAM: "A stream has no whole body; see F57 to F66."}

NO_STREAM: Mapping[Mode | Dialect, str] = {Mode.STREAM: "F65 is the same for a stream."}
_FILTERED = answered(finish=FinishReason.CONTENT_FILTER)
_LENGTH = {
    CHAT: "length",
    RESPONSES: "max_output_tokens",
    ANTHROPIC: "max_tokens",
    GOOGLE: "MAX_TOKENS",
    OLLAMA: "length",
}
_NOVEL = dict.fromkeys(EVERYBODY, "because")


def _without_text(name: str, finishes: Mapping[Dialect, str], outcome: Outcome) -> FaultCase:
    """Answers that end in these words and say nothing."""
    return FaultCase(
        name=name,
        unary={dialect: reply(whole(dialect, "", finish=finish)) for dialect, finish in finishes.items()},
        stream={
            dialect: streamed(dialect, *opening(dialect), *closing(dialect, "", finish=finish))
            for dialect, finish in finishes.items()
        },
        outcome=outcome,
    )


def _with_text(name: str, finishes: Mapping[Dialect, str], outcome: Outcome) -> FaultCase:
    """Answers that say something and end in these words."""
    return FaultCase(
        name=name,
        unary={dialect: reply(whole(dialect, finish=finish)) for dialect, finish in finishes.items()},
        stream={dialect: streamed(dialect, *frames(dialect, finish=finish)) for dialect, finish in finishes.items()},
        outcome=outcome,
    )


def _gemini_says(name: str, body: JsonObject, outcome: Outcome) -> FaultCase:
    """An answer of Gemini's, whole, and as the only chunk of a stream."""
    return FaultCase(
        name=name, unary={GOOGLE: reply(body)}, stream={GOOGLE: streamed(GOOGLE, sse(body))}, outcome=outcome
    )


def _calls(name: str, arguments: Mapping[Dialect, tuple[JsonValue, ...]], outcome: Outcome) -> FaultCase:
    return FaultCase(
        name=name,
        unary={dialect: reply(whole_calls(dialect, each)) for dialect, each in arguments.items()},
        stream={dialect: streamed(dialect, *streamed_calls(dialect, each)) for dialect, each in arguments.items()},
        outcome=outcome,
    )


def _usage(name: str, asked: int | None, told: int) -> FaultCase:
    """Answers with these counts, or without any."""

    def usage(dialect: Dialect) -> JsonObject:
        return {} if asked is None else dict(zip(_USAGE_NAMES[dialect], (asked, told), strict=True))

    return FaultCase(
        name=name,
        unary=each(lambda dialect: reply(whole(dialect, usage=usage(dialect)))),
        stream=each(lambda dialect: streamed(dialect, *frames(dialect, usage=usage(dialect)))),
        outcome=answered(TEXT),
    )


_USAGE_NAMES = {
    CHAT: ("prompt_tokens", "completion_tokens"),
    RESPONSES: ("input_tokens", "output_tokens"),
    ANTHROPIC: ("input_tokens", "output_tokens"),
    GOOGLE: ("promptTokenCount", "candidatesTokenCount"),
    OLLAMA: ("prompt_eval_count", "eval_count"),
}

_TEXTS: tuple[JsonValue, ...] = ('{"a": 1}',) * 100
_OBJECT: JsonValue = {"a": 1}
_OBJECTS = (_OBJECT,) * 100

_NO_ANSWER = (
    FaultRow(
        id="F27",
        title="Nothing at all",
        cases=(
            FaultCase(
                name="F27",
                unary=alike(reply(b"")),
                stream=alike(begin(200, JSON)),
                outcome=unknown(MalformedResponseError),
            ),
        ),
    ),
    FaultRow(
        id="F28",
        title="A web page, such as that of a hotel's network",
        cases=(
            FaultCase(
                name="F28",
                unary=alike(reply(PAGE, content_type=HTML)),
                stream=alike(begin(200, HTML, PAGE)),
                outcome=unknown(MalformedResponseError),
            ),
        ),
        note="Not tried again under any policy: the page would come again.",
    ),
    FaultRow(
        id="F29",
        title="Half a JSON text",
        cases=(
            FaultCase(
                name="F29",
                unary=each(lambda dialect: reply(encode_json(whole(dialect))[:-20])),
                outcome=unknown(MalformedResponseError),
            ),
        ),
        absent=WHOLE_ALONE,
    ),
    FaultRow(
        id="F30",
        title="An error under the status of an answer",
        cases=(
            FaultCase(
                name="F30.failed",
                unary=said(
                    {
                        CHAT: {"error": {"message": "The provider behind us failed.", "code": 502}},
                        RESPONSES: problem(RESPONSES, 500, "It failed.", "server_error"),
                        OLLAMA: problem(OLLAMA, 500, "It failed."),
                    }
                ),
                outcome=retried(ProviderError),
            ),
            FaultCase(
                name="F30.overloaded",
                unary=said(
                    {
                        ANTHROPIC: problem(ANTHROPIC, 529, "Overloaded", "overloaded_error"),
                        GOOGLE: problem(GOOGLE, 503, "Overloaded", "UNAVAILABLE"),
                    }
                ),
                outcome=retried(OverloadedError),
            ),
        ),
        absent=NO_STREAM,
    ),
    FaultRow(
        id="F31",
        title="JSON without anything in it",
        cases=tuple(
            FaultCase(name=f"F31.{name}", unary=alike(reply(body)), outcome=unknown(MalformedResponseError))
            for name, body in (("null", b"null"), ("object", b"{}"))
        ),
        absent=WHOLE_ALONE,
    ),
    FaultRow(
        id="F32",
        title="An answer without an answer",
        cases=(
            FaultCase(
                name="F32.none",
                unary=said({CHAT: {**whole(CHAT), "choices": []}, GOOGLE: {**whole(GOOGLE), "candidates": []}}),
                outcome=tried_again_once(),
            ),
            _without_text("F32.silent", dict.fromkeys(EVERYBODY, ""), tried_again_once()),
        ),
    ),
)

_ENDINGS = (
    FaultRow(
        id="F33",
        title="The provider keeps its answer back",
        cases=(
            _without_text(
                "F33.answer",
                {CHAT: "content_filter", RESPONSES: "content_filter", ANTHROPIC: "refusal", GOOGLE: "SAFETY"},
                _FILTERED,
            ),
            *(
                _without_text(f"F33.{word.lower()}", {GOOGLE: word}, _FILTERED)
                for word in (
                    "RECITATION",
                    "BLOCKLIST",
                    "PROHIBITED_CONTENT",
                    "SPII",
                    "MODEL_ARMOR",
                    "IMAGE_SAFETY",
                    "IMAGE_PROHIBITED_CONTENT",
                    "IMAGE_RECITATION",
                )
            ),
            *(
                _gemini_says(
                    f"F33.prompt_{word.lower()}",
                    {"promptFeedback": {"blockReason": word}, "usageMetadata": {"promptTokenCount": 5}},
                    _FILTERED,
                )
                for word in (
                    "SAFETY",
                    "OTHER",
                    "BLOCKLIST",
                    "PROHIBITED_CONTENT",
                    "IMAGE_SAFETY",
                    "MODEL_ARMOR",
                    "JAILBREAK",
                )
            ),
        ),
        absent={OLLAMA: "Ollama filters nothing."},
        note="It is an answer: the finish reason says what became of it.",
    ),
    FaultRow(
        id="F34",
        title="Gemini could not write its tool call",
        cases=(
            *(
                _without_text(f"F34.{word.lower()}", {GOOGLE: word}, tried_again_once(ToolCallInvalidError))
                for word in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS")
            ),
            _without_text("F34.malformed_response", {GOOGLE: "MALFORMED_RESPONSE"}, tried_again_once()),
        ),
        absent=only(GOOGLE, why="Google's own finish reasons."),
    ),
    FaultRow(
        id="F35",
        title="Gemini stops before its first word",
        cases=(
            _gemini_says(
                "F35",
                {
                    **gemini(None, None),
                    "candidates": [{"index": 0, "content": {"role": "model"}, "finishReason": "STOP"}],
                },
                tried_again_once(),
            ),
        ),
        absent=only(GOOGLE, why="Seen of Google alone; F32 is its like."),
    ),
    FaultRow(
        id="F36",
        title="A finish reason or a kind of content that nobody has heard of",
        cases=(
            _with_text("F36.finish", _NOVEL, answered(TEXT, FinishReason.OTHER)),
            _without_text("F36.nothing", _NOVEL, tried_again_once()),
            FaultCase(
                name="F36.part",
                unary=said(
                    {
                        ANTHROPIC: {
                            **whole(ANTHROPIC),
                            "content": [{"type": "novelty", "x": 1}, {"type": "text", "text": TEXT}],
                        },
                        GOOGLE: gemini([{"novelty": {"x": 1}}, {"text": TEXT}], "STOP"),
                    }
                ),
                stream={
                    ANTHROPIC: streamed(
                        ANTHROPIC,
                        *opening(ANTHROPIC)[:1],
                        sse({"type": "content_block_start", "index": 5, "content_block": {"type": "novelty"}}),
                        sse({"type": "novelty"}),
                        *frames(ANTHROPIC)[1:],
                    ),
                    GOOGLE: streamed(GOOGLE, sse(gemini([{"novelty": {"x": 1}}, {"text": TEXT}], "STOP"))),
                },
                outcome=answered(TEXT),
            ),
        ),
    ),
    FaultRow(
        id="F37",
        title="An answer that is cut short, or pauses",
        cases=(
            _with_text("F37.length", _LENGTH, answered(TEXT, FinishReason.LENGTH)),
            _with_text("F37.pause", {ANTHROPIC: "pause_turn"}, answered(TEXT, FinishReason.PAUSED)),
        ),
    ),
)

_WITHIN = (
    FaultRow(
        id="F38",
        title="Arguments of a tool call that are no JSON, or were cut off",
        cases=(
            _calls(
                "F38",
                dict.fromkeys(EVERYBODY, ('{"a": 1',)),
                answered(finish=FinishReason.TOOL_CALLS, calls=1, broken_calls=1),
            ),
        ),
        note="The call is told as broken, and no tool is run for it.",
    ),
    FaultRow(
        id="F39",
        title="A hundred calls at once, all with the same id",
        cases=(
            _calls(
                "F39",
                {
                    **dict.fromkeys((CHAT, RESPONSES), _TEXTS),
                    **dict.fromkeys((ANTHROPIC, GOOGLE, OLLAMA), _OBJECTS),
                },
                answered(finish=FinishReason.TOOL_CALLS, calls=100),
            ),
        ),
        note="Each has an id of its own. How many are run, and what becomes of an unknown name, the tool loop decides.",
    ),
    FaultRow(
        id="F40",
        title="Counts of tokens that are missing or make no sense",
        cases=(
            _usage("F40.missing", None, 0),
            _usage("F40.zero", 0, 0),
            _usage("F40.negative", -5, -3),
            _usage("F40.absurd", 10**15, 10**15),
        ),
        note="They are taken for missing: what the answer costs is then not known, and is not zero.",
    ),
)

ROWS = (*_NO_ANSWER, *_ENDINGS, *_WITHIN)
