"""Every error that dipeo raises on purpose.

DipeoError
├── InvalidRequestError (400)
│   ├── ValidationError
│   ├── UnsupportedParameterError
│   ├── UnknownServiceError
│   ├── UnknownPersonError
│   ├── UnknownFeatureError
│   ├── UnknownOperationError
│   ├── PromptRefusedError
│   ├── ContextTooLongError
│   └── RequestTooLargeError (413)
├── AuthenticationError (401)
├── PermissionDeniedError (403)
├── RunNotFoundError (404)
├── IdempotencyConflictError (409)
├── RateLimitError (429)
│   └── QuotaExhaustedError
├── AgentFailureError (500)
├── ConfigurationError (500)
├── ProviderError (502)
│   ├── APIKeyError
│   │   ├── MissingAPIKeyError
│   │   ├── MalformedAPIKeyError
│   │   └── APIKeyRefusedError
│   └── LLMServiceError
│       ├── AccessDeniedError
│       ├── ConnectFailedError
│       ├── ConnectionLostError
│       ├── EmptyResponseError
│       ├── IncompleteStreamError
│       ├── MalformedResponseError
│       └── ToolCallInvalidError
├── ModelUnavailableError (503)
│   ├── ModelNotFoundError
│   └── OverloadedError
├── InsufficientResourcesError (503)
│   └── LocalOverloadError
└── TimeoutError (504)
    └── DeadlineExceededError

DipeoUsageError
├── ScriptExhaustedError
├── ServiceClosedError
└── StreamNotFinishedError

`DipeoError` is for what goes wrong outside: input, providers, the network. `DipeoUsageError` is for mistakes in the
program that calls dipeo; it is no subclass of the former, so that a handler for outages does not hide a bug.

`TimeoutError` and `ValidationError` share their names with others because the names are part of a published interface:
write `errors.TimeoutError`; a star import of `dipeo.errors` leaves both out.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from dipeo.domain.json_value import JsonValue
from dipeo.domain.verdict import OUTCOME_UNKNOWN_VERDICTS, RETRYABLE_VERDICTS, Verdict

if TYPE_CHECKING:
    from dipeo.domain.attempt import Attempt


class DipeoError(Exception):
    """Something outside the program went wrong.

    Every argument but `message` is a fact that programs may read: `provider`, `model`, `operation`, `field` (the input
    that was refused), `status` (what the provider answered over HTTP), `provider_code`, `request_id`, `retry_after_s`
    (seconds), `is_retryable` (default: by verdict). Further keyword arguments land in `context`.

    Errors pickle, copy and turn into JSON (`to_dict()`); they hold no SDK object, no header and no key.
    """

    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "dipeo_error"
    default_message: ClassVar[str] = "dipeo could not do what was asked."
    default_suggestion: ClassVar[str | None] = None
    default_verdict: ClassVar[Verdict | None] = None

    _FACTS: ClassVar[tuple[str, ...]] = (
        "suggestion",
        "verdict",
        "provider",
        "model",
        "operation",
        "field",
        "status",
        "provider_code",
        "request_id",
        "retry_after_s",
        "is_retryable",
    )

    def __init__(
        self,
        message: str | None = None,
        *,
        suggestion: str | None = None,
        verdict: Verdict | None = None,
        provider: str | None = None,
        model: str | None = None,
        operation: str | None = None,
        field: str | None = None,
        status: int | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        is_retryable: bool | None = None,
        **context: JsonValue,
    ) -> None:
        self.message = message or self.default_message
        super().__init__(self.message)
        self.suggestion = suggestion or self.default_suggestion
        self.verdict = verdict or self.default_verdict
        self.provider = provider
        self.model = model
        self.operation = operation
        self.field = field
        self.status = status
        self.provider_code = provider_code
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.is_retryable = self.verdict in RETRYABLE_VERDICTS if is_retryable is None else is_retryable
        self.context: Mapping[str, JsonValue] = {name: value for name, value in context.items() if value is not None}
        self.attempts: tuple[Attempt, ...] = ()

    @property
    def is_outcome_unknown(self) -> bool:
        """Whether the provider may have done, and billed, the work nobody saw the result of."""
        return self.verdict in OUTCOME_UNKNOWN_VERDICTS

    def with_attempts(self, attempts: "tuple[Attempt, ...]") -> Self:
        """The same error, knowing the attempts that led to it."""
        self.attempts = attempts
        return self

    def to_dict(self) -> dict[str, JsonValue]:
        """The error as JSON values: type, code, HTTP status, message, facts, context, attempts."""
        facts: dict[str, JsonValue] = {name: getattr(self, name) for name in self._FACTS}
        return {
            "type": type(self).__name__,
            "code": self.code,
            "http_status": self.http_status,
            "message": self.message,
            **{name: value for name, value in facts.items() if value is not None},
            "context": dict(self.context),
            "attempts": [attempt.to_dict() for attempt in self.attempts],
        }

    def __str__(self) -> str:
        where = " ".join(part for part in (self.provider, self.model) if part)
        text = f"[{where}] {self.message}" if where else self.message
        return f"{text} {self.suggestion}" if self.suggestion else text

    def __reduce__(self) -> "tuple[object, ...]":
        facts = {name: getattr(self, name) for name in self._FACTS}
        return _rebuild, (type(self), self.message, {**self.context, **facts}, self.attempts)


def _rebuild(
    cls: type[DipeoError], message: str, facts: dict[str, JsonValue], attempts: "tuple[Attempt, ...]"
) -> DipeoError:
    return cls(message, **facts).with_attempts(attempts)  # type: ignore[arg-type]  # facts came from an instance


class InvalidRequestError(DipeoError):
    """The request cannot be sent as it is."""

    http_status = 400
    code = "invalid_request"
    default_message = "The request is not valid."
    default_verdict = Verdict.BAD_REQUEST


class ValidationError(InvalidRequestError):
    """A value was refused before anything was sent; `field` names it."""

    code = "validation_failed"
    default_message = "A value is not valid."


class UnsupportedParameterError(InvalidRequestError):
    """The model cannot honour a parameter; `field` names it."""

    code = "unsupported_parameter"
    default_message = "The model does not take this parameter."


class UnknownServiceError(InvalidRequestError):
    """No service is known by this name, or none can be inferred from the model's name."""

    code = "unknown_service"
    default_message = "The service is not known."
    default_suggestion = "Pass service=..., or register an alias for the model."


