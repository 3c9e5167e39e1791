"""A reply in OpenAI's chat completions, read: the pure half that all who speak them share.

Source of the shapes: OpenAI's API reference, "The chat completion object"; each compatible provider's own reference.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import EmptyResponseError, MalformedResponseError, ProviderError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.parts import CitationPart, Part, ProviderToolPart, TextPart, ToolCallPart, new_text
from dipeo.domain.usage import UNREPORTED_USAGE, Usage, new_usage
from dipeo.infrastructure.llm.adapters._chat_calls import CallsBeingMade
from dipeo.infrastructure.llm.adapters._chat_thoughts import THOUGHT_FIELDS, ThoughtsBeingHad
from dipeo.infrastructure.llm.drivers.answer import (
    Answer,
    count_in,
    counts_in,
    new_answer,
    object_in,
    objects_in,
    text_in,
)
from dipeo.infrastructure.llm.drivers.provider_errors import MAX_MESSAGE_CHARS, read_refusal

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_TEXT_FIELDS: Final = frozenset({"role", "content", "refusal", "annotations"})
"""What a message of text alone has; the last two are then empty."""

_NEED_PARTS: Final = frozenset({FinishReason.STOP, FinishReason.OTHER, FinishReason.TOOL_CALLS})


def decode_completion(body: JsonObject, *, vendor: str) -> Answer:
    """The answer in a unary reply. Raises `EmptyResponseError` for one without choices."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise MalformedResponseError("The provider's answer holds no 'choices'.")
    if not choices or not isinstance(choices[0], dict):
        raise EmptyResponseError()
    choice = choices[0]
    message, word = choice.get("message"), choice.get("finish_reason")
    if word == "error" or choice.get("error"):
        raise failed_choice(choice)
    if type(message) is not dict or not _TEXT_FIELDS.issuperset(message):
        return _decode_more(object_in(message), body, text_in(word), vendor)
    text, model, response_id = message.get("content"), body.get("model"), body.get("id")
    if (
        type(text) is not str
        or type(word) is not str
        or type(model) is not str
        or type(response_id) is not str
        or not (text and response_id)
        or (reason := FINISH_REASONS.get(word)) is None
        or message.get("refusal")
        or message.get("annotations")
        or body.get("citations")
    ):
        return _decode_more(message, body, text_in(word), vendor)
    # Nearly every answer is text alone, and is not looked through for what else there might be.
    part = new_text(text) if text.isascii() else TextPart(text)
    return new_answer((part,), reason, word, model, decode_usage(body), response_id)


def _decode_more(message: JsonObject, body: JsonObject, word: str, vendor: str) -> Answer:
    """An answer that may hold anything."""
    refusal, content = text_in(message.get("refusal")), message.get("content")
    is_pieced = isinstance(content, list)
    thoughts: Sequence[Part] = ()
    if is_pieced or not THOUGHT_FIELDS.isdisjoint(message):
        had = ThoughtsBeingHad(vendor)
        had.add(message)
        thoughts = had.parts()
    extras: Sequence[Part] = ()
    if is_pieced or message.get("annotations") or message.get("executed_tools") or body.get("citations"):
        extras = (*decode_provider_tools(message, vendor), *decode_citations(message, body))
    calls: Sequence[ToolCallPart] = ()
    if message.get("tool_calls") or message.get("function_call"):
        calls = decode_calls(message, vendor, is_cut=word == "length")
    return whole_answer(
        thoughts=thoughts,
        text=decode_text(content) or refusal,
        extras=extras,
        calls=calls,
        word=word,
        is_refusal=bool(refusal),
        model=text_in(body.get("model")),
        usage=decode_usage(body),
        response_id=text_in(body.get("id")) or None,
    )


def whole_answer(
    *,
    thoughts: Sequence[Part],
    text: str,
    extras: Sequence[Part],
    calls: Sequence[ToolCallPart],
    word: str,
    is_refusal: bool,
    model: str,
    usage: Usage,
    response_id: str | None,
) -> Answer:
    """The answer made of what a reply holds. Raises `EmptyResponseError` for one that ends as usual with nothing."""
    said: tuple[Part, ...] = (TextPart(text),) if text else ()
    parts = (*thoughts, *said, *extras, *calls)
    # A refusal counts as filtered whatever the word.
    reason = FinishReason.CONTENT_FILTER if is_refusal else FINISH_REASONS.get(word) or FinishReason.OTHER
    if calls and reason is FinishReason.STOP:
        # The word for an answer that had to call a certain tool.
        reason = FinishReason.TOOL_CALLS
    if not parts and reason in _NEED_PARTS:
        raise EmptyResponseError()
    return new_answer(
        parts=parts,
        finish_reason=reason,
        raw_finish_reason=word,
        model=model,
        usage=usage,
        response_id=response_id,
    )


