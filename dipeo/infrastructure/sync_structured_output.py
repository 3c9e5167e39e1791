"""Answers of a given shape behind the synchronous door."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar, Unpack

from dipeo.application.answer_shape import Shaped
from dipeo.application.structured_output import PartialAnswer, StructuredAnswer, StructuredOutput, StructuredStream
from dipeo.domain.completion import ChatMessage, CompletionOptions
from dipeo.domain.json_value import JsonValue
from dipeo.domain.message import Message
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.service import LLMService
from dipeo.infrastructure.sync_door import SyncLLMService, SyncReader

_T = TypeVar("_T")


class SyncStructuredStream(SyncReader[StructuredStream[_T]], Generic[_T]):
    """A `StructuredStream` for code that is not async: an iterator of its events and a context manager.

    with structured.stream(messages, "claude", Invoice) as stream:
        for value in stream.partials(): ...
    print(stream.answer.value)
    """

    @property
    def answer(self) -> StructuredAnswer[_T]:
        """The value and how it came about. Raises `StreamNotFinishedError` before the end."""
        return self._events.answer

    def partials(self) -> Iterator[JsonValue]:
        """What is known of the value, whenever more is known."""
        return (event.value for event in self if isinstance(event, PartialAnswer))

    def collect(self) -> StructuredAnswer[_T]:
        """Reads to the end, closes, and returns the answer."""
        return self._loop.run(self._events.collect())


class SyncStructuredOutput:
    """A `StructuredOutput` for code that is not async: the same methods, arguments and errors.

    with dipeo.connect_sync() as llm:
        answer = SyncStructuredOutput(llm).complete(messages, "claude", Invoice)
    """

    def __init__(self, llm: SyncLLMService, *, max_reasks: int = 2) -> None:
        self._inner = StructuredOutput(llm.service, max_reasks=max_reasks)
        self._loop = llm.loop

    def complete(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        shape: Shaped[_T],
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> StructuredAnswer[_T]:
        """See `StructuredOutput.complete`."""
        return self._loop.run(
            self._inner.complete(messages, model, shape, api_key_id=api_key_id, service=service, **options)
        )

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        shape: Shaped[_T],
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> SyncStructuredStream[_T]:
        """See `StructuredOutput.stream`."""
        stream = self._inner.stream(messages, model, shape, api_key_id=api_key_id, service=service, **options)
        return SyncStructuredStream(stream, self._loop)

    def complete_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        shape: Shaped[_T],
        **options: Unpack[CompletionOptions],
    ) -> StructuredAnswer[_T]:
        """See `StructuredOutput.complete_with_person`."""
        return self._loop.run(
            self._inner.complete_with_person(person_messages, person_id, llm_config, shape, **options)
        )

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        shape: Shaped[_T],
        **options: Unpack[CompletionOptions],
    ) -> SyncStructuredStream[_T]:
        """See `StructuredOutput.stream_with_person`."""
        stream = self._inner.stream_with_person(person_messages, person_id, llm_config, shape, **options)
        return SyncStructuredStream(stream, self._loop)
