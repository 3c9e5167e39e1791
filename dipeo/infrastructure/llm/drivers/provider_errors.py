"""From a provider's refusal to one of our errors, by status and structured code."""

from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    ConfigurationError,
    ContextTooLongError,
    DipeoError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTooLargeError,
)
from dipeo.domain.json_value import JsonValue
from dipeo.domain.secret import Secret
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.drivers.retry_after import parse_retry_after
from dipeo.infrastructure.llm.drivers.wire import WireReply

MAX_MESSAGE_CHARS: Final = 500
MAX_ERROR_CHARS: Final = 800
MAX_CODE_CHARS: Final = 128
MAX_SAMPLE_CHARS: Final = 200

TOO_LONG: Final = "context_too_long"
OUT_OF_CREDIT: Final = "out_of_credit"
"""Our own codes, for what a provider says in words alone."""

CodeTable = Mapping[str, type[DipeoError]]

_BY_STATUS: Final[Mapping[int, type[DipeoError]]] = {
    400: InvalidRequestError,
    401: APIKeyRefusedError,
    402: QuotaExhaustedError,
    403: AccessDeniedError,
    404: ModelNotFoundError,
    405: ConfigurationError,
    408: ProviderError,
    413: RequestTooLargeError,
    422: InvalidRequestError,
    429: RateLimitError,
    499: ProviderError,
    503: OverloadedError,
    529: OverloadedError,
}

# Codes that mean the same wherever they turn up; a dialect's own table is looked at first.
_BY_CODE: Final[CodeTable] = {
    TOO_LONG: ContextTooLongError,
    OUT_OF_CREDIT: QuotaExhaustedError,
    "context_length_exceeded": ContextTooLongError,
    "exceed_context_size_error": ContextTooLongError,
    "insufficient_quota": QuotaExhaustedError,
    "model_not_found": ModelNotFoundError,
    "invalid_api_key": APIKeyRefusedError,
}

# Our own error for a reply's status is always about the address; no code of a provider's is.
_REDIRECTED: Final = "What answers at the base URL redirects elsewhere, which is not followed."
_NOTHING_THERE: Final = "What answers at the base URL takes no such requests."
_CHECK_ADDRESS: Final = "Check the service's base URL."

_NOT_RETRIED_5XX: Final = frozenset({501, 505})


@frozen(kw_only=True)
class Refusal:
    """What an error body says: `codes` from the most specific to the least, `status` where the body repeats one."""

    message: str = ""
    codes: tuple[str, ...] = ()
    status: int | None = None


def read_refusal(body: JsonValue) -> Refusal:
    """Message and codes of an error body of whatever shape. Never raises.

    Providers send `{"error": {...}}`, `{"error": "text"}`, `[{"error": ...}]`, `{"detail": "text"}`, `{"message": ...}`
    and plain text.
    """
    if isinstance(body, list):
        body = body[0] if body else None
    if isinstance(body, str):
        return Refusal(message=body)
    if not isinstance(body, Mapping):
        return Refusal()
    error = body.get("error")
    if isinstance(error, str):
        code = body.get("code")
        return Refusal(message=error, codes=(code,) if isinstance(code, str) and code else ())
    source = error if isinstance(error, Mapping) else body
    details = source.get("details")
    inner = details.get("error_code") if isinstance(details, Mapping) else None
    message = source.get("message") or source.get("detail") or body.get("message")
    code = source.get("code")
    codes = (inner, code, source.get("type"), source.get("status"))
    return Refusal(
        message=message if isinstance(message, str) else "",
        codes=tuple(each for each in codes if isinstance(each, str) and each),
        status=code if isinstance(code, int) and 400 <= code < 600 else None,
    )


def with_code_by_text(refusal: Refusal, codes_by_beginning: Mapping[str, str]) -> Refusal:
    """The refusal with a code for the few cases that a provider tells apart by the beginning of its text alone."""
    for beginning, code in codes_by_beginning.items():
        if refusal.message.startswith(beginning):
            return evolve(refusal, codes=(code, *refusal.codes))
    return refusal


