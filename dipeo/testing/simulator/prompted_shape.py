"""The shape of an answer that is asked for in words, as models are asked that take no schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import attrs

from dipeo.testing.simulator.json_value import JsonObject
from dipeo.testing.simulator.request_log import SimulatedMessage
from dipeo.testing.simulator.wishes import Wishes

# As in "Answer with one JSON value that fits this JSON schema, and with nothing else:", and then the schema.
_SCHEMA = re.compile(
    r"\b(?:fits?|follows?|matches|matching|satisfies) this JSON schema\b[^\n:{]*:\s*(?=\{)", re.IGNORECASE
)
_ANY_OBJECT = re.compile(r"\b(?:answer|reply|respond) with (?:one|a) JSON object\b", re.IGNORECASE)
_DECODER = json.JSONDecoder()


def with_prompted_shape(wishes: Wishes, messages: Iterable[SimulatedMessage]) -> Wishes:
    """The wishes with the shape that the messages describe, unless a field of the request asks for one."""
    if wishes.schema is not None or wishes.wants_json:
        return wishes
    texts = [message.text for message in messages if message.role != "assistant"]
    # The last word counts, as with a model.
    for text in reversed(texts):
        schema = _schema_in(text)
        if schema is not None:
            return attrs.evolve(wishes, schema=schema)
        if _ANY_OBJECT.search(text):
            return attrs.evolve(wishes, wants_json=True)
    return wishes


def _schema_in(text: str) -> JsonObject | None:
    for found in _SCHEMA.finditer(text):
        try:
            value, _ = _DECODER.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None
