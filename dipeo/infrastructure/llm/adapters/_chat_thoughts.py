"""What models let see of their thinking over chat completions; every provider has its own place for it."""

import json
from typing import Final

from attrs import define, field

from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.parts import ReasoningPart
from dipeo.infrastructure.llm.drivers.answer import objects_in, text_in

THOUGHT_FIELDS: Final = frozenset({"reasoning_content", "reasoning", "reasoning_details"})

_GROWING: Final = ("text", "summary", "data")
"""Fields of a detail whose pieces are joined; of the others the last one holds."""


@define
class _Thought:
    """One thought, as far as it has come. `detail` is the provider's JSON for it, to go back as it is."""

    key: tuple[JsonValue, JsonValue] | None
    pieces: list[str] = field(factory=list)
    detail: dict[str, JsonValue] | None = None


class ThoughtsBeingHad:
    """Collects thoughts, whole or piece by piece."""

    __slots__ = ("_thoughts", "_vendor")

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._thoughts: list[_Thought] = []

    def add(self, message: JsonObject) -> str:
        """Takes what a message, or a part of one, holds of thinking; the text that it adds."""
        details = objects_in(message.get("reasoning_details"))
        if details:
            told = "".join([self._add_detail(detail) for detail in details])
            if told or any(thought.pieces for thought in self._thoughts if thought.detail is not None):
                return told
        plain = _plain(message)
        if plain:
            if not self._thoughts or self._thoughts[-1].key is not None:
                self._thoughts.append(_Thought(None))
            self._thoughts[-1].pieces.append(plain)
        return plain

    def parts(self) -> tuple[ReasoningPart, ...]:
        """The thoughts, each with what proves it to its vendor."""
        return tuple([self._part(thought) for thought in self._thoughts])

    def _add_detail(self, detail: JsonObject) -> str:
        """Puts a piece to the detail of the same kind and index: OpenRouter streams one signed block in pieces."""
        index = detail.get("index")
        key = (detail.get("type"), index) if index is not None else None
        thought = next((each for each in self._thoughts if key is not None and each.key == key), None)
        if thought is None:
            # A detail without an index is whole, and must not be taken for plain text.
            thought = _Thought(key or (len(self._thoughts), "whole"))
            thought.detail = {}
            self._thoughts.append(thought)
        held = thought.detail if thought.detail is not None else {}
        for name, value in detail.items():
            if name in _GROWING and isinstance(value, str):
                before = held.get(name)
                held[name] = before + value if isinstance(before, str) else value
            elif value is not None or name not in held:
                held[name] = value
        told = text_in(detail.get("text")) or text_in(detail.get("summary"))
        if told:
            thought.pieces.append(told)
        return told

    def _part(self, thought: _Thought) -> ReasoningPart:
        text, detail = "".join(thought.pieces), thought.detail
        if detail is None:
            return ReasoningPart(text=text, vendor=self._vendor)
        return ReasoningPart(
            text=text,
            vendor=self._vendor,
            signature=json.dumps(detail, ensure_ascii=False),
            id=text_in(detail.get("id")) or None,
            is_redacted=not text,
        )


def _plain(message: JsonObject) -> str:
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str):
        return thought
    content = message.get("content")
    if not isinstance(content, list):
        return ""
    return "".join([_piece_text(piece) for piece in objects_in(content) if piece.get("type") == "thinking"])


def _piece_text(piece: JsonObject) -> str:
    """Mistral's thinking: text, or a list of pieces of text."""
    thinking = piece.get("thinking")
    if isinstance(thinking, str):
        return thinking
    return "".join([text_in(each.get("text")) for each in objects_in(thinking) if each.get("type") == "text"])
