"""A value that must not be seen."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn
from urllib.parse import quote

from dipeo.domain.errors import MalformedAPIKeyError

_MASK: Final = "***"
_MIN_PIECE_CHARS: Final = 8
"""A shorter piece of a key gives nothing away, and may be a piece of anything."""

_URL_SAFE: Final = str.maketrans("+/", "-_")

_QUOTES: Final = "\"'"


def _is_key(value: object) -> bool:
    if not isinstance(value, str) or not value or (value[0] in _QUOTES and value[-1] == value[0]):
        return False
    return value.isascii() and value.isprintable() and " " not in value


class Secret:
    """An API key. It prints as `***`, does not pickle, and gives its value only to `reveal()`.

    Raises `MalformedAPIKeyError` for a value that no key has: empty, in quotation marks, or with anything but printable
    ASCII in it. A line break at the end of a key would otherwise end up in the transport's error messages.
    """

    __slots__ = ("_value", "fingerprint")

    def __init__(self, value: str, *, name: str = "API key") -> None:
        if not _is_key(value):
            del value  # tools that show the variables of a traceback must not find it here
            raise MalformedAPIKeyError(
                f"The {name} is empty, in quotation marks, or holds what no key has "
                "(white space, control or non-ASCII characters).",
                field=name,
            )
        self._value: Final = value
        # Keyed, so that the fingerprint of a guessable secret cannot be looked up in a table of plain hashes.
        digest = hmac.new(b"dipeo key fingerprint", value.encode("ascii"), hashlib.sha256)
        self.fingerprint: Final = digest.hexdigest()[:12]

    def reveal(self) -> str:
        """The value itself, for the wire alone."""
        return self._value

    def redact(self, text: str) -> str:
        """`text` with the value masked wherever it stands, also quoted for a URL, JSON or HTML, or within base64.

        Where the text breaks off in the middle of the value, what is there of it is masked too.
        """
        written = self._as_written()
        for shape in sorted({*written, *self._in_base64()}, key=len, reverse=True):
            text = text.replace(shape, _MASK)
        for shape in written:
            for size in range(min(len(shape) - 1, len(text)), _MIN_PIECE_CHARS - 1, -1):
                if text.endswith(shape[:size]):
                    return text[:-size] + _MASK
        return text

    def _as_written(self) -> set[str]:
        from html import escape  # half a megabyte of names of signs, for what happens seldom

        value = self._value
        quoted = quote(value, safe="")
        in_lower_case = re.sub("%..", lambda found: found[0].lower(), quoted)
        return {value, quoted, in_lower_case, json.dumps(value)[1:-1], escape(value), escape(value, quote=False)}

    def _in_base64(self) -> Iterator[str]:
        """What base64 makes of the value, whatever stands before and behind it: the letters that depend on it alone."""
        for before in range(3):
            encoded = base64.b64encode(b" " * before + self._value.encode("ascii")).rstrip(b"=")
            is_open = (before + len(self._value)) % 3 != 0
            core = encoded[before + (before > 0) : -1 if is_open else None].decode("ascii")
            if len(core) >= _MIN_PIECE_CHARS:
                yield core
                yield core.translate(_URL_SAFE)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return _MASK

    def __str__(self) -> str:
        return _MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret is not written anywhere: pass the key's id instead.")


class SecretVariables(Mapping[str, str]):
    """Variables some of which are keys: prints their names alone, and does not pickle."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        return f"<SecretVariables {', '.join(sorted(self._variables))}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Secret variables are not written anywhere: read the environment again instead.")
