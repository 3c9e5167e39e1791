"""Tokens."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class TokenCounterPort(Protocol):
    """Says how many tokens a text takes, before it is sent."""

    def count_tokens(self, text: str, *, model: str | None = None) -> int:
        """An estimate that leans upwards: what is trimmed by it should fit. 0 for an empty text alone.

        A longer text never takes fewer tokens than what it begins with. `model` is a name or an alias; a counter that
        does not know it estimates all the same. It must be fast and must not block.
        """
        ...
