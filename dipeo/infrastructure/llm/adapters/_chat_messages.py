"""The messages of a request to chat completions."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import (
    CitationPart,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.infrastructure.llm.adapters._chat_dialect import ChatDialect, ReasoningBack
from dipeo.infrastructure.llm.adapters._chat_media import encode_media, refused
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.spoken import CONTINUE_TEXT, spoken

MAX_NAME_CHARS: Final = 64
SHORT_CALL_ID_CHARS: Final = 9
"""What every provider takes: Mistral's ids have exactly as many."""

ERROR_PREFIX: Final = "Error: "
"""Stands before the result of a tool that failed: there is no field for it."""

BETWEEN_TEXT: Final = "."
_UNNAMEABLE = re.compile(r"[\s<|\\/>]+")

Entry = dict[str, JsonValue]

_PLAIN_ROLES: Final[Mapping[Role, str]] = {role: role.value for role in (Role.SYSTEM, Role.USER, Role.ASSISTANT)}
"""The roles that every model knows, and whose messages are sent as they are."""


@frozen
class _Context:
    """What the encoding of every message looks at."""

    dialect: ChatDialect
    capabilities: ModelCapabilities
    adaptations: Adaptations


def encode_messages(
    messages: Sequence[ChatMessage], dialect: ChatDialect, capabilities: ModelCapabilities, adaptations: Adaptations
) -> list[Entry]:
    """The messages; users are told apart by the `name` field, or by their name in front where there is none.

    Raises `UnsupportedParameterError` naming a part that the model does not take.
    """
    encoded: list[Entry] = []
    context: _Context | None = None
    splits_tool_and_user, is_after_tool = dialect.splits_tool_and_user, False
    for position, message in enumerate(messages):
        role, parts = message.role, message.parts
        if splits_tool_and_user:
            if is_after_tool and role is Role.USER:
                encoded.append({"role": "assistant", "content": BETWEEN_TEXT})
                reason = "the provider wants the assistant to speak between a tool and a user."
                adaptations.note("messages", AdaptationAction.INSERTED, reason)
            is_after_tool = role is Role.TOOL
        if len(parts) == 1 and type(part := parts[0]) is TextPart:
            word = _PLAIN_ROLES.get(role)
            if word is not None and message.name is None:
                encoded.append({"role": word, "content": part.text})
                continue
            if role is not Role.TOOL:
                encoded.append(_introduced(message, part.text, position, capabilities, adaptations))
                continue
        if context is None:
            context = _Context(dialect, capabilities, adaptations)
        if role is Role.ASSISTANT:
            encoded += _assistant(message, position, context)
        else:
            encoded += _others(message, position, context)
    if encoded and not capabilities.accepts_open_end:
        last = encoded[-1]
        if last["role"] == "assistant" and "tool_calls" not in last:
            encoded.append({"role": "user", "content": CONTINUE_TEXT})
            adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the user to speak last.")
    return encoded


def encode_name(name: str, adaptations: Adaptations) -> str:
    """A name as the interface takes it: no white space, no `<|\\/>`, at most 64 characters."""
    taken = _UNNAMEABLE.sub("_", name)[:MAX_NAME_CHARS]
    if taken != name:
        adaptations.note("messages.name", AdaptationAction.SUBSTITUTED, f"{name!r} is sent as {taken!r}.")
    return taken


def encode_call_id(call_id: str, dialect: ChatDialect) -> str:
    """The id, or one in its place that the provider takes: always the same for the same id."""
    if dialect.call_id.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:SHORT_CALL_ID_CHARS]


def encode_arguments(part: ToolCallPart) -> str:
    """The arguments as text; broken ones as the model wrote them."""
    if part.broken_arguments is not None:
        return part.broken_arguments
    return json.dumps(part.arguments, ensure_ascii=False, separators=(",", ":"))


def _introduced(
    message: ChatMessage, content: str, position: int, capabilities: ModelCapabilities, adaptations: Adaptations
) -> Entry:
    """A message of text with its role, and its speaker's name where there is one."""
    role = message.role
    entry: Entry = {"role": role.value, "content": content}
    if role is Role.DEVELOPER and not capabilities.knows_developer:
        entry["role"] = "system"
        reason = "the model knows the role 'system' alone."
        adaptations.note(f"messages[{position}].role", AdaptationAction.SUBSTITUTED, reason)
    if message.name and role is Role.USER:
        if capabilities.takes_names:
            entry["name"] = encode_name(message.name, adaptations)
        else:
            entry["content"] = spoken(message, content)
    return entry


# --- what the model said itself --------------------------------------------------------------------------------------


