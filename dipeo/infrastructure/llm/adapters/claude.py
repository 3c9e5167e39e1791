"""Anthropic, over the messages interface.

Source of the shapes: Anthropic's API reference, "Messages" and "Streaming messages"; what changed with version
2026-10-21 stands in its guide to migrating.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest, FinishReason
from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    EmptyResponseError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTooLargeError,
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
    OUT_OF_CREDIT,
    TOO_LONG,
    CodeTable,
    Refusal,
    read_refusal,
    with_code_by_text,
)
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.turns import Turn, as_turns, split_instructions
from dipeo.infrastructure.llm.drivers.wire import WireRequest

VENDOR: Final = "anthropic"
API_VERSION: Final = "2026-10-21"
SAMPLING_API_VERSION: Final = "2023-06-01"
"""The newer version refuses every sampling setting; the models that take them are asked under the older one."""

DEFAULT_MAX_TOKENS: Final = 4096
"""The interface demands a bound; this one is within what every current model may write."""

# The last generation that takes temperature, top_p and an open end; see the version's guide to migrating.
_TAKES_SAMPLING = re.compile(r"claude-(?:[23]|instant|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:-\d{8}|-latest)?$)")
_TAKES_EFFORT = re.compile(r"claude-(?:opus-4-[5-9]|sonnet-4-[6-9]|[a-z]+-[5-9]|mythos)")

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSED,
    "refusal": FinishReason.CONTENT_FILTER,
}

ERROR_CODES: Final[CodeTable] = {
    "enforced_spend_limit_reached": QuotaExhaustedError,
    "contract_spend_limit_reached": QuotaExhaustedError,
    "linked_organization_spend_limit_reached": QuotaExhaustedError,
    "billing_error": QuotaExhaustedError,
    "rate_limit_error": RateLimitError,
    "overloaded_error": OverloadedError,
    "authentication_error": APIKeyRefusedError,
    "permission_error": AccessDeniedError,
    "not_found_error": ModelNotFoundError,
    "request_too_large": RequestTooLargeError,
}

_CODES_BY_TEXT: Final = {
    "prompt is too long": TOO_LONG,
    "You have reached your specified API usage limits": OUT_OF_CREDIT,
}

_EFFORTS: Final[Mapping[ReasoningEffort, str]] = {
    ReasoningEffort.MINIMAL: "low",
    ReasoningEffort.LOW: "low",
    ReasoningEffort.MEDIUM: "medium",
    ReasoningEffort.HIGH: "high",
    ReasoningEffort.XHIGH: "xhigh",
    ReasoningEffort.MAX: "max",
}


class ClaudeAdapter(BaseLLMAdapter):
    """Speaks Anthropic's messages."""

    error_codes = ERROR_CODES
    request_id_headers = ("request-id",)

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, self.capabilities(request.model), is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_message(body)

    def stream_decoder(self) -> StreamDecoder:
        return MessageStreamDecoder()

    def credentials(self) -> Mapping[str, str]:
        key = self._endpoint.key
        return {"x-api-key": key.reveal()} if key else {}

    def capabilities(self, model: str) -> ModelCapabilities:
        return capabilities_of(model)

    def refusal_in(self, body: JsonValue) -> Refusal:
        return with_code_by_text(read_refusal(body), _CODES_BY_TEXT)


@lru_cache(maxsize=1024)
def capabilities_of(model: str) -> ModelCapabilities:
    """What a Claude model takes: up to version 4.6 sampling settings and an open end, since then neither."""
    takes_sampling = _TAKES_SAMPLING.match(model) is not None
    return ModelCapabilities(
        takes_temperature=takes_sampling,
        takes_top_p=takes_sampling,
        efforts=frozenset({ReasoningEffort.NONE, *_EFFORTS}) if _TAKES_EFFORT.match(model) else frozenset(),
        accepts_open_end=takes_sampling,
        max_temperature=1.0,
    )


