"""The chunks of a streamed chat completion."""

from collections.abc import Sequence

from dipeo.domain.errors import IncompleteStreamError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.parts import CitationPart, ProviderToolPart, ToolCallPart
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta
from dipeo.domain.usage import UNREPORTED_USAGE
from dipeo.infrastructure.llm.adapters._chat_calls import CallsBeingMade
from dipeo.infrastructure.llm.adapters._chat_reply import (
    decode_citations,
    decode_provider_tools,
    decode_text,
    decode_usage,
    failed_choice,
    whole_answer,
)
from dipeo.infrastructure.llm.adapters._chat_thoughts import THOUGHT_FIELDS, ThoughtsBeingHad
from dipeo.infrastructure.llm.drivers.answer import Answer, object_in, text_in


class ChatStreamDecoder:
    """Reads the chunks of a streamed chat completion."""

    __slots__ = (
        "_calls",
        "_citations",
        "_demands_end",
        "_finish",
        "_has_end",
        "_id",
        "_is_refusal",
        "_model",
        "_provider_tools",
        "_text",
        "_thoughts",
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
        self._thoughts: ThoughtsBeingHad | None = None
        self._calls: CallsBeingMade | None = None
        self._citations: list[CitationPart] = []
        self._provider_tools: tuple[ProviderToolPart, ...] = ()
        self._usage = UNREPORTED_USAGE

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        if not self._model:
            self._id, self._model = text_in(event.get("id")), text_in(event.get("model"))
        if event.get("usage") or "x_groq" in event:
            usage = decode_usage(event)
            self._usage = usage if usage.is_reported else self._usage
        if "citations" in event:
            self._cite({}, event)
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
        content = delta.get("content")
        is_pieced = isinstance(content, list)
        if is_pieced or not THOUGHT_FIELDS.isdisjoint(delta):
            if self._thoughts is None:
                self._thoughts = ThoughtsBeingHad(self._vendor)
            if thought := self._thoughts.add(delta):
                events.append(ReasoningDelta(thought))
        refusal = text_in(delta.get("refusal"))
        self._is_refusal = self._is_refusal or bool(refusal)
        if text := (content if isinstance(content, str) else decode_text(content)) or refusal:
            self._text.append(text)
            events.append(TextDelta(text))
        if delta.get("tool_calls") or delta.get("function_call"):
            if self._calls is None:
                self._calls = CallsBeingMade(self._vendor)
            events += self._calls.add(delta)
        if is_pieced or "annotations" in delta:
            self._cite(delta, {})
        if "executed_tools" in delta:
            self._provider_tools = decode_provider_tools(delta, self._vendor) or self._provider_tools
        return events

    def _cite(self, delta: JsonObject, event: JsonObject) -> None:
        """Adds what is cited: some providers repeat the list in every chunk."""
        self._citations += [each for each in decode_citations(delta, event) if each not in self._citations]

    def end(self) -> None:
        if self._finish is None:
            raise IncompleteStreamError("The stream ended without saying why.")
        self._has_end = self.is_done = True

    @property
    def is_complete(self) -> bool:
        return self._finish is not None and (self._has_end or not self._demands_end)

    def answer(self) -> Answer:
        word = self._finish or ""
        calls: tuple[ToolCallPart, ...] = ()
        if self._calls is not None:
            calls = self._calls.parts(is_cut=word == "length")
        return whole_answer(
            thoughts=() if self._thoughts is None else self._thoughts.parts(),
            text="".join(self._text),
            extras=(*self._provider_tools, *self._citations),
            calls=calls,
            word=word,
            is_refusal=self._is_refusal,
            model=self._model,
            usage=self._usage,
            response_id=self._id or None,
        )
