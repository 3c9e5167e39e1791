"""Ollama's own chat interface, for models on this machine or near it.

Source of the shapes: Ollama's API documentation, "Generate a chat completion".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest, FinishReason
from dipeo.domain.errors import EmptyResponseError, LocalOverloadError, MalformedResponseError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import Part, ReasoningPart, TextPart
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import (
    Answer,
    EncodedRequest,
    StreamDecoder,
    count_in,
    object_in,
    text_in,
)
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.provider_errors import CodeTable, Refusal, read_refusal, with_code_by_text
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.turns import spoken
from dipeo.infrastructure.llm.drivers.turns import text_in as message_text
from dipeo.infrastructure.llm.drivers.wire import Framing, WireRequest

VENDOR: Final = "ollama"

_THINKS = re.compile(r"(?:.*/)?(?:gpt-oss|qwen3|deepseek-r1|deepseek-v3\.1|magistral)")
_LEVELS: Final = frozenset({ReasoningEffort.LOW, ReasoningEffort.MEDIUM, ReasoningEffort.HIGH})
_TAKES_LEVEL = re.compile(r"(?:.*/)?gpt-oss")

FINISH_REASONS: Final[Mapping[str, FinishReason]] = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}

# The server was asked to load or unload the model and had nothing to answer.
_NO_ANSWERS: Final = frozenset({"load", "unload"})

_OUT_OF_MEMORY: Final = "out_of_memory"
ERROR_CODES: Final[CodeTable] = {_OUT_OF_MEMORY: LocalOverloadError}


class OllamaAdapter(BaseLLMAdapter):
    """Speaks Ollama's chat."""

    error_codes = ERROR_CODES

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, self.capabilities(request.model), is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return ChatLinesDecoder()

    def credentials(self) -> Mapping[str, str]:
        return self._endpoint.bearer()

    def capabilities(self, model: str) -> ModelCapabilities:
        return ModelCapabilities(
            takes_seed=True,
            efforts=frozenset(ReasoningEffort) if _THINKS.match(model) else frozenset(),
            accepts_open_end=True,
        )

    def refusal_in(self, body: JsonValue) -> Refusal:
        return decode_refusal(body)


def encode_request(request: CompletionRequest, capabilities: ModelCapabilities, *, is_stream: bool) -> EncodedRequest:
    """The request body, and what had to be adapted. Users are told apart by their name in front."""
    adaptations = Adaptations(is_strict=request.is_strict)
    messages: list[JsonValue] = []
    for position, message in enumerate(request.messages):
        text = message_text(message, position=position, adaptations=adaptations)
        role = "system" if message.role.is_instruction else message.role.value
        messages.append({"role": role, "content": spoken(message, text)})
    body: dict[str, JsonValue] = {"model": request.model, "messages": messages, "stream": is_stream}
    if options := encode_sampling(request.sampling):
        body["options"] = options
    _encode_thinking(body, request, capabilities, adaptations)
    with_provider_options(body, request.provider_options)
    exchange = WireRequest(path="/api/chat", body=body, framing=Framing.NDJSON)
    return EncodedRequest(exchange=exchange, adaptations=adaptations.made)


def encode_sampling(sampling: Sampling) -> dict[str, JsonValue]:
    """The model options; an Ollama model takes them all."""
    options: dict[str, JsonValue] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "num_predict": sampling.max_tokens,
        "stop": list(sampling.stop) if sampling.stop else None,
        "seed": sampling.seed,
    }
    return {name: value for name, value in options.items() if value is not None}


def _encode_thinking(
    body: dict[str, JsonValue], request: CompletionRequest, capabilities: ModelCapabilities, adaptations: Adaptations
) -> None:
    effort = request.sampling.reasoning_effort
    if effort is None:
        return
    if not capabilities.takes_reasoning_effort:
        if effort is not ReasoningEffort.NONE:
            adaptations.dropped("reasoning_effort", f"{request.model} is not known to think.")
        return
    if effort is ReasoningEffort.NONE:
        body["think"] = False
    elif effort in _LEVELS and _TAKES_LEVEL.match(request.model):
        body["think"] = effort.value
    else:
        body["think"] = True
        reason = f"{request.model} can be told to think, but not how hard."
        adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, reason)


def decode_response(body: JsonObject) -> Answer:
    """The answer in a unary reply. Raises `EmptyResponseError` or `MalformedResponseError`."""
    decoder = ChatLinesDecoder()
    decoder.feed(body)
    if not decoder.is_done:
        raise MalformedResponseError("The provider's answer does not say that it is done.")
    return decoder.answer()


def decode_usage(body: JsonObject) -> Usage:
    """The usage; a server that had the whole prompt cached leaves the input count out."""
    if "eval_count" not in body and "prompt_eval_count" not in body:
        return UNREPORTED_USAGE
    return Usage(input_tokens=count_in(body.get("prompt_eval_count")), output_tokens=count_in(body.get("eval_count")))


def decode_refusal(body: JsonValue) -> Refusal:
    """What an error says. Ollama has no codes, so this one case is told by its text, which its source fixes."""
    return with_code_by_text(read_refusal(body), {"model requires more system memory": _OUT_OF_MEMORY})


class ChatLinesDecoder:
    """Reads the lines of a streamed chat, each shaped like a whole reply; `"done": true` is its end."""

    __slots__ = ("_last", "_text", "_thought", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._last: JsonObject = {}
        self._text: list[str] = []
        self._thought: list[str] = []

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        message = event.get("message")
        if not isinstance(message, Mapping):
            raise MalformedResponseError("The provider's answer holds no 'message'.")
        self._last = event
        self.is_done = event.get("done") is True
        events: list[CompletionEvent] = []
        if thought := text_in(message.get("thinking")):
            self._thought.append(thought)
            events.append(ReasoningDelta(thought))
        if text := text_in(message.get("content")):
            self._text.append(text)
            events.append(TextDelta(text))
        return events

    def end(self) -> None:
        """Ollama has no such marker; one that comes all the same says nothing."""

    @property
    def is_complete(self) -> bool:
        return self.is_done

    def answer(self) -> Answer:
        word = text_in(self._last.get("done_reason"))
        text, thought = "".join(self._text), "".join(self._thought)
        has_tools = bool(object_in(self._last.get("message")).get("tool_calls"))
        if word in _NO_ANSWERS or not (text or thought or has_tools or word == "length"):
            raise EmptyResponseError()
        parts: tuple[Part, ...] = (ReasoningPart(text=thought, vendor=VENDOR),) if thought else ()
        return Answer(
            parts=(*parts, TextPart(text)) if text else parts,
            finish_reason=FINISH_REASONS.get(word or "stop", FinishReason.OTHER),
            raw_finish_reason=word,
            model=text_in(self._last.get("model")),
            usage=decode_usage(self._last),
        )
