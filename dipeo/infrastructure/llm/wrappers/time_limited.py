"""Keeps an attempt within the call's deadline."""

import builtins
from collections.abc import AsyncGenerator

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DeadlineExceededError, DipeoError, IncompleteStreamError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream, TextDelta
from dipeo.infrastructure.llm.drivers.alarm import Alarm, AlarmWatch
from dipeo.infrastructure.llm.drivers.per_loop import PerLoop


class TimeLimitedModel(ChatModelPort):
    """Ends what is not done by `request.deadline_at_s` with `DeadlineExceededError`, and closes its connection.

    A stream has two more limits: how long its first event may take, and how long it may then be silent. Only events
    count: what a provider sends to keep the connection alive does not.
    """

    def __init__(self, inner: ChatModelPort, clock: ClockPort) -> None:
        self._inner = inner
        self._clock = clock
        self._watches = PerLoop(AlarmWatch)

    async def complete(self, request: CompletionRequest) -> Completion:
        if request.deadline_at_s is None:
            return await self._inner.complete(request)
        try:
            with Alarm(self._watches, request.deadline_at_s - self._clock.monotonic_s()):
                return await self._inner.complete(request)
        except builtins.TimeoutError:
            raise _too_late(request) from None

    def stream(self, request: CompletionRequest) -> CompletionStream:
        if request.deadline_at_s is None:
            return self._inner.stream(request)
        return CompletionStream(self._events(request, request.deadline_at_s))

    async def _events(self, request: CompletionRequest, deadline_at_s: float) -> AsyncGenerator[CompletionEvent, None]:
        text: list[str] = []
        has_begun = False
        alarm: Alarm | None = None
        try:
            alarm = Alarm(self._watches, deadline_at_s - self._clock.monotonic_s())
            async with self._inner.stream(request) as stream:
                within_s = request.first_token_timeout_s
                while True:
                    with alarm.within(within_s):
                        event = await anext(stream.events, None)
                    if event is None:
                        return
                    has_begun, within_s = True, request.idle_timeout_s
                    if isinstance(event, TextDelta):
                        text.append(event.text)
                    yield event
        except builtins.TimeoutError:
            raise _too_late(request, "".join(text), phase=_phase(alarm, has_begun=has_begun)) from None


def _phase(alarm: Alarm | None, *, has_begun: bool) -> str:
    if alarm is None or alarm.is_final:
        return "total"
    return "idle" if has_begun else "first_token"


def _too_late(request: CompletionRequest, partial_text: str = "", *, phase: str = "total") -> DipeoError:
    """The error for the limit that was passed; a stream that fell silent after some text is a stream that broke off."""
    provider, model = request.service.value, request.model
    if phase == "idle":
        message = f"The stream fell silent for {request.idle_timeout_s:g} s after {len(partial_text)} characters."
        return IncompleteStreamError(message, provider=provider, model=model, partial_text=partial_text, phase=phase)
    message = DeadlineExceededError.default_message
    if phase == "first_token":
        message = f"Nothing came within {request.first_token_timeout_s:g} s."
    partial = partial_text or None
    return DeadlineExceededError(message, provider=provider, model=model, partial_text=partial, phase=phase)
