"""Checks that constructors apply to what they are given; each names the field that it refuses."""

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonValue

MAX_IDENTIFIER_CHARS: Final = 256
_SHOWN_WHOLE: Final = 10**30


def check_text(field: str, value: object) -> str:
    """`value` as text that UTF-8 can carry. Raises `ValidationError` for anything else."""
    if not isinstance(value, str):
        raise ValidationError(f"{field!r} must be text, not {type(value).__name__}.", field=field)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as problem:
            raise ValidationError(
                f"{field!r} holds a lone surrogate at position {problem.start}, which no provider can be sent.",
                field=field,
                suggestion="Decode the text with errors='replace' where it enters the program.",
            ) from None
    return value


def check_identifier(field: str, value: object) -> str:
    """`value` as a name: not empty, at most 256 characters, none of them a control character."""
    # What is printable can be sent, so that nearly every name is looked at once.
    if isinstance(value, str) and _is_identifier(value):
        return value
    check_text(field, value)
    raise ValidationError(
        f"{field!r} must be 1 to {MAX_IDENTIFIER_CHARS} printable characters without surrounding space.",
        field=field,
    )


@lru_cache(maxsize=4096)
def _is_identifier(text: str) -> bool:
    """Remembered, because the same few names come with every call."""
    return 0 < len(text) <= MAX_IDENTIFIER_CHARS and text.isprintable() and text == text.strip()


def check_number(
    field: str, value: object, *, minimum: float, maximum: float = math.inf, is_whole: bool = False
) -> float:
    """`value` as a finite number from `minimum` to `maximum`; booleans are not numbers here."""
    kinds = (int,) if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        wanted = "a whole number" if is_whole else "a number"
        raise ValidationError(f"{field!r} must be {wanted}, not {value!r}.", field=field)
    # Integers are compared as they are: one too large for a float must not fail in another way than any other.
    if not minimum <= value <= maximum or (isinstance(value, float) and not math.isfinite(value)):
        bounds = _bounds(minimum, maximum)
        shown = repr(value) if isinstance(value, float) or abs(value) < _SHOWN_WHOLE else "one far beyond"
        raise ValidationError(f"{field!r} must be {bounds}, not {shown}.", field=field)
    return value


def _bounds(minimum: float, maximum: float) -> str:
    if minimum == -math.inf:
        return "a finite number"
    return f"at least {minimum}" if maximum == math.inf else f"from {minimum} to {maximum}"


def check_json_object(field: str, value: object) -> Mapping[str, JsonValue]:
    """`value` as a JSON object: text keys, JSON values, no NaN, at most 64 levels deep."""
    if not isinstance(value, Mapping):
        raise ValidationError(f"{field!r} must be a mapping, not {type(value).__name__}.", field=field)
    _check_json(field, value, levels_left=64)
    return value


def _check_json(field: str, value: object, *, levels_left: int) -> None:
    if levels_left == 0:
        raise ValidationError(f"{field!r} is nested more than 64 levels deep.", field=field)
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        check_number(field, value, minimum=-(2**63), maximum=2**64 - 1)
        return
    if isinstance(value, str):
        check_text(field, value)
    elif isinstance(value, float):
        check_number(field, value, minimum=-math.inf)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_text(f"{field}.{key}", key)
            _check_json(f"{field}.{key}", item, levels_left=levels_left - 1)
    elif isinstance(value, list | tuple):
        _check_items(field, value, levels_left=levels_left)
    else:
        raise ValidationError(f"{field!r} holds {type(value).__name__}, which is not JSON.", field=field)


def _check_items(field: str, items: Iterable[object], *, levels_left: int) -> None:
    for index, item in enumerate(items):
        _check_json(f"{field}[{index}]", item, levels_left=levels_left - 1)