class UnknownPersonError(InvalidRequestError):
    """The person is not known here."""

    code = "unknown_person"
    default_message = "The person is not known."


class UnknownFeatureError(InvalidRequestError):
    """No feature is known by this name."""

    code = "unknown_feature"
    default_message = "The feature is not known."


class UnknownOperationError(InvalidRequestError):
    """No operation is registered under this name."""

    code = "unknown_operation"
    default_message = "The operation is not known."


class PromptRefusedError(InvalidRequestError):
    """A prompt file may not be read: it lies outside the base directory, or is no plain text file of sane size."""

    code = "prompt_refused"
    default_message = "The prompt file is refused."
    default_suggestion = "Keep prompt files as UTF-8 text below DIPEO_BASE_DIR."


class ContextTooLongError(InvalidRequestError):
    """The conversation does not fit the model's window."""

    code = "context_too_long"
    default_message = "The conversation is longer than the model's context window."
    default_suggestion = (
        "Shorten the conversation, give the person a memory limit, or use a model with a larger window."
    )
    default_verdict = Verdict.CONTEXT_TOO_LONG


class RequestTooLargeError(InvalidRequestError):
    """The request body is larger than the provider takes."""

    http_status = 413
    code = "request_too_large"
    default_message = "The request is larger than the provider takes."
    default_suggestion = "Send less in one request."
    default_verdict = Verdict.REQUEST_TOO_LARGE


class AuthenticationError(DipeoError):
    """Whoever calls us has no valid credentials (never: a provider that refuses our key)."""

    http_status = 401
    code = "authentication_failed"
    default_message = "The credentials are not valid."
    default_verdict = Verdict.AUTH_FAILED


class PermissionDeniedError(DipeoError):
    """Whoever calls us may not do this."""

    http_status = 403
    code = "permission_denied"
    default_message = "This is not permitted."
    default_verdict = Verdict.ACCESS_DENIED


class RunNotFoundError(DipeoError):
    """No run is known by this id."""

    http_status = 404
    code = "run_not_found"
    default_message = "The run is not known."


class IdempotencyConflictError(DipeoError):
    """The idempotency key was used before with another request."""

    http_status = 409
    code = "idempotency_conflict"
    default_message = "The idempotency key was used with another request."
    default_suggestion = "Use a new key for a new request."


class RateLimitError(DipeoError):
    """The provider asks us to slow down; `retry_after_s` says for how long, where it said so."""

    http_status = 429
    code = "rate_limited"
    default_message = "The rate limit is reached."
    default_suggestion = "Wait, or spread the calls over more time."
    default_verdict = Verdict.RATE_LIMITED


class QuotaExhaustedError(RateLimitError):
    """The account has no quota or credit left; waiting does not help."""

    code = "quota_exhausted"
    default_message = "The account has no quota left."
    default_suggestion = "Check the plan and the billing of the account that the key belongs to."
    default_verdict = Verdict.QUOTA_EXHAUSTED


class AgentFailureError(DipeoError):
    """An agent could not finish its task."""

    code = "agent_failed"
    default_message = "The agent failed."


class ConfigurationError(DipeoError):
    """A setting keeps dipeo from working; `field` names it."""

    code = "configuration_error"
    default_message = "A setting is not usable."
    default_verdict = Verdict.CONFIG_ERROR


class ProviderError(DipeoError):
    """The provider failed: it answered 5xx, or something that cannot be used."""

    http_status = 502
    code = "provider_error"
    default_message = "The provider failed."
    default_verdict = Verdict.PROVIDER_ERROR