def error_from(reply: WireReply, refusal: Refusal, table: CodeTable, *, key: Secret | None) -> DipeoError:
    """The error for a reply that refuses: by code where the table knows one, else by status.

    The key is masked wherever the provider repeats it. A reply of status 200 that holds an error is sorted by what its
    body says alone.
    """
    if reply.status < 300 and refusal.status is not None:
        reply = evolve(reply, status=refusal.status)
    kind = _kind_of(reply, refusal, table)
    # A gateway's web page says nothing to a reader; some clients hand it on as if the provider had said it.
    is_page = refusal.message.lstrip().startswith("<")
    shown = "" if is_page else _shown(refusal.message, key, max_chars=MAX_MESSAGE_CHARS)
    sample = reply.sample or (refusal.message[:MAX_SAMPLE_CHARS] if is_page else "")
    is_astray = kind is ConfigurationError
    what = (_REDIRECTED if reply.status < 400 else _NOTHING_THERE) if is_astray else kind.default_message
    error = kind(
        f"{what} It says: {shown}" if shown else f"{what} (HTTP {reply.status})",
        field="base_url" if is_astray else None,
        suggestion=_CHECK_ADDRESS if is_astray else None,
        status=reply.status,
        provider_code=_shown(refusal.codes[0], key, max_chars=MAX_CODE_CHARS) if refusal.codes else None,
        retry_after_s=parse_retry_after(reply.headers, body=reply.json),
        # Called off on the provider's side, by whomever: nobody knows how far the work had come.
        verdict=Verdict.CANCELLED if reply.status == 499 else None,
        sample=_shown(sample, key, max_chars=MAX_MESSAGE_CHARS) or None,
    )
    if _is_final(reply, error):
        error.is_retryable = False
    return error


def conceal(error: DipeoError, key: Secret | None) -> None:
    """Makes what an error says fit to be shown, wherever its words come from: a provider may repeat the key anywhere.

    The text of an answer that broke off is the caller's, and stays as it is.
    """
    error.message = _shown(error.message, key, max_chars=MAX_ERROR_CHARS)
    error.args = (error.message,)
    if error.provider_code is not None:
        error.provider_code = _shown(error.provider_code, key, max_chars=MAX_CODE_CHARS)
    if error.request_id is not None:
        error.request_id = _shown(error.request_id, key, max_chars=MAX_CODE_CHARS)
    sample = error.context.get("sample")
    if isinstance(sample, str):
        error.context = {**error.context, "sample": _shown(sample, key, max_chars=MAX_MESSAGE_CHARS)}


def _shown(text: str, key: Secret | None, *, max_chars: int) -> str:
    """A provider's words, fit to be shown: without the key, without control characters, not too long."""
    # Masked before it is cut: half a key is still half a key.
    masked = key.redact(text) if key else text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in masked[:max_chars])[:max_chars]


def _kind_of(reply: WireReply, refusal: Refusal, table: CodeTable) -> type[DipeoError]:
    for code in refusal.codes:
        kind = table.get(code) or _BY_CODE.get(code)
        if kind is not None:
            return kind
    status = reply.status
    if 300 <= status < 400:
        return ConfigurationError
    if status < 200:
        return MalformedResponseError
    if status == 404 and reply.json is None:
        # No JSON at all: it is the address that does not exist, not the model.
        return ConfigurationError
    if 400 <= status < 500:
        return _BY_STATUS.get(status, InvalidRequestError)
    return _BY_STATUS.get(status, ProviderError)


def _is_final(reply: WireReply, error: DipeoError) -> bool:
    """Whether a failure that is usually worth a second try is not, because of its status or the provider's word."""
    if reply.headers.get("x-should-retry") == "false" or reply.status in _NOT_RETRIED_5XX:
        return True
    return error.verdict is Verdict.PROVIDER_ERROR and reply.status == 409
