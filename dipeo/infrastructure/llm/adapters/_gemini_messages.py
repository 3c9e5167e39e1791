"""Conversations in Gemini's words.

Source of the shapes: Google's API reference, "Content" and "Part", and its guide to thought signatures.

A signature belongs to the very part that it came with. Calls and shown thoughts hold theirs. For any other part, the
signature stands before it as a `ReasoningPart` without text; a redacted one is a signature that came with no content.
"""

import re
from base64 import b64encode
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.infrastructure.llm.adapters._whole_calls import known_id, refused_part, sendable_arguments
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.image_detail import encode_detail
from dipeo.infrastructure.llm.drivers.turns import (
    PartTurn,
    PlacedPart,
    Turn,
    as_part_turns,
    as_turns,
    check_calls_are_answered,
    is_all_text,
    split_instructions,
)

VENDOR: Final = "google"
GROUNDING: Final = "groundingMetadata"
TAKES_LEVEL = re.compile(r"(?:models/)?gemini-(?:[3-9]|\d\d|(?:pro|flash|flash-lite)-latest)")
"""From generation 3 on, where the `-latest` names point: thinking levels, signatures demanded, and tools beside schemas
and beside Google's own."""

UNSIGNED: Final = "skip_thought_signature_validator"
"""Google's word for a call that another model made: generation 3 refuses a turn whose first call is not signed."""

_Media = ImagePart | DocumentPart | AudioPart
_JsonPart = dict[str, JsonValue]


def encode_conversation(
    request: CompletionRequest, capabilities: ModelCapabilities, adaptations: Adaptations
) -> tuple[list[JsonValue], list[JsonValue]]:
    """The turns, and the parts of the system instruction. Raises `InvalidRequestError` for what cannot be said."""
    if is_all_text(request.messages):
        instructions, conversation = split_instructions(request.messages, adaptations)
        turns = as_turns(conversation, adaptations, is_open_end_taken=False)
        return [encode_turn(turn) for turn in turns], [{"text": text} for text in instructions]
    instructions, part_turns = as_part_turns(
        request.messages, adaptations, why_left_out=_why_left_out, is_open_end_taken=False
    )
    check_calls_are_answered(part_turns)
    encoder = _TurnEncoder(request.model, capabilities, adaptations)
    contents = [content for turn in part_turns for content in encoder.contents_of(turn)]
    return contents, [{"text": text} for text in instructions]


def encode_turn(turn: Turn) -> JsonObject:
    """One turn of text; a part for each message that was said in it."""
    role = "model" if turn.role is Role.ASSISTANT else "user"
    return {"role": role, "parts": [{"text": text} for text in turn.texts]}


def is_mark(part: Part) -> bool:
    """Whether this is the signature of the part after it."""
    return isinstance(part, ReasoningPart) and not part.text and not part.is_redacted


def _why_left_out(part: Part) -> str | None:
    if isinstance(part, ReasoningPart | ProviderToolPart) and part.vendor != VENDOR:
        return "only the vendor that made it can read it."
    return None