class APIKeyError(ProviderError):
    """No usable key for the provider."""

    code = "api_key_error"
    default_message = "The API key cannot be used."
    default_verdict = Verdict.AUTH_FAILED


class MissingAPIKeyError(APIKeyError):
    """No key was found under the id."""

    code = "api_key_missing"
    default_message = "No API key was found."


class MalformedAPIKeyError(APIKeyError):
    """The key holds characters that no key has, such as a line break."""

    code = "api_key_malformed"
    default_message = "The API key is malformed."
    default_suggestion = "A key is one line of printable ASCII; look for a stray line break or quotation mark."


class APIKeyRefusedError(APIKeyError):
    """The provider does not accept our key."""

    code = "api_key_refused"
    default_message = "The provider refused the API key."
    default_suggestion = "Check that the key is current and belongs to this service."


class LLMServiceError(ProviderError):
    """The exchange with the provider failed in a way that is its own, the network's, or both."""

    code = "llm_service_error"
    default_message = "The exchange with the provider failed."


class AccessDeniedError(LLMServiceError):
    """The key is valid, but may not do this (region, permission, account on hold)."""

    code = "access_denied"
    default_message = "The provider denied access."
    default_verdict = Verdict.ACCESS_DENIED


class ConnectFailedError(LLMServiceError):
    """No connection came about; nothing was sent."""

    code = "connect_failed"
    default_message = "The provider could not be reached."
    default_suggestion = "Check the base URL and the network."
    default_verdict = Verdict.CONNECT_FAILED


class ConnectionLostError(LLMServiceError):
    """The connection broke after the request was sent; it may have been billed."""

    code = "connection_lost"
    default_message = "The connection was lost before the answer was complete; the request may have been billed."
    default_verdict = Verdict.CONNECTION_LOST


class EmptyResponseError(LLMServiceError):
    """The provider answered without an answer."""

    code = "empty_response"
    default_message = "The provider answered without any content."
    default_verdict = Verdict.EMPTY_RESPONSE


class IncompleteStreamError(LLMServiceError):
    """The stream ended without the provider's own end; `partial_text` holds what had arrived."""

    code = "incomplete_stream"
    default_message = "The stream ended before the answer was complete."
    default_verdict = Verdict.INCOMPLETE_STREAM

    @property
    def partial_text(self) -> str:
        """The text that arrived before the stream broke."""
        partial = self.context.get("partial_text", "")
        return partial if isinstance(partial, str) else ""


class MalformedResponseError(LLMServiceError):
    """The provider's answer does not have the shape that its interface promises."""

    code = "malformed_response"
    default_message = "The provider's answer cannot be read."
    default_verdict = Verdict.MALFORMED_RESPONSE


class ToolCallInvalidError(LLMServiceError):
    """The model asked for a tool in a way that cannot be carried out."""

    code = "tool_call_invalid"
    default_message = "The model's tool call is not valid."
    default_verdict = Verdict.TOOL_CALL_INVALID


class ModelUnavailableError(DipeoError):
    """The model cannot answer now."""

    http_status = 503
    code = "model_unavailable"
    default_message = "The model is not available."
    default_verdict = Verdict.OVERLOADED


class ModelNotFoundError(ModelUnavailableError):
    """The provider has no model of this name, or not for this key."""

    code = "model_not_found"
    default_message = "The provider does not know the model."
    default_suggestion = "Check the model's name and that the key may use it."
    default_verdict = Verdict.MODEL_NOT_FOUND


class OverloadedError(ModelUnavailableError):
    """The provider is overloaded."""

    code = "overloaded"
    default_message = "The provider is overloaded."


class InsufficientResourcesError(DipeoError):
    """Something is full."""

    http_status = 503
    code = "insufficient_resources"
    default_message = "There are not enough resources."
    default_verdict = Verdict.LOCAL_OVERLOAD


class LocalOverloadError(InsufficientResourcesError):
    """This process or the local model server is full; the provider is not to blame."""

    code = "local_overload"
    default_message = "The local resources are exhausted."


class TimeoutError(DipeoError):  # noqa: A001  # a published name; see the module docstring
    """Time ran out."""

    http_status = 504
    code = "timeout"
    default_message = "The operation took too long."
    default_verdict = Verdict.DEADLINE_EXCEEDED


class DeadlineExceededError(TimeoutError):
    """The call's deadline passed while waiting for the provider; the request may have been billed."""

    code = "deadline_exceeded"
    default_message = "The deadline passed before the answer was complete."
    default_suggestion = "Give the call more time with timeout_s=... or DIPEO_LLM_TIMEOUT."


class DipeoUsageError(Exception):
    """The program uses dipeo in a way that cannot work."""


class ScriptExhaustedError(DipeoUsageError):
    """A scripted fake was asked for more answers than it was given."""


class ServiceClosedError(DipeoUsageError):
    """The service was used after it was closed."""


class StreamNotFinishedError(DipeoUsageError):
    """The completion of a stream was asked for before the stream had ended."""
