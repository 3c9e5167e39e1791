"""OpenAI's chat completions as JSON: the pure half that OpenAI and everything compatible share.

Source of the shapes: OpenAI's API reference, "Create chat completion" and "The chat completion chunk object".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from dipeo.domain.completion import AdaptationAction, ChatMessage, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import EmptyResponseError, IncompleteStreamError, MalformedResponseError, ProviderError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import Part, ReasoningPart, TextPart
from dipeo.domain.sampling import NO_SAMPLING, ReasoningEffort
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import (
    Answer,
    EncodedRequest,
    count_in,
    counts_in,
    object_in,
    objects_in,
    text_in,
)
from dipeo.infrastructure.llm.drivers.provider_errors import MAX_MESSAGE_CHARS, read_refusal
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.turns import CONTINUE_TEXT, spoken
from dipeo.infrastructure.llm.drivers.turns import text_in as message_text
from dipeo.infrastructure.llm.drivers.wire import WireRequest

MAX_NAME_CHARS: Final = 64
_UNNAMEABLE = re.compile(r"[\s<|\\/>]+")

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


@frozen(kw_only=True)
class ChatDialect:
    """What distinguishes one speaker of chat completions from another.

    `max_tokens_field` and `seed_field` are the names of the parameters. `asks_for_stream_usage` says whether usage in a
    stream must be asked for. `demands_end_marker` says whether a stream without `[DONE]` is incomplete.
    """

    max_tokens_field: str = "max_tokens"
    seed_field: str = "seed"
    asks_for_stream_usage: bool = True
    demands_end_marker: bool = True


def encode_request(
    request: CompletionRequest, dialect: ChatDialect, capabilities: ModelCapabilities, *, is_stream: bool
) -> EncodedRequest:
    """The request body, and what had to be adapted."""
    adaptations = Adaptations(is_strict=request.is_strict)
    body: dict[str, JsonValue] = {
        "model": request.model,
        "messages": encode_messages(request.messages, adaptations, capabilities),
    }
    if request.sampling is not NO_SAMPLING:
        encode_sampling(body, request, dialect, capabilities, adaptations)
    if is_stream:
        body["stream"] = True
        if dialect.asks_for_stream_usage:
            body["stream_options"] = {"include_usage": True}
    if request.provider_options:
        with_provider_options(body, request.provider_options)
    return EncodedRequest(exchange=WireRequest(path="/chat/completions", body=body), adaptations=adaptations.made)


def encode_messages(
    messages: Sequence[ChatMessage], adaptations: Adaptations, capabilities: ModelCapabilities
) -> list[JsonValue]:
    """The messages; users are told apart by the `name` field, or by their name in front where there is none."""
    encoded: list[JsonValue] = []
    for position, message in enumerate(messages):
        text = message_text(message, position=position, adaptations=adaptations)
        entry: dict[str, JsonValue] = {"role": str(message.role), "content": text}
        if message.role is Role.DEVELOPER and not capabilities.knows_developer:
            entry["role"] = "system"
            reason = "the model knows the role 'system' alone."
            adaptations.note(f"messages[{position}].role", AdaptationAction.SUBSTITUTED, reason)
        if message.name and message.role is Role.USER:
            if capabilities.takes_names:
                entry["name"] = encode_name(message.name, adaptations)
            else:
                entry["content"] = spoken(message, text)
        encoded.append(entry)
    if messages[-1].role is Role.ASSISTANT and not capabilities.accepts_open_end:
        encoded.append({"role": "user", "content": CONTINUE_TEXT})
        adaptations.note("messages", AdaptationAction.INSERTED, "the provider wants the user to speak last.")
    return encoded


def encode_name(name: str, adaptations: Adaptations) -> str:
    """A name as the interface takes it: no white space, no `<|\\/>`, at most 64 characters."""
    taken = _UNNAMEABLE.sub("_", name)[:MAX_NAME_CHARS]
    if taken != name:
        adaptations.note("messages.name", AdaptationAction.SUBSTITUTED, f"{name!r} is sent as {taken!r}.")
    return taken


def encode_sampling(
    body: dict[str, JsonValue],
    request: CompletionRequest,
    dialect: ChatDialect,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    """Puts the sampling parameters into the body; what the model does not take is recorded."""
    sampling = request.sampling
    temperature = sampling.temperature
    if temperature is not None and temperature > capabilities.max_temperature and capabilities.takes_temperature:
        reason = f"{request.model} takes temperatures up to {capabilities.max_temperature:g}."
        adaptations.note("temperature", AdaptationAction.CLAMPED, reason)
        temperature = capabilities.max_temperature
    wanted: tuple[tuple[str, str, JsonValue, bool], ...] = (
        ("temperature", "temperature", temperature, capabilities.takes_temperature),
        ("top_p", "top_p", sampling.top_p, capabilities.takes_top_p),
        ("max_tokens", dialect.max_tokens_field, sampling.max_tokens, True),
        ("stop", "stop", list(sampling.stop) if sampling.stop else None, capabilities.takes_stop),
        ("seed", dialect.seed_field, sampling.seed, capabilities.takes_seed),
    )
    for parameter, name, value, is_taken in wanted:
        if value is not None and is_taken:
            body[name] = value
        elif value is not None:
            adaptations.dropped(parameter, f"{request.model} does not take it.")
    if sampling.reasoning_effort is not None:
        encode_effort(body, request.model, sampling.reasoning_effort, capabilities, adaptations)


def encode_effort(
    body: dict[str, JsonValue],
    model: str,
    effort: ReasoningEffort,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    """Puts the effort into the body, or the nearest level that the model takes; that is recorded."""
    level = capabilities.nearest_effort(effort)
    if level is not None:
        body["reasoning_effort"] = level.value
        if level is not effort:
            reason = f"the nearest level that {model} takes is {level.value}."
            adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, reason)
    elif effort is not ReasoningEffort.NONE:
        adaptations.dropped("reasoning_effort", f"{model} does not take it.")


def decode_completion(body: JsonObject, *, vendor: str) -> Answer:
    """The answer in a unary reply. Raises `EmptyResponseError` for one without choices."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise MalformedResponseError("The provider's answer holds no 'choices'.")
    if not choices or not isinstance(choices[0], dict):
        raise EmptyResponseError()
    choice = choices[0]
    finish = text_in(choice.get("finish_reason"))
    if finish == "error" or choice.get("error"):
        raise failed_choice(choice)
    message = object_in(choice.get("message"))
    refusal = text_in(message.get("refusal"))
    parts = decode_parts(
        text=decode_text(message.get("content")) or refusal, reasoning=decode_reasoning(message), vendor=vendor
    )
    reason = finish_reason(finish, is_refusal=bool(refusal))
    if not parts and reason in (FinishReason.STOP, FinishReason.OTHER):
        raise EmptyResponseError()
    return Answer(
        parts=parts,
        finish_reason=reason,
        raw_finish_reason=finish,
        model=text_in(body.get("model")),
        usage=decode_usage(body),
        response_id=text_in(body.get("id")) or None,
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


def decode_reasoning(message: JsonObject) -> str:
    """What the model lets see of its thinking; every compatible provider has its own place for it."""
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str):
        return thought
    content = message.get("content")
    if not isinstance(content, list):
        return ""
    return "".join(
        decode_text(piece.get("thinking")) for piece in objects_in(content) if piece.get("type") == "thinking"
    )