def failed_choice(choice: JsonObject) -> ProviderError:
    """The error for a choice that failed: OpenRouter reports its providers' failures within it."""
    said = read_refusal({"error": choice.get("error")})
    return ProviderError(
        f"{ProviderError.default_message} It says: {said.message or 'error'}"[:MAX_MESSAGE_CHARS],
        provider_code=said.codes[0] if said.codes else None,
    )


def decode_text(content: JsonValue) -> str:
    """The text of a message's content, which is text or a list of typed pieces."""
    if isinstance(content, str):
        return content
    return "".join(text_in(piece.get("text")) for piece in objects_in(content) if piece.get("type") == "text")


def decode_calls(message: JsonObject, vendor: str, *, is_cut: bool) -> tuple[ToolCallPart, ...]:
    """The calls of a message; `is_cut` says whether the answer broke off at its token limit."""
    calls = CallsBeingMade(vendor)
    # In a whole message every item is a call, whatever its id.
    whole = [{**item, "index": place} for place, item in enumerate(objects_in(message.get("tool_calls")))]
    calls.add({**message, "tool_calls": whole})
    return calls.parts(is_cut=is_cut)


def decode_citations(message: JsonObject, body: JsonObject) -> tuple[CitationPart, ...]:
    """Where the answer says that it comes from: annotations of the message, pieces of it, or a list of addresses."""
    found = [_annotation(each) for each in objects_in(message.get("annotations")) if each.get("type") == "url_citation"]
    content = message.get("content")
    if isinstance(content, list):
        found += [_source(piece) for piece in objects_in(content) if piece.get("type") == "tool_reference"]
    addresses = body.get("citations")
    if isinstance(addresses, list):
        found += [CitationPart(url=each) for each in addresses if isinstance(each, str)]
        found += [_source(each) for each in objects_in(addresses)]
    return tuple(each for each in found if each.url or each.title or each.text)


def _annotation(annotation: JsonObject) -> CitationPart:
    return _source(object_in(annotation.get("url_citation")) or annotation)


def _source(source: JsonObject) -> CitationPart:
    return CitationPart(
        url=text_in(source.get("url")) or None,
        title=text_in(source.get("title")),
        text=text_in(source.get("content")),
    )


def decode_provider_tools(message: JsonObject, vendor: str) -> tuple[ProviderToolPart, ...]:
    """What the provider's own tools did, as Groq tells it; what cannot be kept is left out."""
    done = objects_in(message.get("executed_tools"))
    return tuple(part for each in done if (part := _done_by_provider(each, vendor)) is not None)


def _done_by_provider(done: JsonObject, vendor: str) -> ProviderToolPart | None:
    try:
        return ProviderToolPart(vendor=vendor, name=text_in(done.get("type")) or "tool", data=done)
    except ValidationError:
        return None


def decode_usage(body: JsonObject) -> Usage:
    """The usage, or `UNREPORTED_USAGE`. Groq puts a stream's into `x_groq`; DeepSeek names cache hits its own way."""
    usage = body.get("usage") or object_in(body.get("x_groq")).get("usage")
    if not isinstance(usage, dict):
        return UNREPORTED_USAGE
    asked, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(asked) is not int or type(answered) is not int or asked <= 0 or answered <= 0:
        asked, answered = count_in(asked), count_in(answered)
        if not asked and not answered and not counts_in(usage):
            return UNREPORTED_USAGE
    read, made = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached, written = (read.get("cached_tokens"), read.get("cache_write_tokens")) if isinstance(read, dict) else (0, 0)
    hits = usage.get("prompt_cache_hit_tokens")
    thought = made.get("reasoning_tokens") if isinstance(made, dict) else 0
    # Most are zero or missing, and need no check.
    reasoned = count_in(thought) if thought else 0
    if reasoned and usage.get("total_tokens") == asked + answered + reasoned:
        # xAI counts reasoning beside the completion; the total gives it away.
        answered += reasoned
    return new_usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_tokens=(count_in(cached) if cached else 0) or (count_in(hits) if hits else 0),
        cache_write_tokens=count_in(written) if written else 0,
        reasoning_tokens=reasoned,
    )