def _assistant(message: ChatMessage, position: int, context: _Context) -> list[Entry]:
    """One message, or none where nothing is left of it."""
    entry: Entry = {"role": "assistant", "content": None}
    texts: list[str] = []
    calls: list[JsonValue] = []
    thoughts: list[ReasoningPart] = []
    for place, part in enumerate(message.parts):
        where = f"messages[{position}].content[{place}]"
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, ToolCallPart):
            calls.append(_call(part, where, context))
        elif isinstance(part, ReasoningPart):
            if _goes_back(part, where, context):
                thoughts.append(part)
        elif isinstance(part, ProviderToolPart):
            reason = f"the provider does not take back what the tool {part.name!r} of {part.vendor}'s did."
            context.adaptations.dropped(where, reason)
        elif not isinstance(part, CitationPart):
            raise refused(part, where, "Send it in a user's message.")
    if not texts and not calls and not thoughts and message.parts:
        context.adaptations.dropped(f"messages[{position}]", "nothing of it is left.")
        return []
    if texts or not calls:
        entry["content"] = "".join(texts)
    if thoughts:
        _add_thoughts(entry, thoughts, context.dialect)
    if calls:
        entry["tool_calls"] = calls
    return [entry]


def _call(part: ToolCallPart, where: str, context: _Context) -> Entry:
    call: Entry = {
        "id": encode_call_id(part.call_id, context.dialect),
        "type": "function",
        "function": {"name": part.name, "arguments": encode_arguments(part)},
    }
    if part.signature is not None:
        proof = _json_object(part.signature) if part.vendor == context.dialect.vendor else None
        if proof is None:
            context.adaptations.dropped(f"{where}.signature", f"only {part.vendor} can read it.")
        else:
            call["extra_content"] = proof
    return call


def _goes_back(part: ReasoningPart, where: str, context: _Context) -> bool:
    dialect = context.dialect
    if part.vendor != dialect.vendor:
        context.adaptations.dropped(where, f"reasoning of {part.vendor}'s is of no use to {dialect.vendor}.")
        return False
    if dialect.reasoning_back is ReasoningBack.NEVER:
        context.adaptations.dropped(where, "the provider does not take reasoning back.")
        return False
    return True


def _add_thoughts(entry: Entry, thoughts: Sequence[ReasoningPart], dialect: ChatDialect) -> None:
    """Puts the model's own reasoning back as the provider gave it."""
    if dialect.reasoning_back is ReasoningBack.PIECES:
        pieces: list[JsonValue] = [_piece(part) for part in thoughts]
        if entry["content"]:
            pieces.append({"type": "text", "text": entry["content"]})
        entry["content"] = pieces
        return
    details = [_json_object(part.signature) if part.signature is not None else None for part in thoughts]
    if dialect.reasoning_back is ReasoningBack.DETAILS and any(details):
        entry["reasoning_details"] = [detail for detail in details if detail is not None]
    plain = "".join(part.text for part, detail in zip(thoughts, details, strict=True) if detail is None)
    if plain:
        for name in dialect.reasoning_fields:
            entry[name] = plain


def _piece(part: ReasoningPart) -> JsonObject:
    if part.signature is not None and (piece := _json_object(part.signature)) is not None:
        return piece
    return {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}


def _json_object(text: str) -> JsonObject | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# --- what others said ------------------------------------------------------------------------------------------------


def _others(message: ChatMessage, position: int, context: _Context) -> list[Entry]:
    """Results of tools are messages of their own; what else there is becomes one more."""
    entries: list[Entry] = []
    pieces: list[JsonObject] = []
    for place, part in enumerate(message.parts):
        where = f"messages[{position}].content[{place}]"
        if isinstance(part, ToolResultPart):
            content = f"{ERROR_PREFIX}{part.content}" if part.is_error else part.content
            call_id = encode_call_id(part.call_id, context.dialect)
            entries.append({"role": "tool", "tool_call_id": call_id, "content": content})
        elif isinstance(part, ReasoningPart | ProviderToolPart):
            context.adaptations.dropped(where, "it belongs in a message of the assistant's.")
        elif isinstance(part, TextPart) and message.role is not Role.TOOL:
            pieces.append({"type": "text", "text": part.text})
        elif message.role is not Role.USER or isinstance(part, ToolCallPart):
            raise refused(part, where, "Send it in a user's message.")
        elif not isinstance(part, CitationPart):
            pieces.append(encode_media(part, where, context.dialect, context.capabilities, context.adaptations))
    if message.role is Role.TOOL and not entries:
        context.adaptations.dropped(f"messages[{position}]", "it holds no result.")
    elif pieces or not entries:
        entries.append(_said(message, pieces, position, context))
    return entries


def _said(message: ChatMessage, pieces: list[JsonObject], position: int, context: _Context) -> Entry:
    texts = [piece for piece in pieces if piece["type"] == "text"]
    if len(texts) == len(pieces):
        return _introduced(message, message.text, position, context.capabilities, context.adaptations)
    first = str(texts[0]["text"]) if texts else ""
    entry = _introduced(message, first, position, context.capabilities, context.adaptations)
    # What stands before the first text is the speaker's name, where the provider has no field for it.
    if entry["content"] != first:
        if texts:
            pieces[pieces.index(texts[0])] = {"type": "text", "text": entry["content"]}
        else:
            pieces.insert(0, {"type": "text", "text": f"{message.name}:"})
    entry["content"] = pieces
    return entry
