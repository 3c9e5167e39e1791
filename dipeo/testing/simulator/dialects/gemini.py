"""Gemini generateContent and streamGenerateContent."""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs

from dipeo.testing.simulator.dialects._gemini_errands import find_errand
from dipeo.testing.simulator.dialects._gemini_reply import ending, streamed_parts, whole_parts
from dipeo.testing.simulator.dialects._gemini_request import match_generation, parse_generation
from dipeo.testing.simulator.dialects._reading import bearer_token, is_wrong_key
from dipeo.testing.simulator.exchange import (
    Answer,
    Document,
    Errand,
    Incoming,
    ParsedCall,
    Problem,
    RefusalError,
    StreamFrames,
    refuse,
)
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, encode_pretty_json

# status -> (status word, message)
_USUAL = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    402: ("RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    429: (
        "RESOURCE_EXHAUSTED",
        (
            "You exceeded your current quota, please check your plan and billing details. "
            "For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
        ),
    ),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API."
)
_WRONG_KEY = "API key not valid. Please pass a valid API key."


@attrs.frozen(slots=True, kw_only=True)
class _Framing:
    """How the responses of a stream are told apart."""

    content_type: str
    opening: tuple[bytes, ...]
    prefix: bytes
    encode: Callable[[JsonValue], bytes]
    separator: bytes
    ending: bytes

    def frame(self, value: JsonObject, end: bytes) -> bytes:
        """One response with what follows it."""
        return self.prefix + self.encode(value).rstrip() + end


def _encode_spaced(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ": ")).encode()


_SSE = _Framing(
    content_type="text/event-stream",
    opening=(),
    prefix=b"data: ",
    encode=_encode_spaced,
    separator=b"\r\n\r\n",
    ending=b"\r\n\r\n",
)
# Without alt=sse the stream is one JSON array that grows.
_ARRAY = _Framing(
    content_type="application/json; charset=UTF-8",
    opening=(b"[",),
    prefix=b"",
    encode=encode_pretty_json,
    separator=b"\n,\r\n",
    ending=b"\n]\n",
)


@attrs.frozen(slots=True)
class GeminiDialect:
    """The Gemini API, versions v1beta and v1."""

    service: str = attrs.field(default="google", init=False)
    sdk_suffix: str = attrs.field(default="", init=False)

    def credential(self, incoming: Incoming) -> str | None:
        """The `x-goog-api-key` header, the `key` parameter, or a bearer token."""
        key = incoming.headers.get("x-goog-api-key") or incoming.query.get("key")
        return key or bearer_token(incoming)

    def check_credential(self, incoming: Incoming, credential: str | None) -> None:
        """403 without a key, 400 for one that says it is wrong."""
        if credential is None:
            raise refuse(403, _NO_KEY)
        if is_wrong_key(credential):
            raise RefusalError(Problem(status=400, message=_WRONG_KEY, details=_wrong_key_details()))

    def errand(self, incoming: Incoming) -> Errand | None:
        """Models, token counts and embeddings."""
        answer = find_errand(incoming)
        return None if answer is None else lambda: _document(answer())

    def is_completion(self, incoming: Incoming) -> bool:
        """POST to a model's generateContent or streamGenerateContent."""
        return incoming.method == "POST" and match_generation(incoming.path) is not None

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read and check the path and the body."""
        return parse_generation(incoming)

    def render(self, call: ParsedCall, answer: Answer) -> Document:
        """One response."""
        parts = whole_parts(call, answer)
        return _document(_response(call, answer, parts, answer.output_tokens, is_last=True))

    def render_stream(self, call: ParsedCall, answer: Answer) -> StreamFrames:
        """A response for each part; the last of them comes with the finish reason."""
        parts = streamed_parts(call, answer)
        least = answer.reasoning_tokens
        responses = [
            _response(call, answer, [part], min(index + 1 + least, answer.output_tokens), is_last=False)
            for index, part in enumerate(parts)
        ]
        last = _response(call, answer, parts[-1:], answer.output_tokens, is_last=True)
        framing = _SSE if call.incoming.query.get("alt") == "sse" else _ARRAY
        return StreamFrames(
            headers={"content-type": framing.content_type, **_service_headers()},
            opening=framing.opening,
            pieces=tuple(framing.frame(response, framing.separator) for response in responses),
            closing=(framing.frame(last, framing.ending),),
            is_last_piece_in_closing=bool(parts),
        )

    def render_problem(self, incoming: Incoming, problem: Problem) -> Document:
        """The error envelope; with alt=sse it has the stream's content type but not its framing."""
        document = attrs.evolve(_document(_error(problem)), status=problem.status)
        if incoming.query.get("alt") == "sse":
            return attrs.evolve(document, headers={**document.headers, "content-type": "text/event-stream"})
        return document

    def render_error_event(self, call: ParsedCall, problem: Problem) -> bytes:
        """The error envelope as one more event."""
        framing = _SSE if call.incoming.query.get("alt") == "sse" else _ARRAY
        return framing.frame(_error(problem), framing.ending)

    def unknown_path(self, incoming: Incoming) -> Problem:
        """Gemini's words for a path it does not know."""
        return Problem(status=404)


