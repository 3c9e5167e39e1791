"""Texts that match a regular expression: the constructs that schemas use."""

from __future__ import annotations

import random
import re
import string

_CLASSES = {"d": string.digits, "w": string.ascii_letters + string.digits + "_", "s": " "}
_PLAIN = string.ascii_lowercase + string.digits
_MAX_REPEATS = 200


class _UnknownConstructError(Exception):
    """The pattern says something that is not understood here."""


def text_for_pattern(pattern: str, chance: random.Random) -> str | None:
    """A text that the pattern is found in, or None where none was found."""
    try:
        writer = _PatternWriter(pattern, chance)
        text = writer.alternatives()
        is_good = writer.is_done and re.search(pattern, text) is not None
    except (_UnknownConstructError, re.error, IndexError):
        return None
    return text if is_good else None


class _PatternWriter:
    """Reads a pattern from left to right and writes a text for it on the way."""

    def __init__(self, pattern: str, chance: random.Random) -> None:
        self._pattern = pattern
        self._chance = chance
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether all of the pattern was read."""
        return self._at == len(self._pattern)

    def alternatives(self) -> str:
        """A text for one of the branches between bars."""
        branches = [self._branch()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._branch())
        return self._chance.choice(branches)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _branch(self) -> str:
        pieces = []
        while not self.is_done and self._peek() not in "|)":
            start = self._at
            atom = self._atom()
            low, high = self._repeats()
            count = self._chance.randint(low, high)
            resume = self._at
            texts = [atom] if count else []
            # Every repetition is written anew, so that \d{4} is not four times the same digit.
            for _ in range(count - 1):
                self._at = start
                texts.append(self._atom())
            self._at = resume
            pieces += texts
        return "".join(pieces)

    def _atom(self) -> str:
        sign = self._pattern[self._at]
        self._at += 1
        if sign in "^$":
            return ""
        if sign == ".":
            return self._chance.choice(_PLAIN)
        if sign == "(":
            return self._group()
        if sign == "[":
            return self._chance.choice(self._char_class())
        if sign == "\\":
            return self._escape()
        if sign in "*+?{":
            raise _UnknownConstructError
        return sign

    def _group(self) -> str:
        if self._peek() == "?":
            named = re.match(r"\?(?::|P<\w+>)", self._pattern[self._at :])
            if named is None:
                raise _UnknownConstructError
            self._at += named.end()
        text = self.alternatives()
        if self._peek() != ")":
            raise _UnknownConstructError
        self._at += 1
        return text

    def _escape(self) -> str:
        sign = self._pattern[self._at]
        self._at += 1
        if sign in "bBAZ":
            return ""
        if sign in _CLASSES:
            return self._chance.choice(_CLASSES[sign])
        if sign in "DWS":
            return "-" if sign == "W" else "x"
        if sign.isalnum():
            raise _UnknownConstructError
        return sign

    def _char_class(self) -> str:
        is_negated = self._peek() == "^"
        self._at += is_negated
        signs = ""
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            sign = self._pattern[self._at]
            self._at += 1
            if sign == "\\":
                escaped = self._pattern[self._at]
                self._at += 1
                signs += _CLASSES.get(escaped, escaped)
            elif self._peek() == "-" and self._pattern[self._at + 1] != "]":
                end = self._pattern[self._at + 1]
                self._at += 2
                signs += "".join(map(chr, range(ord(sign), min(ord(end), ord(sign) + 200) + 1)))
            else:
                signs += sign
        self._at += 1
        return "".join(sign for sign in _PLAIN if sign not in signs) if is_negated else signs

    def _repeats(self) -> tuple[int, int]:
        found = re.match(r"(?:([*+?])|\{(\d+)(,)?(\d+)?\})\??", self._pattern[self._at :])
        if found is None:
            return 1, 1
        self._at += found.end()
        sign, low, comma, high = found.groups()
        if sign:
            return {"*": (0, 3), "+": (1, 4), "?": (0, 1)}[sign]
        least = min(int(low), _MAX_REPEATS)
        if not comma:
            return least, least
        return least, min(int(high), _MAX_REPEATS) if high else least + 3