def encode_request(request: CompletionRequest, capabilities: ModelCapabilities, *, is_stream: bool) -> EncodedRequest:
    """The request body and headers, and what had to be adapted."""
    adaptations = Adaptations(is_strict=request.is_strict)
    instructions, conversation = split_instructions(request.messages, adaptations)
    turns = as_turns(conversation, adaptations, is_open_end_taken=capabilities.accepts_open_end)
    sampling = request.sampling
    body: dict[str, JsonValue] = {
        "model": request.model,
        "max_tokens": sampling.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": [encode_turn(turn) for turn in turns],
    }
    if instructions:
        body["system"] = "\n\n".join(instructions)
    version = encode_sampling(body, request.model, sampling, capabilities, adaptations)
    if is_stream:
        body["stream"] = True
    with_provider_options(body, request.provider_options)
    exchange = WireRequest(path="/v1/messages", body=body, headers={"anthropic-version": version})
    return EncodedRequest(exchange=exchange, adaptations=adaptations.made)


def encode_turn(turn: Turn) -> JsonObject:
    """One turn; a block for each message that was said in it."""
    if len(turn.texts) == 1:
        return {"role": turn.role.value, "content": turn.texts[0]}
    return {"role": turn.role.value, "content": [{"type": "text", "text": text} for text in turn.texts]}