class _TurnEncoder:
    """Encodes the turns of one request in their order: the results of a turn are named after the calls before it."""

    __slots__ = ("_adaptations", "_calls", "_capabilities", "_model")

    def __init__(self, model: str, capabilities: ModelCapabilities, adaptations: Adaptations) -> None:
        self._model = model
        self._capabilities = capabilities
        self._adaptations = adaptations
        # The calls of the turn before, by id: what was called, in order.
        self._calls: dict[str, str] = {}

    def contents_of(self, turn: PartTurn) -> list[JsonValue]:
        if turn.role is Role.ASSISTANT:
            calls = [placed.part for placed in turn.parts if isinstance(placed.part, ToolCallPart)]
            self._calls = {call.call_id: call.name for call in calls}
            parts = self._model_parts(turn)
            return [{"role": "model", "parts": parts}] if parts else []
        # Results stay in a turn of their own: Google counts its parts against the calls before it.
        results = self._results(turn)
        said = [part for placed in turn.parts if (part := self._user_part(placed)) is not None]
        return [{"role": "user", "parts": parts} for parts in (results, said) if parts]

    def _results(self, turn: PartTurn) -> list[JsonValue]:
        results = [placed.part for placed in turn.parts if isinstance(placed.part, ToolResultPart)]
        # In the order of their calls, by which Google pairs what has no id.
        order = list(self._calls)
        return [self._result(result) for result in sorted(results, key=lambda each: order.index(each.call_id))]

    def _result(self, part: ToolResultPart) -> _JsonPart:
        said: _JsonPart = {
            "name": self._calls[part.call_id],
            "response": {"error" if part.is_error else "output": part.content},
        }
        if call_id := known_id(part.call_id):
            said["id"] = call_id
        return {"functionResponse": said}

    def _user_part(self, placed: PlacedPart) -> _JsonPart | None:
        part = placed.part
        if isinstance(part, TextPart):
            return {"text": part.text}
        if isinstance(part, _Media):
            return self._media(part, placed.where)
        if isinstance(part, ReasoningPart | ProviderToolPart):
            self._adaptations.dropped(placed.where, "only a model's own turn can hold it.")
        elif not isinstance(part, ToolResultPart):
            raise refused_part(part, where=placed.where, takes="text, images, documents and audio")
        return None

    def _model_parts(self, turn: PartTurn) -> list[JsonValue]:
        parts: list[JsonValue] = []
        mark: str | None = None
        has_call = False
        for placed in turn.parts:
            part = placed.part
            said = self._model_part(placed)
            if mark and (said is not None or is_mark(part)):
                if isinstance(part, TextPart | _Media):
                    said = _signed(said or {}, mark)
                else:
                    parts.append(_signed({"text": ""}, mark))
                mark = None
            if said is None:
                mark = part.signature if isinstance(part, ReasoningPart) and is_mark(part) else mark
                continue
            if isinstance(part, ToolCallPart) and not has_call:
                has_call = True
                said = self._first_call(said, placed.where)
            parts.append(said)
        return [*parts, _signed({"text": ""}, mark)] if mark else parts

    def _model_part(self, placed: PlacedPart) -> _JsonPart | None:
        """The part as Google takes it back; None for the next one's signature, and for what describes the answer."""
        part = placed.part
        if isinstance(part, TextPart):
            return {"text": part.text}
        if isinstance(part, _Media):
            return self._media(part, placed.where)
        if isinstance(part, ToolCallPart):
            return self._call(part, placed.where)
        if isinstance(part, ProviderToolPart):
            # What an answer rests on is no part of it, and Google takes it back in none.
            return None if GROUNDING in part.data else dict(part.data)
        if isinstance(part, ReasoningPart):
            if part.text:
                return _signed({"text": part.text, "thought": True}, part.signature)
            return _signed({"text": ""}, part.signature) if part.is_redacted and part.signature else None
        raise refused_part(part, where=placed.where, takes="what a model says, and its calls")

    def _call(self, part: ToolCallPart, where: str) -> _JsonPart:
        arguments = sendable_arguments(part, where=where, adaptations=self._adaptations)
        said: _JsonPart = {"name": part.name, "args": arguments}
        if call_id := known_id(part.call_id):
            said["id"] = call_id
        if part.signature and part.vendor != VENDOR:
            self._adaptations.dropped(f"{where}.signature", "only the vendor that made it can read it.")
            return {"functionCall": said}
        return _signed({"functionCall": said}, part.signature)

    def _first_call(self, said: _JsonPart, where: str) -> _JsonPart:
        if "thoughtSignature" in said or not TAKES_LEVEL.match(self._model):
            return said
        reason = f"{self._model} wants a signed call, and this one was made by another model."
        self._adaptations.note(f"{where}.signature", AdaptationAction.INSERTED, reason)
        return _signed(said, UNSIGNED)

    def _media(self, part: _Media, where: str) -> _JsonPart:
        if not _is_taken(part, self._capabilities):
            raise UnsupportedParameterError(
                f"{where} holds {type(part).__name__}, which {self._model} is not known to take.",
                field=where,
                suggestion="Choose a model that takes it.",
            )
        if isinstance(part, ImagePart):
            encode_detail(part, where, self._adaptations)
        if part.url is not None:
            return {"fileData": {"mimeType": part.media_type, "fileUri": part.url}}
        return {"inlineData": {"mimeType": part.media_type, "data": b64encode(part.data or b"").decode()}}


def _is_taken(part: _Media, capabilities: ModelCapabilities) -> bool:
    if isinstance(part, ImagePart):
        return capabilities.takes_images
    return capabilities.takes_documents if isinstance(part, DocumentPart) else capabilities.takes_audio


def _signed(part: _JsonPart, signature: str | None) -> _JsonPart:
    return {**part, "thoughtSignature": signature} if signature else part
