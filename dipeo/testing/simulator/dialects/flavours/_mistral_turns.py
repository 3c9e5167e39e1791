"""Mistral's own rules for the order of messages and for call ids."""

from __future__ import annotations

import itertools
import re

from dipeo.testing.simulator.exchange import RefusalError, refuse
from dipeo.testing.simulator.json_value import JsonObject, as_list, as_object, as_text

_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_ORDER_CODE = "3230"
_ID_CODE = "3280"


def check_mistral_turns(body: JsonObject) -> None:
    """Raise RefusalError for ids of another shape, and for a conversation that ends or goes on in a wrong role."""
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    for message in messages:
        for call in map(as_object, as_list(message.get("tool_calls"))):
            _check_id(as_text(call.get("id")))
        if message.get("role") == "tool":
            _check_id(as_text(message.get("tool_call_id")))
    for before, after in itertools.pairwise(messages):
        if before.get("role") == "tool" and after.get("role") in ("user", "system"):
            raise _wrong_order(f"Unexpected role '{after['role']}' after role 'tool'")
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant" and last.get("prefix") is not True:
        raise _wrong_order(
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
        )


def _wrong_order(message: str) -> RefusalError:
    return refuse(400, message, code=_ORDER_CODE)


def _check_id(given: str) -> None:
    if _CALL_ID.fullmatch(given) is None:
        text = f"Tool call id was {given} but must be a-z, A-Z, 0-9, with a length of 9."
        raise refuse(400, text, code=_ID_CODE)
