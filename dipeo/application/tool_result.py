"""What a model is told of what a tool gave back."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import cast
from uuid import UUID

import attrs


def result_text(value: object, *, max_chars: int) -> str:
    """The value as text, or as JSON if it is no text, no longer than `max_chars` and a remark that it was cut.

    Raises `TypeError` or `ValueError` for what JSON cannot say.
    """
    if isinstance(value, str):
        return bounded(value, max_chars=max_chars)
    pieces: list[str] = []
    length = 0
    # Piece by piece, so that of something endless no more is written than is shown.
    for piece in json.JSONEncoder(ensure_ascii=False, default=_plain).iterencode(value):
        pieces.append(piece[: max_chars + 1])
        length += len(piece)
        if length > max_chars:
            break
    return bounded("".join(pieces), max_chars=max_chars)


def bounded(text: str, *, max_chars: int) -> str:
    """The text, cut where it is longer, and without characters that UTF-8 cannot carry."""
    shown = text[:max_chars].encode(errors="replace").decode()
    return shown if len(text) <= max_chars else f"{shown}\n[cut: only the first {max_chars} characters are shown]"


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal | PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return list(value)
    if attrs.has(type(value)):
        instance = cast(attrs.AttrsInstance, value)
        return _public(instance, (attribute.name for attribute in attrs.fields(type(instance))))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _public(value, (field.name for field in dataclasses.fields(value)))
    # pydantic's, which is not imported
    dump: Callable[..., object] | None = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} is no JSON")


def _public(value: object, names: Iterable[str]) -> dict[str, object]:
    """The fields that are meant to be seen."""
    return {name: getattr(value, name) for name in names if not name.startswith("_")}