def encode_sampling(
    body: dict[str, JsonValue],
    model: str,
    sampling: Sampling,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> str:
    """Puts the sampling settings into the body and returns the API version under which they are taken."""
    version = API_VERSION
    temperature, top_p = sampling.temperature, sampling.top_p
    if temperature is not None or top_p is not None:
        if capabilities.takes_temperature:
            version = SAMPLING_API_VERSION
            _encode_temperature(body, temperature, top_p, capabilities, adaptations)
        else:
            asked = {"temperature": temperature, "top_p": top_p}
            for parameter in (name for name, value in asked.items() if value is not None):
                adaptations.dropped(parameter, f"{model} takes no sampling settings.")
    if sampling.stop:
        body["stop_sequences"] = list(sampling.stop)
    if sampling.seed is not None:
        adaptations.dropped("seed", "Anthropic's interface has none.")
    _encode_effort(body, model, sampling.reasoning_effort, capabilities, adaptations)
    return version


def _encode_temperature(
    body: dict[str, JsonValue],
    temperature: float | None,
    top_p: float | None,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    if temperature is None:
        body["top_p"] = top_p
        return
    if temperature > capabilities.max_temperature:
        adaptations.note("temperature", AdaptationAction.CLAMPED, "Anthropic takes temperatures up to 1.")
    body["temperature"] = min(temperature, capabilities.max_temperature)
    if top_p is not None:
        adaptations.dropped("top_p", "Anthropic takes temperature or top_p, not both.")


def _encode_effort(
    body: dict[str, JsonValue],
    model: str,
    effort: ReasoningEffort | None,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    if effort is None or (effort is ReasoningEffort.NONE and not capabilities.takes_reasoning_effort):
        return  # the models that take no effort do not think unless they are told to
    if not capabilities.takes_reasoning_effort:
        adaptations.dropped("reasoning_effort", f"{model} does not take it.")
        return
    if effort is ReasoningEffort.NONE:
        body["thinking"] = {"type": "disabled"}
        return
    body["output_config"] = {"effort": _EFFORTS[effort]}
    if effort is ReasoningEffort.MINIMAL:
        adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, "Anthropic's lowest effort is low.")


def decode_message(body: JsonObject) -> Answer:
    """The answer in a unary reply. Raises `MalformedResponseError` or `EmptyResponseError`."""
    if body.get("type") not in ("message", None) or not isinstance(body.get("content"), list):
        raise MalformedResponseError("The provider's answer is no message with 'content'.")
    blocks = objects_in(body.get("content"))
    return _answer(
        parts=tuple(part for block in blocks if (part := decode_block(block)) is not None),
        stop_reason=text_in(body.get("stop_reason")),
        model=text_in(body.get("model")),
        usage=decode_usage(object_in(body.get("usage"))),
        response_id=text_in(body.get("id")),
    )


def decode_block(block: JsonObject) -> Part | None:
    """A content block as a part; None for an empty one and for a kind that carries no text."""
    kind = block.get("type")
    if kind == "text":
        text = text_in(block.get("text"))
        return TextPart(text) if text else None
    if kind == "thinking":
        signature = text_in(block.get("signature")) or None
        return ReasoningPart(text=text_in(block.get("thinking")), vendor=VENDOR, signature=signature)
    return None


def decode_usage(usage: JsonObject) -> Usage:
    """The usage; Anthropic counts cached input beside `input_tokens`, dipeo within it."""
    if not usage:
        return UNREPORTED_USAGE
    cached = count_in(usage.get("cache_read_input_tokens"))
    written = count_in(usage.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=count_in(usage.get("input_tokens")) + cached + written,
        output_tokens=count_in(usage.get("output_tokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count_in(object_in(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


class MessageStreamDecoder:
    """Reads the events of a streamed message; `message_stop` is its end."""

    __slots__ = ("_blocks", "_message", "_stop_reason", "_usage", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._message: JsonObject = {}
        self._usage: dict[str, JsonValue] = {}
        self._stop_reason = ""
        self._blocks: dict[int, dict[str, list[str]]] = {}

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        match event.get("type"):
            case "content_block_delta":
                return self._take_delta(self._block(event), object_in(event.get("delta")))
            case "content_block_start":
                block = object_in(event.get("content_block"))
                return self._take_delta(self._block(event), {"type": f"{block.get('type')}_delta", **block})
            case "message_start":
                self._message = object_in(event.get("message"))
                self._usage.update(object_in(self._message.get("usage")))
            case "message_delta":
                self._stop_reason = text_in(object_in(event.get("delta")).get("stop_reason")) or self._stop_reason
                self._usage.update(object_in(event.get("usage")))
            case "message_stop":
                self.is_done = True
        return ()

    def _block(self, event: JsonObject) -> dict[str, list[str]]:
        return self._blocks.setdefault(count_in(event.get("index")), {})

    def _take_delta(self, block: dict[str, list[str]], delta: JsonObject) -> Sequence[CompletionEvent]:
        match delta.get("type"):
            case "text_delta" if text := text_in(delta.get("text")):
                block.setdefault("text", []).append(text)
                return (TextDelta(text),)
            case "thinking_delta" if text := text_in(delta.get("thinking")):
                block.setdefault("thinking", []).append(text)
                return (ReasoningDelta(text),)
            case "signature_delta":
                block.setdefault("signature", []).append(text_in(delta.get("signature")))
        return ()

    def end(self) -> None:
        """Anthropic has no such marker; one that comes all the same says nothing."""

    @property
    def is_complete(self) -> bool:
        return self.is_done

    def answer(self) -> Answer:
        joined = (
            {kind: "".join(pieces) for kind, pieces in block.items()} for _, block in sorted(self._blocks.items())
        )
        decoded = (decode_block({"type": "thinking" if "thinking" in block else "text", **block}) for block in joined)
        return _answer(
            parts=tuple(part for part in decoded if part is not None),
            stop_reason=self._stop_reason,
            model=text_in(self._message.get("model")),
            usage=decode_usage(self._usage),
            response_id=text_in(self._message.get("id")),
        )


def _answer(*, parts: tuple[Part, ...], stop_reason: str, model: str, usage: Usage, response_id: str) -> Answer:
    reason = FINISH_REASONS.get(stop_reason, FinishReason.OTHER)
    if not parts and reason in (FinishReason.STOP, FinishReason.OTHER) and stop_reason != "stop_sequence":
        raise EmptyResponseError()
    return Answer(
        parts=parts,
        finish_reason=reason,
        raw_finish_reason=stop_reason,
        model=model,
        usage=usage,
        response_id=response_id or None,
    )
