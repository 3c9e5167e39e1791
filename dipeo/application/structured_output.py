"""Answers of a given shape: asked for, checked, asked for again, and made into Python values."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Final, Generic, Self, TypeVar, Unpack

from attrs import frozen

from dipeo.application.answer_shape import Shaped, as_shape, read_answer, reproach, response_schema_of
from dipeo.application.shapes.partial_json import PartialJson
from dipeo.application.shapes.shape import MismatchError, Shape
from dipeo.application.talk import ChatTalk, PersonTalk, Talk
from dipeo.domain.attempt import Attempt
from dipeo.domain.checks import check_number
from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, FinishReason
from dipeo.domain.errors import DipeoError, MalformedResponseError, StreamNotFinishedError, ValidationError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.message import Message
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, TextDelta
from dipeo.domain.usage import Usage

T = TypeVar("T")

OPERATION: Final = "structured_output"
"""The `operation` of the error that is raised when no answer fits."""

_OWN_OPTIONS: Final = ("response_schema", "tools", "tool_choice")
_MAX_PROBLEM_CHARS: Final = 2_000


@frozen(kw_only=True)
class StructuredAnswer(Generic[T]):
    """A value, and how it came about: `completion` is the answer that it was read from.

    `completions` are all answers, those that did not fit included; `problems` says of each of these why.
    """

    value: T
    completions: tuple[Completion, ...]
    problems: tuple[str, ...] = ()

    @property
    def completion(self) -> Completion:
        """The answer that fits."""
        return self.completions[-1]

    @property
    def usage(self) -> Usage:
        """What all answers used together."""
        return sum((completion.usage for completion in self.completions), Usage())


@frozen
class PartialAnswer(CompletionEvent):
    """What is known of the value so far, as JSON: strings, arrays and objects may still grow."""

    value: JsonValue


@frozen
class AskedAgain(CompletionEvent):
    """The answer did not fit, and the model is asked again: what was known of the value is void."""

    problem: str


@frozen
class StructuredEnd(CompletionEvent, Generic[T]):
    """The value is there; always the last event."""

    answer: StructuredAnswer[T]


class StructuredOutput:
    """Asks for answers of a given shape, in the best way that the model takes.

    answer = await StructuredOutput(llm).complete(messages, "claude", Invoice)
    print(answer.value.total, answer.usage)

    The shape is a pydantic model, an attrs class, a dataclass, a `TypedDict`, or the JSON schema of an object; other
    types become the only member of an object on the way. An answer that does not fit is sent back with what is wrong
    with it, `max_reasks` times at most. `timeout_s` bounds all tries together.

    Raises `ValidationError` for a shape that cannot be described, and `MalformedResponseError` when no answer fits:
    its `context` holds the last `text`, its `problem`, and the `usage` of all tries, its `attempts` are those of all
    tries. An answer that was cut off or filtered is not asked for again.
    """

    def __init__(self, llm: LLMServicePort, *, max_reasks: int = 2) -> None:
        check_number("max_reasks", max_reasks, minimum=0, maximum=100, is_whole=True)
        self._llm = llm
        self._max_reasks = max_reasks

    async def complete(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        shape: Shaped[T],
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> StructuredAnswer[T]:
        """The answer to these messages, as a value of this shape."""
        talk = ChatTalk(llm=self._llm, messages=messages, model=model, api_key_id=api_key_id, service=service, said=[])
        return await self._stream(talk, shape, options, is_stream=False).collect()

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        shape: Shaped[T],
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> "StructuredStream[T]":
        """`complete()`, piece by piece."""
        talk = ChatTalk(llm=self._llm, messages=messages, model=model, api_key_id=api_key_id, service=service, said=[])
        return self._stream(talk, shape, options, is_stream=True)

    async def complete_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        shape: Shaped[T],
        **options: Unpack[CompletionOptions],
    ) -> StructuredAnswer[T]:
        """What this person says next, as a value of this shape."""
        talk = PersonTalk(llm=self._llm, messages=person_messages, person_id=person_id, llm_config=llm_config, said=[])
        return await self._stream(talk, shape, options, is_stream=False).collect()

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        shape: Shaped[T],
        **options: Unpack[CompletionOptions],
    ) -> "StructuredStream[T]":
        """`complete_with_person()`, piece by piece."""
        talk = PersonTalk(llm=self._llm, messages=person_messages, person_id=person_id, llm_config=llm_config, said=[])
        return self._stream(talk, shape, options, is_stream=True)

    def _stream(
        self, talk: Talk[object], shaped: Shaped[T], options: CompletionOptions, *, is_stream: bool
    ) -> "StructuredStream[T]":
        for name in _OWN_OPTIONS:
            if name in options:
                raise ValidationError(
                    f"{name!r} cannot be given where an answer of a shape is asked for.",
                    field=name,
                    suggestion="Let a ToolLoop call the tools, and ask for the shape of what it came to.",
                )
        shape = as_shape(shaped)
        asked = options.copy()
        asked["response_schema"] = response_schema_of(shape, shaped)
        return StructuredStream(talk, shape, asked, max_tries=1 + self._max_reasks, is_stream=is_stream)


class StructuredStream(Generic[T]):
    """The events of an answer of a given shape: those of every try, `PartialAnswer`, `AskedAgain`, `StructuredEnd`.

    async with structured.stream(messages, "claude", Invoice) as stream:
        async for value in stream.partials(): ...
    print(stream.answer.value)

    It is read and closed as a `CompletionStream` is.
    """

    def __init__(
        self, talk: Talk[object], shape: Shape[T], options: CompletionOptions, *, max_tries: int, is_stream: bool
    ) -> None:
        self._talk = talk
        self._shape = shape
        self._options = options
        self._max_tries = max_tries
        self._is_stream = is_stream
        self._completions: list[Completion] = []
        self._problems: list[str] = []
        self._answer: StructuredAnswer[T] | None = None
        self._events = self._tries()

    @property
    def answer(self) -> StructuredAnswer[T]:
        """The value and how it came about. Raises `StreamNotFinishedError` before the end."""
        if self._answer is None:
            raise StreamNotFinishedError("The value is known at the end of the stream: read all events first.")
        return self._answer

    async def partials(self) -> AsyncGenerator[JsonValue, None]:
        """What is known of the value, whenever more is known."""
        async for event in self:
            if isinstance(event, PartialAnswer):
                yield event.value

    async def collect(self) -> StructuredAnswer[T]:
        """Reads to the end, closes, and returns the answer."""
        async with self:
            async for _ in self:
                pass
        return self.answer

    async def aclose(self) -> None:
        """Closes the connection; closing twice does nothing."""
        await self._events.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CompletionEvent:
        return await self._events.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<StructuredStream {'finished' if self._answer else 'open'}, {len(self._completions)} answers>"

    async def _tries(self) -> AsyncGenerator[CompletionEvent, None]:
        loop = asyncio.get_running_loop()
        timeout_s = self._options.get("timeout_s")
        deadline_at_s = None if timeout_s is None else loop.time() + timeout_s
        while self._answer is None:
            if deadline_at_s is not None and self._completions:
                self._options["timeout_s"] = max(deadline_at_s - loop.time(), 0.001)
            async with aclosing(self._asked()) as events:
                async for event in events:
                    yield event
            completion = self._completions[-1]
            try:
                value = read_answer(self._shape, completion.text)
            except MismatchError as mismatch:
                problem = str(mismatch)[:_MAX_PROBLEM_CHARS]
                self._problems.append(problem)
                if completion.finish_reason in _FINAL or len(self._completions) >= self._max_tries:
                    raise self._error(problem) from None
            else:
                self._answer = StructuredAnswer(
                    value=value, completions=tuple(self._completions), problems=tuple(self._problems)
                )
                yield StructuredEnd(self._answer)
                return
            yield AskedAgain(problem)
            self._talk.add(completion.parts, ())
            self._talk.ask_again(reproach(problem))

    async def _asked(self) -> AsyncGenerator[CompletionEvent, None]:
        """One try."""
        try:
            if not self._is_stream:
                self._completions.append(await self._talk.complete(self._options))
                yield CompletionEnd(self._completions[-1])
                return
            partial = PartialJson()
            last: PartialAnswer | None = None
            async with self._talk.stream(self._options) as stream:
                async for event in stream:
                    yield event
                    if isinstance(event, TextDelta):
                        partial.feed(event.text)
                        known = self._known(partial) if partial.is_worth_reading else None
                        if known is not None and known != last:
                            last = known
                            yield known
                self._completions.append(stream.completion)
        except DipeoError as error:
            # What was tried before this failed was billed all the same.
            raise error.with_attempts((*self._attempts(), *error.attempts)) from error.__cause__

    def _known(self, partial: PartialJson) -> PartialAnswer | None:
        found = partial.value()
        if found is None:
            return None
        if self._shape.member is None:
            return PartialAnswer(found.value)
        if not isinstance(found.value, Mapping) or self._shape.member not in found.value:
            return None
        return PartialAnswer(found.value[self._shape.member])

    def _attempts(self) -> tuple[Attempt, ...]:
        return tuple(attempt for completion in self._completions for attempt in completion.attempts)

    def _error(self, problem: str) -> DipeoError:
        last = self._completions[-1]
        usage = sum((completion.usage for completion in self._completions), Usage())
        return MalformedResponseError(
            f"{_CUT.get(last.finish_reason, 'No answer has the shape that was asked for')}: {problem}",
            suggestion=_ADVICE.get(last.finish_reason),
            provider=last.service.value,
            model=last.model,
            operation=OPERATION,
            text=last.text,
            problem=problem,
            tries=len(self._completions),
            usage=usage.to_dict(),
        ).with_attempts(self._attempts())


_FINAL: Final = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)
_CUT: Final[Mapping[FinishReason, str]] = {
    FinishReason.LENGTH: "The answer was cut off by the token limit, and does not have the shape that was asked for",
    FinishReason.CONTENT_FILTER: "The answer was filtered, and does not have the shape that was asked for",
}
_ADVICE: Final[Mapping[FinishReason, str]] = {FinishReason.LENGTH: "Allow more with max_tokens=...."}
