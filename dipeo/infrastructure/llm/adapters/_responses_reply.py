"""Replies in the words of OpenAI's responses: the pure half that comes in.

Source of the shapes: OpenAI's API reference, "The response object".
"""

import json
from collections.abc import Mapping
from typing import Final

from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import EmptyResponseError, MalformedResponseError, ProviderError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.parts import CitationPart, Part, ProviderToolPart, ReasoningPart, TextPart, ToolCallPart
from dipeo.domain.tools import ProviderTool
from dipeo.domain.usage import UNREPORTED_USAGE, Usage, new_usage
from dipeo.infrastructure.llm.drivers.answer import (
    Answer,
    count_in,
    counts_in,
    new_answer,
    object_in,
    objects_in,
    text_in,
)

UNFINISHED: Final = frozenset({"queued", "in_progress"})
FAILED: Final = frozenset({"failed", "cancelled"})
CUT: Final[Mapping[str, FinishReason]] = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
TOOL_NAMES: Final[Mapping[str, str]] = {
    "web_search_call": ProviderTool.WEB_SEARCH.value,
    "code_interpreter_call": ProviderTool.CODE_EXECUTION.value,
}


def decode_response(body: JsonObject, *, vendor: str) -> Answer:
    """The answer in a response object.

    Raises `EmptyResponseError` for one without content, `MalformedResponseError` for one that is no finished response,
    and `ProviderError` for one that failed without saying more.
    """
    output = body.get("output")
    status = text_in(body.get("status"))
    if status in FAILED:
        raise ProviderError(f"{ProviderError.default_message} The response's status is {status!r}.")
    if not isinstance(output, list):
        raise MalformedResponseError("The provider's answer holds no 'output'.")
    if status in UNFINISHED:
        raise MalformedResponseError(f"The provider's answer is not finished: its status is {status!r}.")
    items = objects_in(output)
    try:
        parts = decode_items(items, vendor=vendor)
    except ValidationError as problem:
        raise MalformedResponseError(f"The provider's answer cannot be read: {problem.message}") from None
    reason, word = decode_finish(body, items, status, parts)
    is_said = any(not (isinstance(part, ReasoningPart) and part.is_redacted) for part in parts)
    if not is_said and reason in (FinishReason.STOP, FinishReason.OTHER):
        raise EmptyResponseError()
    return new_answer(
        parts=parts,
        finish_reason=reason,
        raw_finish_reason=word,
        model=text_in(body.get("model")),
        usage=decode_usage(body.get("usage")),
        response_id=text_in(body.get("id")) or None,
    )


def decode_finish(
    body: JsonObject, items: list[JsonObject], status: str, parts: tuple[Part, ...]
) -> tuple[FinishReason, str]:
    """Why the answer ends, in our word and the provider's."""
    if status == "incomplete":
        why = text_in(object_in(body.get("incomplete_details")).get("reason"))
        return CUT.get(why, FinishReason.OTHER), f"{status}:{why}" if why else status
    if any(content.get("type") == "refusal" for item in items for content in objects_in(item.get("content"))):
        return FinishReason.CONTENT_FILTER, status
    if status != "completed":
        return FinishReason.OTHER, status
    is_call = any(isinstance(part, ToolCallPart) for part in parts)
    return (FinishReason.TOOL_CALLS if is_call else FinishReason.STOP), status


# --- items -----------------------------------------------------------------------------------------------------------


def decode_items(items: list[JsonObject], *, vendor: str) -> tuple[Part, ...]:
    """The parts of the output items; a kind of item that is not known is kept as the work of a provider's tool."""
    parts: list[Part] = []
    calls = 0
    for item in items:
        kind = item.get("type")
        if kind == "message":
            parts += decode_message(item)
        elif kind == "reasoning":
            parts += decode_reasoning(item, vendor=vendor)
        elif kind == "function_call":
            parts.append(decode_call(item, index=calls))
            calls += 1
        elif isinstance(kind, str) and kind:
            parts.append(ProviderToolPart(vendor=vendor, name=TOOL_NAMES.get(kind, kind), data=item))
    return tuple(parts)


