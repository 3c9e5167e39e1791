"""Steps of reading a request that several vendors share."""

from __future__ import annotations

import json

from dipeo.testing.simulator.exchange import Incoming
from dipeo.testing.simulator.json_value import JsonObject, JsonValue


def bearer_token(incoming: Incoming) -> str | None:
    """The token of an `Authorization: Bearer` header."""
    scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def decode_object(body: bytes) -> JsonObject | None:
    """The JSON object in a body, or None if there is none."""
    try:
        value: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_wrong_key(credential: str) -> bool:
    """Keys that say so are refused, so that a test can plant one."""
    return "wrong" in credential


def is_missing_model(model: str) -> bool:
    """Models that say so do not exist, so that a test can ask for one."""
    return model.startswith("missing-")
