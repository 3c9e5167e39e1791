"""Google's Gemini, over generateContent.

Source of the shapes: Google's API reference, "Generating content", and the enums of its error details.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    EmptyResponseError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    ProviderError,
    QuotaExhaustedError,
    ToolCallInvalidError,
    ValidationError,
)
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import Part, ReasoningPart, TextPart
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import (
    Answer,
    EncodedRequest,
    StreamDecoder,
    count_in,
    object_in,
    objects_in,
    text_in,
)
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.provider_errors import (
    TOO_LONG,
    CodeTable,
    Refusal,
    read_refusal,
    with_code_by_text,
)
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.turns import Turn, as_turns, split_instructions
from dipeo.infrastructure.llm.drivers.wire import WireRequest

VENDOR: Final = "google"
API_VERSION: Final = "v1beta"
"""The `-latest` model names exist under this version alone."""

_MODEL_NAME = re.compile(r"(?:(?:models|tunedModels)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TAKES_NO_THINKING = re.compile(r"(?:models/)?gemini-2\.5-flash")
_LEVELS: Final = {
    ReasoningEffort.NONE: ReasoningEffort.MINIMAL,
    ReasoningEffort.XHIGH: ReasoningEffort.HIGH,
    ReasoningEffort.MAX: ReasoningEffort.HIGH,
}
_TAKES_LEVEL = re.compile(r"(?:models/)?gemini-(?:[3-9]|\d\d)")

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"), FinishReason.CONTENT_FILTER
    ),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), FinishReason.CONTENT_FILTER),
}
_SHAPE: Final = frozenset({"candidates", "promptFeedback", "usageMetadata"})
_BROKEN_TOOL_CALLS: Final = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})

_PER_DAY: Final = "quota_per_day"
ERROR_CODES: Final[CodeTable] = {
    "API_KEY_INVALID": APIKeyRefusedError,
    "UNAUTHENTICATED": APIKeyRefusedError,
    "PERMISSION_DENIED": AccessDeniedError,
    "NOT_FOUND": ModelNotFoundError,
    "UNAVAILABLE": OverloadedError,
    "INTERNAL": ProviderError,
    "DEADLINE_EXCEEDED": ProviderError,
    _PER_DAY: QuotaExhaustedError,
}


_CODES_BY_TEXT: Final = {
    "The input token count": TOO_LONG,
    "User location is not supported": "PERMISSION_DENIED",
}


class GeminiAdapter(BaseLLMAdapter):
    """Speaks Google's generateContent."""

    error_codes = ERROR_CODES

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return ResponseStreamDecoder()

    def credentials(self) -> Mapping[str, str]:
        key = self._endpoint.key
        return {"x-goog-api-key": key.reveal()} if key else {}

    def capabilities(self, model: str) -> ModelCapabilities:
        levels = frozenset(ReasoningEffort) if _TAKES_LEVEL.match(model) else frozenset[ReasoningEffort]()
        return ModelCapabilities(takes_seed=True, efforts=levels)

    def refusal_in(self, body: JsonValue) -> Refusal:
        return decode_refusal(body)


def encode_request(request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
    """The path and body, and what had to be adapted."""
    adaptations = Adaptations(is_strict=request.is_strict)
    instructions, conversation = split_instructions(request.messages, adaptations)
    turns = as_turns(conversation, adaptations, is_open_end_taken=False)
    body: dict[str, JsonValue] = {"contents": [encode_turn(turn) for turn in turns]}
    if instructions:
        body["systemInstruction"] = {"parts": [{"text": text} for text in instructions]}
    if config := encode_sampling(request.model, request.sampling, adaptations):
        body["generationConfig"] = config
    with_provider_options(body, request.provider_options)
    action = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
    path = f"/{API_VERSION}/{encode_model(request.model)}:{action}"
    return EncodedRequest(exchange=WireRequest(path=path, body=body), adaptations=adaptations.made)


def encode_model(model: str) -> str:
    """The model as it stands in the path. Raises `ValidationError` for a name that would change the path."""
    if _MODEL_NAME.fullmatch(model) is None:
        raise ValidationError(
            f"{model!r} is no model name that Google has.",
            field="model",
            suggestion="A name is letters, digits, dots and hyphens, such as gemini-3.5-flash.",
        )
    return model if "/" in model else f"models/{model}"


def encode_turn(turn: Turn) -> JsonObject:
    """One turn; a part for each message that was said in it."""
    role = "model" if turn.role is Role.ASSISTANT else "user"
    return {"role": role, "parts": [{"text": text} for text in turn.texts]}


def encode_sampling(model: str, sampling: Sampling, adaptations: Adaptations) -> dict[str, JsonValue]:
    """The generation settings; a thinking level is for generation 3 and later."""
    settings: dict[str, JsonValue] = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "maxOutputTokens": sampling.max_tokens,
        "stopSequences": list(sampling.stop) if sampling.stop else None,
        "seed": sampling.seed,
    }
    config: dict[str, JsonValue] = {name: value for name, value in settings.items() if value is not None}
    if thinking := encode_thinking(model, sampling.reasoning_effort, adaptations):
        config["thinkingConfig"] = thinking
    return config


