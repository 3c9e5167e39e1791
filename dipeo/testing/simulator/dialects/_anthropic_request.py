"""Reading and checking a Messages request."""

from __future__ import annotations

import attrs

from dipeo.testing.simulator.dialects._anthropic_blocks import attachments_of, check_blocks, check_cache_marks
from dipeo.testing.simulator.dialects._anthropic_tools import read_tool_wishes
from dipeo.testing.simulator.dialects._anthropic_turns import check_thinking_first, check_turns, read_results
from dipeo.testing.simulator.dialects._reading import decode_object
from dipeo.testing.simulator.exchange import Incoming, ParsedCall, refuse
from dipeo.testing.simulator.json_value import (
    JsonObject,
    JsonValue,
    as_count,
    as_list,
    as_object,
    as_text,
    as_texts,
    join_texts,
)
from dipeo.testing.simulator.request_log import SimulatedMessage
from dipeo.testing.simulator.wishes import Wishes

_ROLES = frozenset({"user", "assistant", "system"})
# From this version of the API on, the sampling parameters are no longer accepted.
_VERSION_WITHOUT_SAMPLING = "2026-10-21"
_SAMPLING = ("temperature", "top_p", "top_k")


def parse_messages_request(incoming: Incoming, *, is_limit_needed: bool = True) -> ParsedCall:
    """Read the body; raises RefusalError in Anthropic's words. Counting tokens needs no limit."""
    version = incoming.headers.get("anthropic-version")
    if not version:
        raise refuse(400, "anthropic-version: header is required")
    body = decode_object(incoming.body)
    if body is None:
        raise refuse(400, "The request body is not valid JSON")
    model = as_text(body.get("model"))
    if not model:
        raise refuse(400, "model: Field required")
    limit = _parse_limit(body) if is_limit_needed else None
    _check_sampling(body, version)
    wishes = read_tool_wishes(body)
    messages = (*_parse_system(body.get("system")), *_parse_messages(body))
    check_cache_marks(body)
    return ParsedCall(
        incoming=incoming,
        model=model,
        is_stream=body.get("stream") is True,
        messages=messages,
        body=body,
        max_output_tokens=limit,
        stop_sequences=as_texts(body.get("stop_sequences")),
        wishes=_with_turns(wishes, body),
    )


def _with_turns(wishes: Wishes, body: JsonObject) -> Wishes:
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    check_turns(messages)
    if as_object(body.get("thinking")).get("type") == "enabled":
        check_thinking_first(messages)
    asked = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    last = asked[-1] if asked else 0
    attachments = tuple(attachments_of(messages[last].get("content"), f"messages.{last}.content"))
    return attrs.evolve(wishes, results=read_results(messages), attachments=attachments)


def _parse_limit(body: JsonObject) -> int:
    if body.get("max_tokens") is None:
        raise refuse(400, "max_tokens: Field required")
    limit = as_count(body["max_tokens"])
    if limit is None:
        raise refuse(400, "max_tokens: Input should be a valid integer")
    if limit < 1:
        raise refuse(400, "max_tokens: must be greater than or equal to 1")
    return limit


def _check_sampling(body: JsonObject, version: str) -> None:
    if version < _VERSION_WITHOUT_SAMPLING:
        return
    for name in _SAMPLING:
        if name in body:
            raise refuse(400, f"{name}: Extra inputs are not permitted")


def _parse_system(system: JsonValue) -> tuple[SimulatedMessage, ...]:
    if system is None:
        return ()
    if not isinstance(system, (str, list)):
        raise refuse(400, "system: Input should be a valid string or a list of text blocks")
    check_blocks(system, "system", "system")
    text = join_texts(system)
    return (SimulatedMessage(role="system", name=None, text=text),) if text else ()


def _parse_messages(body: JsonObject) -> tuple[SimulatedMessage, ...]:
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise refuse(400, "messages: Field required" if messages is None else "messages: Input should be a valid list")
    if not messages:
        raise refuse(400, "messages: at least one message is required")
    parsed = tuple(_parse_message(as_object(message), index) for index, message in enumerate(messages))
    if parsed[0].role != "user":
        raise refuse(400, 'messages: first message must use the "user" role')
    last = parsed[-1]
    if last.role == "assistant" and last.text != last.text.rstrip():
        raise refuse(400, "messages: final assistant content cannot end with trailing whitespace")
    return parsed


def _parse_message(message: JsonObject, index: int) -> SimulatedMessage:
    role, content = as_text(message.get("role")), message.get("content")
    if role not in _ROLES:
        raise refuse(400, f"messages.{index}.role: Input should be 'user' or 'assistant'")
    if not isinstance(content, (str, list)):
        raise refuse(400, f"messages.{index}.content: Field required")
    for name in message:
        if name not in ("role", "content"):
            raise refuse(400, f"messages.{index}.{name}: Extra inputs are not permitted")
    if not content:
        raise refuse(400, f"messages.{index}: {role} messages must have non-empty content")
    if isinstance(content, str) and not content.strip():
        raise refuse(400, f"messages.{index}: text content blocks must contain non-whitespace text")
    check_blocks(content, role, f"messages.{index}.content")
    return SimulatedMessage(role=role, name=None, text=join_texts(content))
