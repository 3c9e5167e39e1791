"""Reads JSON that has not arrived whole, and JSON that stands in a fence."""

import json
import re
from typing import Final, NoReturn, cast

from attrs import frozen

from dipeo.domain.json_value import JsonValue

_SPACES: Final = frozenset(" \t\r\n")
_SIGNS: Final = frozenset("{}[],:")
# Possessive, so that no text makes them slow.
_OPEN_STRING: Final = re.compile(r'"(?:[^"\\]++|\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))*+')
_STRING: Final = re.compile(_OPEN_STRING.pattern + '"')
# A number or a word counts only when what follows shows that it has ended.
_WORD: Final = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?=[ \t\r\n,\]}`])")
_FENCE: Final = re.compile(r"```[a-zA-Z0-9]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```", re.DOTALL)
_CLOSERS: Final = {"{": "}", "[": "]"}
_GROWTH: Final = 1 / 256


def json_in(text: str) -> JsonValue:
    """The JSON value that a text is, or that stands in its only fence. Raises `ValueError` for anything else."""
    stripped = text.strip()
    try:
        return _loads(stripped)
    except ValueError:
        fenced = _FENCE.findall(stripped)
        if len(fenced) != 1:
            raise
        return _loads(fenced[0])


def _loads(text: str) -> JsonValue:
    try:
        # Line breaks in strings are what models write when they forget themselves; the meaning is clear.
        return cast(JsonValue, json.loads(text, strict=False, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


@frozen
class Found:
    """What has been read so far."""

    value: JsonValue


class PartialJson:
    """Takes a JSON text piece by piece, and says what is known of its value.

    What is said holds for the whole as well: strings, arrays and objects may only grow, and all that was complete stays
    as it is. A number or a word at the end of the text is left out until it has ended. A text that is not JSON stops
    growing where it goes wrong.
    """

    def __init__(self) -> None:
        self._text = ""
        self._pieces: list[str] = []
        self._at: int | None = None
        self._stack: list[str] = []
        self._is_key = False
        self._wants_value = True
        self._is_fresh = False
        self._is_stopped = False
        self._begin = 0
        # The text up to here, with its closers, is JSON.
        self._good = 0
        self._closers = ""
        self._length = 0
        self._read_length = 0

    def feed(self, piece: str) -> None:
        """Takes the next piece."""
        self._pieces.append(piece)
        self._length += len(piece)

    @property
    def is_worth_reading(self) -> bool:
        """Whether enough has come since the last reading: the longer the text, the rarer it should be read."""
        return self._length - self._read_length > self._read_length * _GROWTH

    def value(self) -> Found | None:
        """What is known of the value; None as long as nothing is."""
        self._text += "".join(self._pieces)
        self._pieces.clear()
        self._read_length = self._length
        if self._at is None:
            self._at = _beginning(self._text)
            if self._at is None:
                return None
            self._begin = self._at
        self._at = self._scanned(self._at)
        return self._completed(self._at)

    def _completed(self, at: int) -> Found | None:
        known, closers = self._text[self._begin : self._good], self._closers
        if not self._is_stopped and self._wants_value and not self._is_key:
            match = _OPEN_STRING.match(self._text, at)
            if match is not None:
                said = str(json.loads(match[0] + '"', strict=False))
                # Half of a pair would look like a broken character.
                said = said[:-1] if said and "\ud800" <= said[-1] <= "\udbff" else said
                known, closers = self._text[self._begin : at] + json.dumps(said), "".join(reversed(self._stack))
        if not known:
            return None
        try:
            return Found(_loads(known + closers))
        except ValueError:
            return None

    def _scanned(self, at: int) -> int:
        """Goes over all tokens that are whole, and returns where the first begins that is not."""
        while not self._is_stopped:
            while self._text[at : at + 1] in _SPACES:
                at += 1
            sign = self._text[at : at + 1]
            if not sign:
                break
            if sign in _SIGNS:
                self._take_sign(sign, at + 1)
                at += 1
                continue
            match = (_STRING if sign == '"' else _WORD).match(self._text, at)
            if match is None:
                break
            self._take_scalar(match.end(), is_string=sign == '"')
            at = match.end()
        return at

    def _take_scalar(self, end: int, *, is_string: bool) -> None:
        if not self._wants_value or (self._is_key and not is_string):
            self._is_stopped = True
            return
        self._wants_value = self._is_fresh = False
        if not self._is_key:
            self._value_ended(end)

    def _take_sign(self, sign: str, end: int) -> None:
        may_close = self._is_fresh or not (self._wants_value or self._is_key)
        self._is_fresh = False
        if sign in _CLOSERS and self._wants_value and not self._is_key:
            self._stack.append(_CLOSERS[sign])
            self._is_key = sign == "{"
            self._is_fresh = True
            self._mark_good(end)
        elif self._stack and self._stack[-1] == sign and may_close:
            self._stack.pop()
            self._wants_value = False
            self._value_ended(end)
        elif sign == ":" and self._is_key and not self._wants_value:
            self._is_key, self._wants_value = False, True
        elif sign == "," and self._stack and not self._wants_value and not self._is_key:
            self._is_key, self._wants_value = self._stack[-1] == "}", True
        else:
            self._is_stopped = True

    def _value_ended(self, end: int) -> None:
        self._is_key = False
        self._mark_good(end)
        self._is_stopped = not self._stack

    def _mark_good(self, end: int) -> None:
        self._good = end
        self._closers = "".join(reversed(self._stack))


def _beginning(text: str) -> int | None:
    """Where the JSON begins: behind the line that opens a fence, if there is one; None as long as that is unknown."""
    start = len(text) - len(text.lstrip())
    if text.startswith("`", start):
        line_end = text.find("\n", start)
        return line_end + 1 if line_end >= 0 else None
    return start if start < len(text) else None
