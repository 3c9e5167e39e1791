"""Ollama's own chat interface, for models on this machine or near it.

Source of the shapes: Ollama's API documentation, "Generate a chat completion".
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest, FinishReason
from dipeo.domain.errors import EmptyResponseError, LocalOverloadError, MalformedResponseError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import Part, ReasoningPart, TextPart, ToolCallPart
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta
from dipeo.domain.tools import NO_TOOLS, PromptCache, SchemaMode
from dipeo.domain.usage import UNREPORTED_USAGE, Usage, new_usage
from dipeo.infrastructure.llm.adapters._ollama_messages import VENDOR, encode_messages, encode_tools
from dipeo.infrastructure.llm.adapters._whole_calls import (
    decode_call,
    delta_of,
    made_up_id,
    refuse_previous_response,
    with_schema_beside_tools,
)
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import (
    Answer,
    EncodedRequest,
    StreamDecoder,
    count_in,
    new_answer,
    object_in,
    objects_in,
    text_in,
)
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.provider_errors import CodeTable, Refusal, read_refusal, with_code_by_text
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.wire import Framing, WireRequest

_THINKS = re.compile(r"(?:.*/)?(?:gpt-oss|qwen3|deepseek-r1|deepseek-v3\.1|magistral)")
_LEVELS: Final = frozenset({ReasoningEffort.LOW, ReasoningEffort.MEDIUM, ReasoningEffort.HIGH})
_TAKES_LEVEL = re.compile(r"(?:.*/)?gpt-oss")

# Models of before tools and pictures, and those that read alone, in Ollama's library in November 2026. Any other is
# taken at its word: the server itself refuses what a model cannot, before anything is generated.
_TAKES_NO_TOOLS = re.compile(
    r"(?:.*/)?(?:(?:codellama|codegemma|gemma|gemma2|gemma3|llama2|llama3|llava|moondream|orca-mini|phi|phi3|tinyllama"
    r"|vicuna)(?::|$))"
)
_SEES_NOTHING = re.compile(
    r"(?:.*/)?(?:(?:codellama|codegemma|deepseek-r1|gemma|gemma2|gpt-oss|llama2|llama3|llama3\.[13]|llama3\.2|mistral"
    r"|mixtral|phi|phi3|phi4|qwen2\.5|qwen3|qwen3-coder|tinyllama|vicuna)(?::|$)|gemma3:(?:1b|270m))"
)

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
        return capabilities_of(model)

    def as_taken(self, request: CompletionRequest) -> tuple[CompletionRequest, SchemaMode | None]:
        # A format binds every word of the answer, so that none could be a call.
        if request.response_schema is None or request.tooling is NO_TOOLS:
            return super().as_taken(request)
        return with_schema_beside_tools(request, request.response_schema, self.capabilities(request.model))

    def refusal_in(self, body: JsonValue) -> Refusal:
        return decode_refusal(body)


@lru_cache(maxsize=256)
def capabilities_of(model: str) -> ModelCapabilities:
    """What a model takes, as far as its name tells."""
    return ModelCapabilities(
        takes_seed=True,
        efforts=frozenset(ReasoningEffort) if _THINKS.match(model) else frozenset(),
        accepts_open_end=True,
        takes_tools=not _TAKES_NO_TOOLS.match(model),
        schema_mode=SchemaMode.NATIVE,
        takes_images=not _SEES_NOTHING.match(model),
    )


def encode_request(request: CompletionRequest, capabilities: ModelCapabilities, *, is_stream: bool) -> EncodedRequest:
    """The request body, and what had to be adapted. Users are told apart by their name in front."""
    refuse_previous_response(request)
    adaptations = Adaptations(request)
    messages = encode_messages(request.messages, capabilities, adaptations)
    body: dict[str, JsonValue] = {"model": request.model, "messages": messages, "stream": is_stream}
    if request.tooling is not NO_TOOLS and (tools := encode_tools(request.tooling, adaptations)):
        body["tools"] = tools
    if request.response_schema is not None:
        body["format"] = "json" if request.response_schema.schema is None else request.response_schema.schema
    if options := encode_sampling(request.sampling):
        body["options"] = options
    _encode_thinking(body, request, capabilities, adaptations)
    if request.prompt_cache is PromptCache.LONG:
        # What a loaded model has read it remembers unasked, for as long as it stays loaded.
        adaptations.dropped("prompt_cache", "Ollama says itself how long it remembers the beginning of a request.")
    with_provider_options(body, request.provider_options)
    exchange = WireRequest(path="/api/chat", body=body, framing=Framing.NDJSON)
    return exchange, adaptations.made


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
    if request.sampling.reasoning_budget_tokens is not None:
        adaptations.dropped("reasoning_budget_tokens", "Ollama takes no thinking budget.")
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
    return new_usage(
        input_tokens=count_in(body.get("prompt_eval_count")), output_tokens=count_in(body.get("eval_count"))
    )


def decode_refusal(body: JsonValue) -> Refusal:
    """What an error says. Ollama has no codes, so this one case is told by its text, which its source fixes."""
    return with_code_by_text(read_refusal(body), {"model requires more system memory": _OUT_OF_MEMORY})


class ChatLinesDecoder:
    """Reads the lines of a streamed chat, each shaped like a whole reply; `"done": true` is its end."""

    __slots__ = ("_calls", "_last", "_text", "_thought", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._last: JsonObject = {}
        self._calls: list[ToolCallPart] = []
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
        if message.get("tool_calls"):
            self._take_calls(message, text_in(event.get("created_at")), events)
        return events

    def end(self) -> None:
        """Ollama has no such marker; one that comes all the same says nothing."""

    @property
    def is_complete(self) -> bool:
        return self.is_done

    def answer(self) -> Answer:
        word = text_in(self._last.get("done_reason"))
        text, thought = "".join(self._text), "".join(self._thought)
        if word in _NO_ANSWERS or not (text or thought or self._calls or word == "length"):
            raise EmptyResponseError()
        reason = FINISH_REASONS.get(word or "stop", FinishReason.OTHER)
        parts: list[Part] = []
        try:
            if thought:
                parts.append(ReasoningPart(text=thought, vendor=VENDOR))
            if text:
                parts.append(TextPart(text))
        except ValidationError as problem:
            raise MalformedResponseError(f"The provider's answer cannot be read: {problem}") from None
        return new_answer(
            parts=(*parts, *self._calls),
            finish_reason=FinishReason.TOOL_CALLS if self._calls and reason is FinishReason.STOP else reason,
            raw_finish_reason=word,
            model=text_in(self._last.get("model")),
            usage=decode_usage(self._last),
        )

    def _take_calls(self, message: JsonObject, answer_name: str, events: list[CompletionEvent]) -> None:
        for said in objects_in(message["tool_calls"]):
            function = object_in(said.get("function"))
            index = len(self._calls)
            call = decode_call(
                function,
                function.get("arguments"),
                call_id=said.get("id"),
                spare_id=made_up_id(index, answer_name),
            )
            self._calls.append(call)
            events.append(delta_of(call, index=index))
