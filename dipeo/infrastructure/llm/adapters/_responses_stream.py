"""Streams in the words of OpenAI's responses: the pure half that comes in piece by piece.

Source of the shapes: OpenAI's API reference, "Streaming events".
"""

from collections.abc import Sequence
from typing import Final

from attrs import define

from dipeo.domain.errors import IncompleteStreamError, MalformedResponseError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.infrastructure.llm.adapters._responses_reply import (
    call_id_of,
    decode_response,
    text_of_item,
    thoughts_of_item,
)
from dipeo.infrastructure.llm.drivers.answer import Answer, object_in, objects_in, text_in

TEXT_DELTAS: Final = frozenset({"response.output_text.delta", "response.refusal.delta"})
THOUGHT_DELTAS: Final = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
ENDS: Final = frozenset({"response.completed", "response.incomplete"})


def failure_in(event: JsonObject) -> JsonObject | None:
    """The error body in an event that says that the answer failed, in the shape of a refusal; None for any other."""
    kind = event.get("type")
    if kind == "error":
        return {"error": event.get("error") or {name: event.get(name) for name in ("code", "message", "param")}}
    if kind == "response.failed":
        return {"error": object_in(event.get("response")).get("error") or {"code": "server_error"}}
    return None


@define
class _Call:
    """A tool call that is under way."""

    index: int
    call_id: str
    name: str


class ResponsesStreamDecoder:
    """Reads the typed events of a streamed response; its end holds the whole answer."""

    __slots__ = ("_calls", "_ended", "_items", "_told", "_vendor", "is_done")

    def __init__(self, *, vendor: str) -> None:
        self.is_done = False
        self._vendor = vendor
        self._calls: dict[int, _Call] = {}
        self._told: dict[int, list[str]] = {}
        self._items: dict[int, JsonObject] = {}
        self._ended: JsonObject | None = None

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        kind = text_in(event.get("type"))
        if kind in TEXT_DELTAS:
            return self._more_text(event)
        if kind in THOUGHT_DELTAS:
            return self._more_thought(event)
        if kind == "response.function_call_arguments.delta":
            return self._more_arguments(event)
        if kind == "response.output_item.added":
            return self._begin(event)
        if kind == "response.output_item.done":
            return self._whole(event)
        if kind in ENDS:
            self._end(event)
        # Whatever else there is repeats what these say, or tells of progress.
        return ()

    def end(self) -> None:
        raise IncompleteStreamError("The stream ended without saying why.")

    @property
    def is_complete(self) -> bool:
        return self._ended is not None

    def answer(self) -> Answer:
        if self._ended is None:
            raise IncompleteStreamError()
        return decode_response(self._ended, vendor=self._vendor)

    # --- pieces ------------------------------------------------------------------------------------------------------

    def _piece(self, event: JsonObject) -> str:
        piece = text_in(event.get("delta"))
        if piece:
            self._told.setdefault(_place_of(event), []).append(piece)
        return piece

    def _more_text(self, event: JsonObject) -> Sequence[CompletionEvent]:
        piece = self._piece(event)
        return (TextDelta(piece),) if piece else ()

    def _more_thought(self, event: JsonObject) -> Sequence[CompletionEvent]:
        piece = self._piece(event)
        return (ReasoningDelta(piece),) if piece else ()

    def _more_arguments(self, event: JsonObject) -> Sequence[CompletionEvent]:
        call = self._calls.get(_place_of(event))
        if call is None:
            return ()  # No item was opened for it: its end will tell the whole.
        piece = self._piece(event)
        return (_delta(call, piece),) if piece else ()

    def _begin(self, event: JsonObject) -> Sequence[CompletionEvent]:
        item, place = object_in(event.get("item")), _place_of(event)
        if item.get("type") != "function_call" or place in self._calls:
            return ()
        index = len(self._calls)
        call = _Call(index, call_id_of(item, index=index), text_in(item.get("name")))
        self._calls[place] = call
        return (_delta(call, ""),)

    def _whole(self, event: JsonObject) -> Sequence[CompletionEvent]:
        """An item is whole: what no piece has told of it is told now, for servers that send no pieces."""
        item, place = object_in(event.get("item")), _place_of(event)
        if item:
            self._items[place] = item
        told = "".join(self._told.get(place, ()))
        kind = item.get("type")
        if kind == "message":
            rest = _rest(text_of_item(item), told)
            return (TextDelta(rest),) if rest else ()
        if kind == "reasoning":
            rest = _rest("".join(thoughts_of_item(item)), told)
            return (ReasoningDelta(rest),) if rest else ()
        if kind != "function_call":
            return ()
        events = list(self._begin(event))
        rest = _rest(text_in(item.get("arguments")), told)
        return [*events, _delta(self._calls[place], rest)] if rest else events

    def _end(self, event: JsonObject) -> None:
        response = event.get("response")
        if not isinstance(response, dict):
            raise MalformedResponseError("The stream's end holds no response.")
        if not objects_in(response.get("output")) and self._items:
            # Some servers leave the output out where they have just sent it.
            response = {**response, "output": list(self._items.values())}
        self._ended = response
        self.is_done = True


def _place_of(event: JsonObject) -> int:
    """Which item an event is about. Ids will not do: xAI gives two items of one answer the same."""
    place = event.get("output_index")
    return place if type(place) is int else 0


def _rest(whole: str, told: str) -> str:
    return whole[len(told) :] if whole.startswith(told) else ""


def _delta(call: _Call, piece: str) -> ToolCallDelta:
    return ToolCallDelta(index=call.index, call_id=call.call_id, name=call.name, arguments=piece)