def _response(
    call: ParsedCall, answer: Answer, parts: list[JsonObject], output_tokens: int, *, is_last: bool
) -> JsonObject:
    candidate: JsonObject = {}
    if parts or answer.finish != "content_filter":
        # An answer without parts has content all the same; a filtered one has no content at all.
        filled: JsonObject = {"parts": [*parts]} if parts else {}
        candidate["content"] = {**filled, "role": "model"}
    candidate = {**candidate, **(ending(answer) if is_last else {"index": 0})}
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(answer, output_tokens),
        "modelVersion": answer.model,
        "responseId": call.incoming.token("reply", 23),
    }


def _usage(answer: Answer, output_tokens: int) -> JsonObject:
    usage: JsonObject = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": output_tokens - answer.reasoning_tokens,
        "totalTokenCount": answer.input_tokens + output_tokens,
    }
    if answer.cached_tokens:
        usage["cachedContentTokenCount"] = answer.cached_tokens
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": answer.cached_tokens}]
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": answer.input_tokens}]
    if answer.reasoning_tokens:
        usage["thoughtsTokenCount"] = answer.reasoning_tokens
    return usage


def _error(problem: Problem) -> JsonObject:
    usual = _USUAL.get(problem.status) or (_USUAL[500] if problem.status >= 500 else _USUAL[400])
    error: JsonObject = {
        "code": problem.status,
        "message": problem.message or usual[1],
        "status": problem.code or usual[0],
    }
    details = _quota_details(problem) if problem.status == 429 and problem.details is None else problem.details
    if details is not None:
        error["details"] = details
    return {"error": error}


def _quota_details(problem: Problem) -> JsonValue:
    details: list[JsonValue] = [
        {
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [
                {
                    "description": "Learn more about Gemini API quotas",
                    "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
                }
            ],
        },
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [
                {
                    "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_requests",
                    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
                    "quotaDimensions": {"location": "global"},
                    "quotaValue": "1000",
                }
            ],
        },
    ]
    if problem.retry_after is not None:
        # Gemini tells the wait here, not in a header.
        retry: JsonObject = {
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": f"{problem.retry_after}s",
        }
        details.append(retry)
    return details


def _wrong_key_details() -> JsonValue:
    return [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
        {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": _WRONG_KEY},
    ]


def _document(value: JsonObject) -> Document:
    headers = {"content-type": "application/json; charset=UTF-8", **_service_headers()}
    return Document(headers=headers, body=encode_pretty_json(value))


def _service_headers() -> dict[str, str]:
    return {"server-timing": "gfet4t7; dur=42", "vary": "Origin, X-Origin, Referer"}
