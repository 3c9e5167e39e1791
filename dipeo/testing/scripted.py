"""Models and services that answer from a script."""

from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar, Unpack

from attrs import frozen

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, CompletionRequest, FinishReason
from dipeo.domain.errors import ScriptExhaustedError
from dipeo.domain.message import Message
from dipeo.domain.parts import TextPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.domain.usage import Usage

ScriptedAnswer = str | Completion | Exception
"""Text, a whole completion, or an exception to raise."""

_AskedT = TypeVar("_AskedT")


@frozen(kw_only=True)
class ServiceCall:
    """One use of a `ScriptedService`: what was passed in."""

    messages: Sequence[Mapping[str, object] | ChatMessage] | Sequence[Message]
    model: str | None
    person_id: str | None = None
    llm_config: PersonLLMConfig | None = None
    options: CompletionOptions
    is_stream: bool


class _Script(Generic[_AskedT]):
    """Answers in order, and what they answered. As a context manager it fails when answers are left over."""

    def __init__(self, answers: Sequence[ScriptedAnswer]) -> None:
        self._answers = deque(answers)
        self.asked: list[_AskedT] = []

    @property
    def unused(self) -> tuple[ScriptedAnswer, ...]:
        """The answers nobody has asked for yet."""
        return tuple(self._answers)

    def assert_all_used(self) -> None:
        """Raises `AssertionError` when answers are left over."""
        if self._answers:
            raise AssertionError(f"{len(self._answers)} scripted answers were not used: {list(self._answers)!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.assert_all_used()

    def _next(self, asked: _AskedT, *, service: LLMService, model: str) -> Completion:
        self.asked.append(asked)
        if not self._answers:
            raise ScriptExhaustedError(f"The script has no answer left for call {len(self.asked)}.")
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Completion) else _completion(answer, service, model)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.asked)} answered, {len(self._answers)} left>"


class ScriptedModel(_Script[CompletionRequest], ChatModelPort):
    """A `ChatModelPort` that gives these answers in order; `asked` holds the requests.

    with ScriptedModel("Hello.", RateLimitError()) as model: ...

    fails at the end of the block when an answer was not used. Text is streamed word by word.
    """

    def __init__(self, *answers: ScriptedAnswer) -> None:
        super().__init__(answers)

    async def complete(self, request: CompletionRequest) -> Completion:
        return self._next(request, service=request.service, model=request.model)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def aclose(self) -> None:
        """Nothing is open; there so that the model can stand in for an adapter too."""

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        for event in _streamed(self._next(request, service=request.service, model=request.model)):
            yield event


class ScriptedService(_Script[ServiceCall], LLMServicePort):
    """An `LLMServicePort` that gives these answers in order; `asked` holds what it was called with."""

    def __init__(self, *answers: ScriptedAnswer) -> None:
        super().__init__(answers)

    async def complete(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        return self._answer(
            ServiceCall(messages=tuple(messages), model=model, options=options, is_stream=False), service
        )

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> CompletionStream:
        call = ServiceCall(messages=tuple(messages), model=model, options=options, is_stream=True)
        return CompletionStream(self._events(call, service))

    async def complete_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        call = _person_call(person_messages, person_id, llm_config, options, is_stream=False)
        return self._answer(call, llm_config.service)

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> CompletionStream:
        call = _person_call(person_messages, person_id, llm_config, options, is_stream=True)
        return CompletionStream(self._events(call, llm_config.service))

    def _answer(self, call: ServiceCall, service: LLMService | str | None) -> Completion:
        known = LLMService.from_name(service) if service is not None else LLMService.OPENAI_COMPATIBLE
        return self._next(call, service=known, model=call.model or "scripted")

    async def _events(
        self, call: ServiceCall, service: LLMService | str | None
    ) -> AsyncGenerator[CompletionEvent, None]:
        for event in _streamed(self._answer(call, service)):
            yield event


def _person_call(
    messages: Sequence[Message],
    person_id: str,
    config: PersonLLMConfig,
    options: CompletionOptions,
    *,
    is_stream: bool,
) -> ServiceCall:
    return ServiceCall(
        messages=tuple(messages),
        model=config.model,
        person_id=person_id,
        llm_config=config,
        options=options,
        is_stream=is_stream,
    )


def _completion(text: str, service: LLMService, model: str) -> Completion:
    return Completion(
        service=service,
        model=model,
        parts=(TextPart(text),),
        finish_reason=FinishReason.STOP,
        raw_finish_reason="stop",
        usage=Usage(output_tokens=len(text.split())),
    )


def _streamed(completion: Completion) -> Sequence[CompletionEvent]:
    words = completion.text.split(" ")
    spaced = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    return (*(TextDelta(word) for word in spaced if word), CompletionEnd(completion))
