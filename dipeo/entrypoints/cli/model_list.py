"""Reads the lists of models that services send, in whatever shape they have."""

import json
from typing import Final

from dipeo.domain.service import LLMService

_LISTS: Final = ("data", "models")
_NAMES: Final = ("id", "name", "model")
_MAX_NAME_CHARS: Final = 256


def models_in(body: bytes, *, service: LLMService) -> tuple[str, ...] | None:
    """The names of the models in a list, sorted, each once; None for an answer that is no list of models.

    The list stands alone, or under `data` or `models`; an entry is a name, or an object with an `id` or a `name`. What
    is not understood in a list is left out.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict):
        document = next((document[key] for key in _LISTS if isinstance(document.get(key), list)), None)
    if not isinstance(document, list):
        return None
    names = {name for entry in document if (name := _name_of(entry))}
    if service is LLMService.GOOGLE:
        names = {name.removeprefix("models/") for name in names}
    return tuple(sorted(names))


def _name_of(entry: object) -> str:
    candidates = [entry.get(key) for key in _NAMES] if isinstance(entry, dict) else [entry]
    name = next((text.strip() for text in candidates if isinstance(text, str) and text.strip()), "")
    return name if len(name) <= _MAX_NAME_CHARS and name.isprintable() else ""
