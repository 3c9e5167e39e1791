"""F12 to F26: failures and refusals with a status of their own."""

from __future__ import annotations

from dipeo.domain.attempt import Billed
from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    ContextTooLongError,
    EmptyResponseError,
    InvalidRequestError,
    LocalOverloadError,
    ModelNotFoundError,
    OverloadedError,
    ProviderError,
    RequestTooLargeError,
)
from dipeo.domain.verdict import Verdict
from dipeo.testing.simulator.faults.entry import (
    EVERYBODY,
    FaultCase,
    FaultRow,
    Outcome,
    answered,
    only,
    refused,
    retried,
    tried_again_once,
)
from dipeo.testing.simulator.faults.refusals import OPENAI, STATES_CODES, status_case
from dipeo.testing.simulator.faults.words import (
    ANTHROPIC,
    GOOGLE,
    HTML,
    OLLAMA,
    PAGE,
    TEXT,
    alike,
    closing,
    frames,
    pieces,
    reply,
    streamed,
    whole,
)
from dipeo.testing.simulator.json_value import JsonValue
from dipeo.testing.simulator.steps import Sleep

_COLLIDED = {**dict.fromkeys(EVERYBODY, ""), GOOGLE: "ABORTED"}

_ODD_BODIES: tuple[tuple[str, JsonValue], ...] = (
    ("list", [{"error": {"message": "odd", "code": "odd"}}]),
    ("text", "odd"),
    ("word", {"error": "odd"}),
    ("object", {"error": {"message": "odd", "code": "odd"}}),
    ("number", 5),
)

_FAILING = (
    FaultRow(id="F12", title="A failure of the provider's", cases=(status_case("F12", 500, retried(ProviderError)),)),
    FaultRow(
        id="F13",
        title="A gateway's failure, as a web page or without a word",
        cases=tuple(
            FaultCase(name=f"F13.{name}", unary=alike(steps), stream=alike(steps), outcome=retried(ProviderError))
            for name, steps in (
                ("page", reply(PAGE, status=502, content_type=HTML)),
                ("empty", reply(b"", status=504, content_type=HTML)),
            )
        ),
    ),
    FaultRow(
        id="F14",
        title="An overload",
        cases=(
            status_case(
                "F14",
                503,
                retried(OverloadedError),
                codes={
                    **dict.fromkeys(OPENAI, "server_is_overloaded"),
                    GOOGLE: "UNAVAILABLE",
                    OLLAMA: "",
                },
                message="server busy, please try again.  maximum pending requests exceeded",
            ),
        ),
        absent={ANTHROPIC: "Anthropic says it as in F15."},
    ),
    FaultRow(
        id="F15",
        title="Anthropic's status for an overload",
        cases=(status_case("F15", 529, retried(OverloadedError), codes={ANTHROPIC: "overloaded_error"}),),
        absent=only(ANTHROPIC, why="Anthropic's own status."),
    ),
    FaultRow(
        id="F16",
        title="The request came too slowly, collided, or was called off",
        cases=(
            status_case("F16.408", 408, retried(ProviderError)),
            status_case("F16.409", 409, refused(InvalidRequestError), codes=_COLLIDED),
            status_case(
                "F16.499",
                499,
                Outcome(error=ProviderError, billed=Billed.PERHAPS, special_verdict=Verdict.CANCELLED),
                codes={OLLAMA: ""},
                message="request canceled",
            ),
        ),
        note="No provider's documents ask for a retry after 409.",
    ),
    FaultRow(
        id="F17",
        title="The provider's own word on whether to try again",
        cases=(
            status_case(
                "F17.true",
                400,
                refused(InvalidRequestError),
                codes=dict.fromkeys(STATES_CODES, ""),
                headers={"x-should-retry": "true"},
            ),
            status_case(
                "F17.false",
                500,
                refused(ProviderError),
                codes=dict.fromkeys(STATES_CODES, ""),
                headers={"x-should-retry": "false"},
            ),
        ),
        absent={GOOGLE: "Google has no such header.", OLLAMA: "Ollama has no such header."},
        note="`false` is obeyed; `true` cannot make a bad request good.",
    ),
)

