"""From bytes, however they are cut, to the JSON events of a stream."""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Final, Protocol

import orjson

from dipeo.domain.errors import MalformedResponseError
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.wire import END_OF_STREAM, Framing, WireReply
from dipeo.infrastructure.llm.wires.limits import MAX_JSON_CONTAINERS, MAX_JSON_DEPTH, MAX_JSON_VALUES

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
SAMPLE_CHARS: Final = 200

UNREADABLE: Final = None
"""Stands for an event that cannot be read, behind those that came whole; no provider has an event that is a null."""


class EventParser(Protocol):
    """Takes bytes as they arrive and gives events as they become whole."""

    def feed(self, chunk: bytes) -> list[JsonValue]:
        """The events that this chunk completes, the last perhaps `UNREADABLE`. Raises `MalformedResponseError`."""
        ...

    def finish(self) -> list[JsonValue]:
        """What the end of the stream completes. Raises `MalformedResponseError` for a torn event."""
        ...


def parser_for(framing: Framing) -> EventParser:
    """A fresh parser for one stream."""
    return ServerSentEvents() if framing is Framing.SSE else JsonLines()


class ServerSentEvents:
    """Server-sent events as the WHATWG HTML standard frames them, section 9.2.6; each event's data is JSON.

    Lines end in LF, CR LF or CR; comments, event names, ids and retry times carry nothing that a provider's JSON does
    not say too. Unlike the standard, which discards it, a last event without its blank line is an error: it was torn.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._skip_newline = False
        self._is_first = True

    def feed(self, chunk: bytes) -> list[JsonValue]:
        if self._is_first and chunk:
            # A byte order mark before the stream says nothing; cut in two it is rarer than rare, and ends as an error.
            self._is_first = False
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        if self._skip_newline and chunk:
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            # A CR that ends the chunk ends its line at once; a LF that begins the next chunk belongs to it.
            self._skip_newline = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = (self._rest + chunk).split(b"\n") if self._rest else chunk.split(b"\n")
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise MalformedResponseError(f"One event of the stream is larger than {MAX_EVENT_BYTES} bytes.")
        events: list[JsonValue] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                self._size += len(line)
            elif not line and self._data:
                if any(self._data):
                    try:
                        events.append(self._take())
                    except MalformedResponseError:
                        # What came whole before it must not be lost because it happened to arrive with it.
                        if not events:
                            raise
                        return [*events, UNREADABLE]
                else:
                    self._data, self._size = [], 0  # data without any text is no event, by the standard
        return events

    def finish(self) -> list[JsonValue]:
        if self._rest.startswith(b"data:") or self._data:
            # A provider may leave out the very last blank line; a whole JSON text is then accepted, a torn one is not.
            return self.feed(b"\n\n")
        return []

    def _take(self) -> JsonValue:
        text = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data, self._size = [], 0
        if text == b"[DONE]":
            return END_OF_STREAM
        return parse_json(text)


class JsonLines:
    """Newline-delimited JSON; blank lines carry nothing."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[JsonValue]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise MalformedResponseError(f"One event of the stream is larger than {MAX_EVENT_BYTES} bytes.")
        events: list[JsonValue] = []
        for line in lines:
            if line.strip():
                try:
                    events.append(parse_json(line))
                except MalformedResponseError:
                    if not events:
                        raise
                    return [*events, UNREADABLE]
        return events

    def finish(self) -> list[JsonValue]:
        return self.feed(b"\n") if self._rest.strip() else []


def readable(event: JsonValue) -> JsonValue:
    """The event. Raises `MalformedResponseError` for `UNREADABLE`."""
    if event is UNREADABLE:
        raise MalformedResponseError("The stream holds an event that cannot be read.")
    return event


def parse_json(text: bytes) -> JsonValue:
    """The JSON value, strictly: no NaN, no bare infinities, bounded depth and size. Raises `MalformedResponseError`.

    Bytes that are not UTF-8 become U+FFFD rather than an error: one broken character must not cost the answer.
    """
    value: JsonValue
    containers = text.count(b"[") + text.count(b"{")
    # A text that is shorter than so many commas need not be looked through for them.
    if containers > MAX_JSON_CONTAINERS or (len(text) > MAX_JSON_VALUES and text.count(b",") > MAX_JSON_VALUES):
        raise MalformedResponseError("The provider sent JSON of too many values.")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _parse_repaired(text)
    # So few brackets cannot nest too deeply, and nearly every text has so few.
    if containers > MAX_JSON_DEPTH and _depth_of(text) > MAX_JSON_DEPTH:
        raise _too_deep()
    return value


def _too_deep() -> MalformedResponseError:
    return MalformedResponseError(f"The provider sent JSON that is nested more than {MAX_JSON_DEPTH} times.")


def _depth_of(text: bytes) -> int:
    """How deeply a JSON text is nested; read off its brackets, because walking the value would take far longer."""
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(accumulate(_STEPS[bracket] for bracket in brackets), default=0)


_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _STEPS)


def _parse_repaired(text: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(text.decode("utf-8", errors="replace"))
    except orjson.JSONDecodeError as problem:
        raise MalformedResponseError(
            "The provider sent something that is not JSON.",
            sample=sample_of(text),
            is_cut_off=problem.pos >= len(problem.doc),
        ) from None
    return value


def reply_from(status: int, headers: Mapping[str, str], body: bytes) -> WireReply:
    """The answer with its body read as JSON; where it is none, with the beginning of the text."""
    try:
        return WireReply(status, headers, parse_json(body))
    except MalformedResponseError as problem:
        is_cut_off = problem.context.get("is_cut_off") is True
        return WireReply(status=status, headers=headers, json=None, sample=sample_of(body), is_cut_off=is_cut_off)


def sample_of(body: bytes) -> str:
    """The beginning of a body, fit to be shown: at most 200 characters, control characters escaped."""
    text = body[: 4 * SAMPLE_CHARS].decode("utf-8", errors="replace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)[:SAMPLE_CHARS]
