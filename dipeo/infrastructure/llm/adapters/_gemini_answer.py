"""Gemini's answers, whole and in a stream.

Source of the shapes: Google's API reference, "GenerateContentResponse", "Part" and "GroundingMetadata".
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import EmptyResponseError, MalformedResponseError, ToolCallInvalidError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.parts import (
    AudioPart,
    CitationPart,
    DocumentPart,
    ImagePart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
)
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta
from dipeo.domain.tools import ProviderTool
from dipeo.domain.usage import UNREPORTED_USAGE, Usage, new_usage
from dipeo.infrastructure.llm.adapters._gemini_messages import GROUNDING, VENDOR, is_mark
from dipeo.infrastructure.llm.adapters._whole_calls import decode_call, delta_of, made_up_id
from dipeo.infrastructure.llm.drivers.answer import Answer, count_in, new_answer, object_in, objects_in, text_in

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

# What Google's own tools were asked and gave back, by the name of the part's field.
_OWN_TOOLS: Final = {
    "executableCode": ProviderTool.CODE_EXECUTION.value,
    "codeExecutionResult": ProviderTool.CODE_EXECUTION.value,
    "toolCall": "tool_call",
    "toolResponse": "tool_response",
}


def decode_response(body: JsonObject) -> Answer:
    """The answer in a unary reply.

    A blocked prompt is an answer of no parts with finish reason `CONTENT_FILTER`. Raises `EmptyResponseError`,
    `MalformedResponseError` or `ToolCallInvalidError`.
    """
    decoder = ResponseStreamDecoder()
    decoder.feed(body)
    return decoder.answer()


def decode_usage(usage: JsonObject) -> Usage:
    """The usage; Google counts thoughts beside `candidatesTokenCount`, dipeo within the output."""
    if not usage:
        return UNREPORTED_USAGE
    thoughts = count_in(usage.get("thoughtsTokenCount"))
    return new_usage(
        input_tokens=count_in(usage.get("promptTokenCount")) + count_in(usage.get("toolUsePromptTokenCount")),
        output_tokens=count_in(usage.get("candidatesTokenCount")) + thoughts,
        cached_tokens=count_in(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


class ResponseStreamDecoder:
    """Reads the chunks of a streamed response, each shaped like a whole one; a finish reason makes it complete."""

    __slots__ = (
        "_call_count",
        "_finish",
        "_grounding",
        "_has_shape",
        "_id",
        "_is_blocked",
        "_model",
        "_parts",
        "_sources",
        "_usage",
        "is_done",
    )

    def __init__(self) -> None:
        self.is_done = False
        self._call_count = 0
        self._finish = ""
        self._grounding: JsonObject = {}
        self._has_shape = False
        self._is_blocked = False
        self._id = self._model = ""
        self._parts: list[Part] = []
        self._sources: list[JsonObject] = []
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
        candidate = candidates[0]
        if GROUNDING in candidate:
            self._grounding = {**self._grounding, **object_in(candidate[GROUNDING])}
        if "citationMetadata" in candidate:
            self._sources.extend(objects_in(object_in(candidate["citationMetadata"]).get("citationSources")))
        events: list[CompletionEvent] = []
        try:
            for part in objects_in(object_in(candidate.get("content")).get("parts")):
                self._take(part, events)
        except ValidationError as problem:
            raise MalformedResponseError(f"The provider's answer holds a part that cannot be read: {problem}") from None
        self._finish = text_in(candidate.get("finishReason"))
        return events

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
        reason = FINISH_REASONS.get(self._finish, FinishReason.OTHER)
        if self._is_blocked:
            reason = FinishReason.CONTENT_FILTER
        if reason is FinishReason.STOP and self._call_count:
            reason = FinishReason.TOOL_CALLS
        if reason not in (FinishReason.CONTENT_FILTER, FinishReason.LENGTH) and not any(map(_is_said, self._parts)):
            raise EmptyResponseError()
        parts = merged(self._parts)
        if self._grounding or self._sources:
            parts += decode_sources(self._grounding, self._sources)
        return new_answer(
            parts=parts,
            finish_reason=reason,
            raw_finish_reason=self._finish,
            model=self._model,
            usage=decode_usage(self._usage),
            response_id=self._id or None,
        )

    def _take(self, part: JsonObject, events: list[CompletionEvent]) -> None:
        """Takes one part, and adds what it means for a reader of the stream."""
        signature = text_in(part["thoughtSignature"]) or None if "thoughtSignature" in part else None
        text = part.get("text")
        if not isinstance(text, str):
            self._take_other(part, signature, events)
        elif text and part.get("thought") is True:
            self._parts.append(ReasoningPart(text=text, vendor=VENDOR, signature=signature))
            events.append(ReasoningDelta(text))
        elif text:
            if signature:
                self._parts.append(_mark(signature))
            self._parts.append(TextPart(text))
            events.append(TextDelta(text))
        elif signature:
            self._parts.append(ReasoningPart(text="", vendor=VENDOR, signature=signature, is_redacted=True))

    def _take_other(self, part: JsonObject, signature: str | None, events: list[CompletionEvent]) -> None:
        if "functionCall" in part:
            said = object_in(part["functionCall"])
            call = decode_call(
                said,
                said.get("args"),
                call_id=said.get("id"),
                spare_id=made_up_id(self._call_count, self._id),
                vendor=VENDOR,
                signature=signature,
            )
            events.append(delta_of(call, index=self._call_count))
            self._call_count += 1
            self._parts.append(call)
            return
        tool = next((name for field, name in _OWN_TOOLS.items() if field in part), None)
        if tool is not None:
            self._parts.append(ProviderToolPart(vendor=VENDOR, name=tool, data=part))
        elif "inlineData" in part or "fileData" in part:
            if signature:
                self._parts.append(_mark(signature))
            if (media := decode_media(part)) is not None:
                self._parts.append(media)


def decode_media(part: JsonObject) -> Part | None:
    """A picture, sound or other file that the model made, if there is one.

    Raises `MalformedResponseError` for data that is none.
    """
    said = object_in(part.get("inlineData")) or object_in(part.get("fileData"))
    media_type = text_in(said.get("mimeType"))
    data, url = None, text_in(said.get("fileUri")) or None
    if url is None:
        try:
            data = b64decode(text_in(said.get("data")), validate=True)
        except (binascii.Error, ValueError):
            raise MalformedResponseError("The provider's answer holds data that is not in base64.") from None
        if not data:
            return None
    if media_type.startswith("image/"):
        return ImagePart(media_type=media_type, data=data, url=url)
    kind = AudioPart if media_type.startswith("audio/") else DocumentPart
    return kind(media_type=media_type, data=data, url=url)


def decode_sources(grounding: JsonObject, sources: Sequence[JsonObject]) -> tuple[Part, ...]:
    """What Google searched for, and where each passage comes from; sources that no passage names come last."""
    parts: list[Part] = []
    searched = {name: grounding[name] for name in ("webSearchQueries", "searchEntryPoint") if grounding.get(name)}
    try:
        if searched:
            data: dict[str, JsonValue] = {GROUNDING: searched}
            parts.append(ProviderToolPart(vendor=VENDOR, name=ProviderTool.WEB_SEARCH.value, data=data))
        chunks = objects_in(grounding.get("groundingChunks"))
        named: set[int] = set()
        for support in objects_in(grounding.get("groundingSupports")):
            text = text_in(object_in(support.get("segment")).get("text"))
            for index in _indices_in(support.get("groundingChunkIndices"), len(chunks)):
                named.add(index)
                parts.append(_citation(chunks[index], text))
        parts.extend(_citation(chunk, "") for index, chunk in enumerate(chunks) if index not in named)
        parts.extend(CitationPart(url=_url(each), title=text_in(each.get("title"))) for each in sources)
    except ValidationError as problem:
        raise MalformedResponseError(f"The provider's sources cannot be read: {problem}") from None
    return tuple(parts)


def merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Neighbouring parts of one kind as one: how a stream is cut says nothing.

    What is signed stays as it came: a signature is good for the very words that it came with.
    """
    if len(parts) < 2:
        return tuple(parts)
    whole: list[Part] = []
    is_sealed = False
    for part in parts:
        last = whole[-1] if whole and not is_sealed else None
        is_sealed = bool(whole) and is_mark(whole[-1])
        if isinstance(part, TextPart) and isinstance(last, TextPart):
            whole[-1] = TextPart(last.text + part.text)
        elif _is_plain_thought(part) and _is_plain_thought(last):
            whole[-1] = ReasoningPart(text=_thought(last) + _thought(part), vendor=VENDOR)
        else:
            whole.append(part)
    return tuple(whole)


def _mark(signature: str) -> ReasoningPart:
    """The signature of the part that follows, which has no field for it."""
    return ReasoningPart(text="", vendor=VENDOR, signature=signature)


def _thought(part: Part | None) -> str:
    return part.text if isinstance(part, ReasoningPart) else ""


def _is_plain_thought(part: Part | None) -> bool:
    return isinstance(part, ReasoningPart) and part.signature is None


def _is_said(part: Part) -> bool:
    """Whether this is more than a signature."""
    return not isinstance(part, ReasoningPart) or bool(part.text)


def _indices_in(value: JsonValue, count: int) -> list[int]:
    if not isinstance(value, list):
        return []
    return [index for index in value if type(index) is int and 0 <= index < count]


def _citation(chunk: JsonObject, text: str) -> CitationPart:
    source = next((object_in(chunk[kind]) for kind in ("web", "retrievedContext", "maps") if kind in chunk), chunk)
    return CitationPart(url=_url(source), title=text_in(source.get("title")), text=text)


def _url(source: JsonObject) -> str | None:
    return text_in(source.get("uri")) or None