_REFUSING = (
    FaultRow(
        id="F18",
        title="The conversation is longer than the model's window",
        cases=(
            status_case(
                "F18.code",
                400,
                refused(ContextTooLongError),
                codes=dict.fromkeys(OPENAI, "context_length_exceeded"),
            ),
            status_case(
                "F18.claude",
                400,
                refused(ContextTooLongError),
                codes={ANTHROPIC: "invalid_request_error"},
                message="prompt is too long: 210000 tokens > 200000 maximum",
            ),
            *(
                status_case(
                    f"F18.gemini{status}",
                    status,
                    refused(ContextTooLongError),
                    codes={GOOGLE: code},
                    message="The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                )
                for status, code in ((400, "INVALID_ARGUMENT"), (500, "INTERNAL"))
            ),
            FaultCase(
                name="F18.midway",
                unary={ANTHROPIC: reply(whole(ANTHROPIC, finish="model_context_window_exceeded"))},
                stream={
                    ANTHROPIC: streamed(ANTHROPIC, *frames(ANTHROPIC, finish="model_context_window_exceeded")),
                },
                outcome=answered(TEXT, FinishReason.LENGTH),
            ),
        ),
        absent={OLLAMA: "Ollama shortens the conversation itself, and does not say so."},
        note="A window that is full in the middle of an answer cuts it short, as a token limit does.",
    ),
    FaultRow(
        id="F19",
        title="A refused key, which the provider repeats",
        cases=(
            status_case(
                "F19",
                401,
                refused(APIKeyRefusedError),
                codes={
                    **dict.fromkeys(OPENAI, "invalid_api_key"),
                    ANTHROPIC: "authentication_error",
                    GOOGLE: "UNAUTHENTICATED",
                    OLLAMA: "",
                },
                message="Incorrect API key provided: {credential}.",
            ),
        ),
        note="The key is in no error.",
    ),
    FaultRow(
        id="F20",
        title="The account may not do this",
        cases=(
            status_case(
                "F20",
                403,
                refused(AccessDeniedError),
                codes={
                    **dict.fromkeys(OPENAI, "unsupported_country_region_territory"),
                    ANTHROPIC: "permission_error",
                    GOOGLE: "PERMISSION_DENIED",
                    OLLAMA: "",
                },
            ),
        ),
    ),
    FaultRow(
        id="F21",
        title="A model that is not there",
        cases=(
            status_case(
                "F21",
                404,
                refused(ModelNotFoundError),
                codes={
                    **dict.fromkeys(OPENAI, "model_not_found"),
                    ANTHROPIC: "not_found_error",
                    GOOGLE: "NOT_FOUND",
                    OLLAMA: "",
                },
                message='model "m" not found, try pulling it first',
            ),
        ),
    ),
    FaultRow(
        id="F22",
        title="A request that is too large, refused in front of the provider or by it",
        cases=(
            FaultCase(
                name="F22.edge",
                unary=alike(reply(PAGE, status=413, content_type=HTML)),
                stream=alike(reply(PAGE, status=413, content_type=HTML)),
                outcome=refused(RequestTooLargeError),
            ),
            status_case(
                "F22.decoded",
                400,
                refused(RequestTooLargeError),
                codes={ANTHROPIC: "invalid_request_error"},
                details={"error_code": "request_body_too_large_after_decoding"},
            ),
        ),
    ),
    FaultRow(
        id="F23",
        title="Error bodies of unexpected shapes",
        cases=tuple(
            FaultCase(
                name=f"F23.{name}",
                unary=alike(reply(body, status=500)),
                stream=alike(reply(body, status=500)),
                outcome=retried(ProviderError),
            )
            for name, body in _ODD_BODIES
        ),
    ),
    FaultRow(
        id="F24",
        title="The local server has too little memory for the model",
        cases=(
            status_case(
                "F24",
                500,
                refused(LocalOverloadError),
                codes={OLLAMA: ""},
                message="model requires more system memory (5.0 GiB) than is available (3.9 GiB)",
            ),
        ),
        absent=only(OLLAMA, why="Ollama alone runs on the caller's machine."),
    ),
    FaultRow(
        id="F25",
        title="The local server loads the model first, or says that it did nothing else",
        cases=(
            *(
                FaultCase(
                    name=f"F25.{word}",
                    unary={OLLAMA: reply(whole(OLLAMA, "", finish=word))},
                    stream={OLLAMA: streamed(OLLAMA, *closing(OLLAMA, finish=word))},
                    outcome=tried_again_once(EmptyResponseError),
                )
                for word in ("load", "unload")
            ),
            FaultCase(
                name="F25.late",
                unary={OLLAMA: (Sleep(0.03), *reply(whole(OLLAMA)))},
                stream={OLLAMA: (Sleep(0.03), *streamed(OLLAMA, *pieces(OLLAMA), *closing(OLLAMA)))},
                outcome=answered(TEXT),
            ),
        ),
        absent=only(OLLAMA, why="Ollama alone loads models."),
    ),
    FaultRow(
        id="F26",
        title="Ollama's cloud is not reached, or asks for a sign-in",
        cases=(
            status_case("F26.cloud", 502, retried(ProviderError), codes={OLLAMA: ""}, message="upstream not reached"),
            status_case(
                "F26.signin",
                401,
                refused(APIKeyRefusedError),
                codes={OLLAMA: ""},
                message="unauthorized",
                signin_url="https://example.invalid/connect?key=abc",
            ),
        ),
        absent=only(OLLAMA, why="Ollama's own."),
        note="The address is not followed.",
    ),
)

ROWS = (*_FAILING, *_REFUSING)