def decode_parts(*, text: str, reasoning: str, vendor: str) -> tuple[Part, ...]:
    """The parts of an answer; what is empty is no part."""
    if not reasoning:
        return (TextPart(text),) if text else ()
    thought = ReasoningPart(text=reasoning, vendor=vendor)
    return (thought, TextPart(text)) if text else (thought,)


def finish_reason(word: str, *, is_refusal: bool = False) -> FinishReason:
    """Our word for the provider's; a refusal counts as filtered whatever the word."""
    if is_refusal:
        return FinishReason.CONTENT_FILTER
    return FINISH_REASONS.get(word, FinishReason.OTHER)


def decode_usage(body: JsonObject) -> Usage:
    """The usage, or `UNREPORTED_USAGE`. Groq puts a stream's into `x_groq`; DeepSeek names cache hits its own way."""
    usage = body.get("usage") or object_in(body.get("x_groq")).get("usage")
    if not isinstance(usage, dict):
        return UNREPORTED_USAGE
    asked, answered = count_in(usage.get("prompt_tokens")), count_in(usage.get("completion_tokens"))
    if not asked and not answered and not counts_in(usage):
        return UNREPORTED_USAGE
    read = object_in(usage.get("prompt_tokens_details"))
    reasoned = count_in(object_in(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if reasoned and usage.get("total_tokens") == asked + answered + reasoned:
        # xAI counts reasoning beside the completion; the total gives it away.
        answered += reasoned
    return Usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_tokens=count_in(read.get("cached_tokens")) or count_in(usage.get("prompt_cache_hit_tokens")),
        cache_write_tokens=count_in(read.get("cache_write_tokens")),
        reasoning_tokens=reasoned,
    )


class ChatStreamDecoder:
    """Reads the chunks of a streamed chat completion."""

    __slots__ = (
        "_demands_end",
        "_finish",
        "_has_end",
        "_id",
        "_is_refusal",
        "_model",
        "_text",
        "_thought",
        "_usage",
        "_vendor",
        "is_done",
    )

    def __init__(self, *, vendor: str, demands_end_marker: bool) -> None:
        self.is_done = False
        self._vendor = vendor
        self._demands_end = demands_end_marker
        self._has_end = False
        self._finish: str | None = None
        self._is_refusal = False
        self._id = self._model = ""
        self._text: list[str] = []
        self._thought: list[str] = []
        self._usage = UNREPORTED_USAGE

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        if not self._model:
            self._id, self._model = text_in(event.get("id")), text_in(event.get("model"))
        if event.get("usage") or "x_groq" in event:
            usage = decode_usage(event)
            self._usage = usage if usage.is_reported else self._usage
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            # Pings, and the chunk that carries the usage; a stream of nothing else lacks its end and is refused there.
            return ()
        return self._take(choices[0])

    def _take(self, choice: JsonObject) -> Sequence[CompletionEvent]:
        word = choice.get("finish_reason")
        if word == "error" or choice.get("error"):
            raise failed_choice(choice)
        if isinstance(word, str) and word:
            self._finish = word
        delta = object_in(choice.get("delta"))
        events: list[CompletionEvent] = []
        if thought := decode_reasoning(delta):
            self._thought.append(thought)
            events.append(ReasoningDelta(thought))
        refusal = text_in(delta.get("refusal"))
        self._is_refusal = self._is_refusal or bool(refusal)
        if text := decode_text(delta.get("content")) or refusal:
            self._text.append(text)
            events.append(TextDelta(text))
        return events

    def end(self) -> None:
        if self._finish is None:
            raise IncompleteStreamError("The stream ended without saying why.")
        self._has_end = self.is_done = True

    @property
    def is_complete(self) -> bool:
        return self._finish is not None and (self._has_end or not self._demands_end)

    def answer(self) -> Answer:
        reason = finish_reason(self._finish or "", is_refusal=self._is_refusal)
        parts = decode_parts(text="".join(self._text), reasoning="".join(self._thought), vendor=self._vendor)
        if not parts and reason in (FinishReason.STOP, FinishReason.OTHER):
            raise EmptyResponseError()
        return Answer(
            parts=parts,
            finish_reason=reason,
            raw_finish_reason=self._finish or "",
            model=self._model,
            usage=self._usage,
            response_id=self._id or None,
        )
