"""A value that must not be seen."""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn
from urllib.parse import quote

from dipeo.domain.errors import MalformedAPIKeyError

_MASK: Final = "***"


def _is_key(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable() and " " not in value


class Secret:
    """An API key. It prints as `***`, does not pickle, and gives its value only to `reveal()`.

    Raises `MalformedAPIKeyError` for a value that no key has: empty, or with anything but printable ASCII in it. A
    line break at the end of a key would otherwise end up in the transport's error messages.
    """

    __slots__ = ("_value", "fingerprint")

    def __init__(self, value: str, *, name: str = "API key") -> None:
        if not _is_key(value):
            del value  # tools that show the variables of a traceback must not find it here
            raise MalformedAPIKeyError(
                f"The {name} is empty or holds characters that no key has (white space, control or non-ASCII).",
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
        """`text` with the value masked wherever it stands, also URL-quoted or in base64."""
        encoded = base64.b64encode(self._value.encode("ascii")).decode("ascii").rstrip("=")
        for shape in sorted({self._value, quote(self._value, safe=""), encoded}, key=len, reverse=True):
            text = text.replace(shape, _MASK)
        return text

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
