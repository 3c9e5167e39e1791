"""What Anthropic's messages interface answers, whole or piece by piece."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import EmptyResponseError, MalformedResponseError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.parts import CitationPart, Part, ProviderToolPart, ReasoningPart, TextPart, ToolCallPart
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.domain.usage import UNREPORTED_USAGE, Usage, new_usage
from dipeo.infrastructure.llm.adapters._claude_parts import VENDOR
from dipeo.infrastructure.llm.drivers.answer import Answer, count_in, new_answer, object_in, objects_in, text_in

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSED,
    "refusal": FinishReason.CONTENT_FILTER,
}
_NEED_PARTS: Final = frozenset({FinishReason.STOP, FinishReason.OTHER, FinishReason.TOOL_CALLS})
_SERVER_KINDS: Final = frozenset({"server_tool_use", "mcp_tool_use", "container_upload"})
_RESULT: Final = "_tool_result"


def decode_message(body: JsonObject) -> Answer:
    """The answer in a unary reply. Raises `MalformedResponseError` or `EmptyResponseError`."""
    if body.get("type") not in ("message", None) or not isinstance(body.get("content"), list):
        raise MalformedResponseError("The provider's answer is no message with 'content'.")
    return _answer(objects_in(body.get("content")), text_in(body.get("stop_reason")), body, body.get("usage"))


def decode_blocks(blocks: Sequence[JsonObject]) -> tuple[Part, ...]:
    """The parts of an answer; a kind of block that is not known is left out."""
    parts: list[Part] = []
    calls = 0
    for block in blocks:
        match block.get("type"):
            case "text":
                _take_text(parts, block)
            case "tool_use":
                parts.append(_call(block, call_id=text_in(block.get("id")) or f"call_{calls}"))
                calls += 1
            case "thinking":
                _take_thought(parts, block)
            case "redacted_thinking" if data := text_in(block.get("data")):
                parts.append(ReasoningPart(text="", vendor=VENDOR, signature=data, is_redacted=True))
            case str(kind) if kind in _SERVER_KINDS or kind.endswith(_RESULT):
                parts.append(_provider_part(kind, block))
    return tuple(parts)


def decode_usage(usage: JsonObject) -> Usage:
    """The usage; Anthropic counts cached input beside `input_tokens`, dipeo within it."""
    if not usage:
        return UNREPORTED_USAGE
    cached = count_in(usage.get("cache_read_input_tokens"))
    kept = object_in(usage.get("cache_creation"))
    short, long = count_in(kept.get("ephemeral_5m_input_tokens")), count_in(kept.get("ephemeral_1h_input_tokens"))
    told = usage.get("cache_creation_input_tokens")
    written = short + long if told is None else count_in(told)
    if short + long > written:
        # One of both is wrong; the total is what the input is counted from.
        short = long = 0
    return new_usage(
        input_tokens=count_in(usage.get("input_tokens")) + cached + written,
        output_tokens=count_in(usage.get("output_tokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_short_tokens=short,
        cache_write_long_tokens=long,
        reasoning_tokens=count_in(object_in(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


class MessageStreamDecoder:
    """Reads the events of a streamed message; `message_stop` is its end."""

    __slots__ = ("_blocks", "_calls", "_message", "_stop_reason", "_usage", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._message: JsonObject = {}
        self._usage: dict[str, JsonValue] = {}
        self._stop_reason = ""
        self._blocks: dict[int, _Block] = {}
        self._calls = 0

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        match event.get("type"):
            case "content_block_delta":
                return self._take_delta(count_in(event.get("index")), object_in(event.get("delta")))
            case "content_block_start":
                return self._begin(count_in(event.get("index")), object_in(event.get("content_block")))
            case "message_start":
                self._message = object_in(event.get("message"))
                self._usage.update(object_in(self._message.get("usage")))
            case "message_delta":
                self._stop_reason = text_in(object_in(event.get("delta")).get("stop_reason")) or self._stop_reason
                # Counts here are totals; one that is null says nothing new.
                said = object_in(event.get("usage"))
                self._usage.update({name: count for name, count in said.items() if count is not None})
            case "message_stop":
                self.is_done = True
        return ()

    def _begin(self, index: int, start: JsonObject) -> Sequence[CompletionEvent]:
        block = self._blocks[index] = _Block(start)
        match start.get("type"):
            case "text" if text := text_in(start.get("text")):
                return (TextDelta(text),)
            case "thinking" if text := text_in(start.get("thinking")):
                return (ReasoningDelta(text),)
            case "tool_use":
                block.number, self._calls = self._calls, self._calls + 1
                return (block.call_delta(""),)
        return ()

    def _take_delta(self, index: int, delta: JsonObject) -> Sequence[CompletionEvent]:
        kind = delta.get("type")
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Block({"type": "thinking" if kind == "thinking_delta" else "text"})
        match kind:
            case "text_delta" if text := text_in(delta.get("text")):
                block.pieces.append(text)
                return (TextDelta(text),)
            case "thinking_delta" if text := text_in(delta.get("thinking")):
                block.pieces.append(text)
                return (ReasoningDelta(text),)
            case "input_json_delta" if text := text_in(delta.get("partial_json")):
                block.pieces.append(text)
                return (block.call_delta(text),) if block.kind == "tool_use" else ()
            case "signature_delta":
                block.signature += text_in(delta.get("signature"))
            case "citations_delta":
                block.citations.append(object_in(delta.get("citation")))
        return ()

    def end(self) -> None:
        """Anthropic has no such marker; one that comes all the same says nothing."""

    @property
    def is_complete(self) -> bool:
        return self.is_done

    def answer(self) -> Answer:
        blocks = [block.whole() for _, block in sorted(self._blocks.items())]
        return _answer(blocks, self._stop_reason, self._message, self._usage)


class _Block:
    """A content block that is still growing: how it began, and the pieces since."""

    __slots__ = ("citations", "kind", "number", "pieces", "signature", "start")

    def __init__(self, start: JsonObject) -> None:
        self.start = start
        self.kind = text_in(start.get("type"))
        self.pieces: list[str] = []
        self.signature = ""
        self.citations: list[JsonValue] = []
        self.number = 0

    def call_delta(self, piece: str) -> ToolCallDelta:
        call_id = text_in(self.start.get("id")) or f"call_{self.number}"
        return ToolCallDelta(index=self.number, call_id=call_id, name=text_in(self.start.get("name")), arguments=piece)

    def whole(self) -> JsonObject:
        """The block as a unary reply would hold it; arguments that are no JSON stay the text they are."""
        start, grown = self.start, "".join(self.pieces)
        if self.kind == "text":
            begun = start.get("citations")
            citations = [*(begun if isinstance(begun, list) else ()), *self.citations]
            return {**start, "text": text_in(start.get("text")) + grown, "citations": citations}
        if self.kind == "thinking":
            signature = text_in(start.get("signature")) + self.signature
            return {**start, "thinking": text_in(start.get("thinking")) + grown, "signature": signature}
        if not grown:
            return start
        said = _parsed(grown)
        # A call tells what it could not read; what goes back to the provider must be an object.
        return {**start, "input": said} if self.kind == "tool_use" or not isinstance(said, str) else start


def _take_text(parts: list[Part], block: JsonObject) -> None:
    if text := text_in(block.get("text")):
        parts.append(TextPart(text))
    for citation in objects_in(block.get("citations")):
        parts.append(
            CitationPart(
                url=text_in(citation.get("url")) or text_in(citation.get("source")) or None,
                title=text_in(citation.get("title")) or text_in(citation.get("document_title")),
                text=text_in(citation.get("cited_text")),
            )
        )


def _take_thought(parts: list[Part], block: JsonObject) -> None:
    """A thought that is not shown has no text, and must go back for its signature all the same."""
    text, signature = text_in(block.get("thinking")), text_in(block.get("signature")) or None
    if text or signature:
        parts.append(ReasoningPart(text=text, vendor=VENDOR, signature=signature))


def _call(block: JsonObject, *, call_id: str) -> ToolCallPart:
    name, arguments = text_in(block.get("name")), block.get("input")
    try:
        if isinstance(arguments, Mapping):
            try:
                return ToolCallPart(call_id=call_id, name=name, arguments=arguments)
            except ValidationError as problem:
                if problem.field in ("call_id", "name"):
                    raise
        broken = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return ToolCallPart(call_id=call_id, name=name, arguments={}, broken_arguments=broken)
    except ValidationError as problem:
        raise MalformedResponseError(f"A tool call of the answer is none: {problem.message}") from None


def _provider_part(kind: str, block: JsonObject) -> ProviderToolPart:
    name = text_in(block.get("name")) or kind.removesuffix(_RESULT)
    try:
        return ProviderToolPart(vendor=VENDOR, name=name, data=block)
    except ValidationError as problem:
        raise MalformedResponseError(f"What a tool of Anthropic's gave back is not JSON: {problem.message}") from None


def _parsed(text: str) -> JsonValue:
    """The JSON value that a text is, or else the text."""
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def _answer(blocks: Sequence[JsonObject], stop_reason: str, message: JsonObject, usage: JsonValue) -> Answer:
    parts = decode_blocks(blocks)
    reason = FINISH_REASONS.get(stop_reason, FinishReason.OTHER)
    if not parts and reason in _NEED_PARTS and stop_reason != "stop_sequence":
        raise EmptyResponseError()
    return new_answer(
        parts=parts,
        finish_reason=reason,
        raw_finish_reason=stop_reason,
        model=text_in(message.get("model")),
        usage=decode_usage(object_in(usage)),
        response_id=text_in(message.get("id")) or None,
    )