def encode_thinking(
    model: str, effort: ReasoningEffort | None, adaptations: Adaptations
) -> dict[str, JsonValue] | None:
    """How much to think: a level from generation 3 on, and before it no thinking at all where that is possible."""
    if effort is None:
        return None
    if not _TAKES_LEVEL.match(model):
        if effort is ReasoningEffort.NONE and _TAKES_NO_THINKING.match(model):
            return {"thinkingBudget": 0}
        adaptations.dropped("reasoning_effort", f"{model} takes no thinking level.")
        return None
    level = _LEVELS.get(effort, effort)
    if level is not effort:
        reason = f"the nearest level that {model} takes is {level.value}."
        adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, reason)
    return {"thinkingLevel": level.value}


def decode_response(body: JsonObject) -> Answer:
    """The answer in a unary reply.

    A blocked prompt is an answer of no parts with finish reason `CONTENT_FILTER`. Raises `EmptyResponseError`,
    `MalformedResponseError` or `ToolCallInvalidError`.
    """
    decoder = ResponseStreamDecoder()
    decoder.feed(body)
    return decoder.answer()


def decode_parts(content: JsonObject) -> list[TextPart | ReasoningPart]:
    """The parts of a candidate's content; a thought is reasoning, and kinds that carry no text are left out."""
    parts: list[TextPart | ReasoningPart] = []
    for part in objects_in(content.get("parts")):
        text = text_in(part.get("text"))
        if text and part.get("thought") is True:
            parts.append(ReasoningPart(text=text, vendor=VENDOR))
        elif text:
            parts.append(TextPart(text))
    return parts


def decode_usage(usage: JsonObject) -> Usage:
    """The usage; Google counts thoughts beside `candidatesTokenCount`, dipeo within the output."""
    if not usage:
        return UNREPORTED_USAGE
    thoughts = count_in(usage.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=count_in(usage.get("promptTokenCount")) + count_in(usage.get("toolUsePromptTokenCount")),
        output_tokens=count_in(usage.get("candidatesTokenCount")) + thoughts,
        cached_tokens=count_in(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


def decode_refusal(body: JsonValue) -> Refusal:
    """What an error says; the reason in its details is more specific than its status."""
    if isinstance(body, list):
        body = body[0] if body else None
    said = read_refusal(body)
    details = objects_in(object_in(object_in(body).get("error")).get("details"))
    reasons = tuple(text_in(detail.get("reason")) for detail in details if detail.get("reason"))
    violations = [violation for detail in details for violation in objects_in(detail.get("violations"))]
    is_spent = any("PerDay" in text_in(each.get("quotaId")) or each.get("quotaValue") == "0" for each in violations)
    codes = ((_PER_DAY,) if is_spent else ()) + reasons + said.codes
    refusal = Refusal(message=said.message, codes=codes, status=said.status)
    return with_code_by_text(refusal, _CODES_BY_TEXT)


class ResponseStreamDecoder:
    """Reads the chunks of a streamed response, each shaped like a whole one; a finish reason makes it complete."""

    __slots__ = ("_finish", "_has_shape", "_id", "_is_blocked", "_model", "_parts", "_usage", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._finish = ""
        self._has_shape = False
        self._is_blocked = False
        self._id = self._model = ""
        self._parts: list[Part] = []
        self._usage: JsonObject = {}

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        self._model = text_in(event.get("modelVersion")) or self._model
        self._id = text_in(event.get("responseId")) or self._id
        self._usage = object_in(event.get("usageMetadata")) or self._usage
        self._has_shape = self._has_shape or not _SHAPE.isdisjoint(event)
        blocked = text_in(object_in(event.get("promptFeedback")).get("blockReason"))
        if blocked:
            self._finish, self._is_blocked = blocked, True
        candidates = objects_in(event.get("candidates"))
        if not candidates or self.is_complete:
            # What comes after the finish reason may complete the usage, and belongs to no answer.
            return ()
        parts = decode_parts(object_in(candidates[0].get("content")))
        self._parts.extend(parts)
        self._finish = text_in(candidates[0].get("finishReason"))
        return [_delta(part) for part in parts]

    def end(self) -> None:
        """Google has no such marker; one that comes all the same says nothing."""

    @property
    def is_complete(self) -> bool:
        return bool(self._finish)

    def answer(self) -> Answer:
        if not self._has_shape:
            raise MalformedResponseError("The provider's answer holds no 'candidates'.")
        if self._finish in _BROKEN_TOOL_CALLS:
            raise ToolCallInvalidError(f"The model's tool call is not valid ({self._finish}).")
        parts = merged(self._parts)
        reason = FINISH_REASONS.get(self._finish, FinishReason.OTHER)
        if self._is_blocked:
            reason = FinishReason.CONTENT_FILTER
        if not parts and reason not in (FinishReason.CONTENT_FILTER, FinishReason.LENGTH):
            raise EmptyResponseError()
        return Answer(
            parts=parts,
            finish_reason=reason,
            raw_finish_reason=self._finish,
            model=self._model,
            usage=decode_usage(self._usage),
            response_id=self._id or None,
        )


def _delta(part: TextPart | ReasoningPart) -> CompletionEvent:
    return TextDelta(part.text) if isinstance(part, TextPart) else ReasoningDelta(part.text)


def merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Neighbouring parts of one kind as one: how a stream is cut says nothing."""
    whole: list[Part] = []
    for part in parts:
        last = whole[-1] if whole else None
        if isinstance(part, TextPart) and isinstance(last, TextPart):
            whole[-1] = TextPart(last.text + part.text)
        elif isinstance(part, ReasoningPart) and isinstance(last, ReasoningPart):
            whole[-1] = ReasoningPart(text=last.text + part.text, vendor=VENDOR)
        else:
            whole.append(part)
    return tuple(whole)