def decode_message(item: JsonObject) -> list[Part]:
    """Text, or the words of a refusal, each with its citations behind it."""
    parts: list[Part] = []
    for content in objects_in(item.get("content")):
        if text := text_of_content(content):
            parts.append(TextPart(text))
        for note in objects_in(content.get("annotations")):
            if "citation" in text_in(note.get("type")):
                title = text_in(note.get("title")) or text_in(note.get("filename"))
                parts.append(CitationPart(url=text_in(note.get("url")) or None, title=title))
    return parts


def text_of_item(item: JsonObject) -> str:
    """All that a message says."""
    return "".join(text_of_content(content) for content in objects_in(item.get("content")))


def text_of_content(content: JsonObject) -> str:
    """What a piece of a message says."""
    kind = content.get("type")
    if kind == "output_text":
        return text_in(content.get("text"))
    return text_in(content.get("refusal")) if kind == "refusal" else ""


def thoughts_of_item(item: JsonObject) -> list[str]:
    """What a reasoning item shows: its summary, or the thinking itself where a server shows that."""
    shown = [text_in(each.get("text")) for name in ("summary", "content") for each in objects_in(item.get(name))]
    return [text for text in shown if text]


def decode_reasoning(item: JsonObject, *, vendor: str) -> list[Part]:
    """A thought, a part for each of its paragraphs; the first one carries the encrypted whole.

    One that shows nothing is kept for its id and its encrypted whole, to be sent back.
    """
    shown = thoughts_of_item(item)
    name = text_in(item.get("id")) or None
    signature = text_in(item.get("encrypted_content")) or None
    if not shown and name is None and signature is None:
        return []
    first = ReasoningPart(
        text=shown[0] if shown else "", vendor=vendor, signature=signature, id=name, is_redacted=not shown
    )
    return [first, *(ReasoningPart(text=text, vendor=vendor, id=name) for text in shown[1:])]


def call_id_of(item: JsonObject, *, index: int) -> str:
    """The call's id, or one made up of its place where a server gives none."""
    return text_in(item.get("call_id")) or f"call_{index}"


def decode_call(item: JsonObject, *, index: int) -> ToolCallPart:
    """A tool call; arguments that are no JSON object, or that were cut off, are kept as the text that came."""
    arguments, broken = decode_arguments(item.get("arguments"))
    call_id, name = call_id_of(item, index=index), text_in(item.get("name"))
    if broken is None and item.get("status") == "incomplete":
        broken = text_in(item.get("arguments"))
    if broken is None:
        try:
            return ToolCallPart(call_id=call_id, name=name, arguments=arguments)
        except ValidationError:
            # It is the arguments' fault (NaN, or nested too deeply) unless the line below raises too.
            broken = json.dumps(arguments)
    return ToolCallPart(call_id=call_id, name=name, arguments={}, broken_arguments=broken)


def decode_arguments(value: JsonValue) -> tuple[JsonObject, str | None]:
    """The arguments, and their text where they are no JSON object. A call without any has none to give."""
    if isinstance(value, dict):
        return value, None
    if value is None or value == "":
        return {}, None
    if not isinstance(value, str):
        return {}, json.dumps(value)
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return {}, value
    return (parsed, None) if isinstance(parsed, dict) else ({}, value)


def decode_usage(usage: JsonValue) -> Usage:
    """The usage, or `UNREPORTED_USAGE`. Cached tokens are counted within the input, reasoning within the output."""
    if not isinstance(usage, dict) or not counts_in(usage):
        return UNREPORTED_USAGE
    read = object_in(usage.get("input_tokens_details"))
    return new_usage(
        input_tokens=count_in(usage.get("input_tokens")),
        output_tokens=count_in(usage.get("output_tokens")),
        cached_tokens=count_in(read.get("cached_tokens")),
        cache_write_tokens=count_in(read.get("cache_write_tokens")),
        reasoning_tokens=count_in(object_in(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )
