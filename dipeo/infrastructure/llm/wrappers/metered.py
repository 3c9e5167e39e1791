"""Writes down every attempt, whether it succeeds, fails or is cancelled."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Final

from attrs import evolve

from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream
from dipeo.domain.unchecked import unchecked_from
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.drivers.attempt_recorder import AttemptRecorder
from dipeo.infrastructure.llm.drivers.local_refusals import is_local_refusal

Observe = Callable[[CompletionRequest, Usage], None]
"""Learns from what an answered request used; it must be quick and must not raise."""
_Start = tuple[datetime, float, str | None]
"""When an attempt began, as time of day and as seconds on the clock's monotonic scale, and its key's fingerprint."""
_new_attempt: Final = unchecked_from(
    Attempt, CompletionRequest, "number", "started_at", "latency_ms", "key_fingerprint", "status", "request_id", "usage"
)


class MeteredModel(ChatModelPort):
    """Records one `Attempt` per call in the ledger, and puts it on the completion or the error.

    `observe` is told of every answered request. A ledger that fails is logged and does not cost the caller the answer.
    """

    def __init__(
        self,
        inner: ChatModelPort,
        *,
        ledger: LedgerPort,
        keys: APIKeyPort,
        clock: ClockPort,
        observe: Observe | None = None,
    ) -> None:
        self._inner = inner
        self._observe = observe
        self._ledger = ledger
        self._recorder = AttemptRecorder(ledger)
        self._keys = keys
        self._clock = clock

    async def complete(self, request: CompletionRequest) -> Completion:
        start = self._start(request)
        try:
            completion = await self._inner.complete(request)
        except DipeoError as error:
            raise await self._failed(request, start, error) from None
        except asyncio.CancelledError:
            await self._cancelled(request, start)
            raise
        attempt = self._attempt(request, start, 200, completion)
        try:
            await self._ledger.record(attempt)  # what follows is as in the recorder, which would cost a coroutine more
        except asyncio.CancelledError:
            if await self._recorder.record_once_more(attempt):
                raise
        except Exception:  # noqa: BLE001  # whatever a ledger raises
            self._recorder.log_failure(attempt)
        if self._observe is not None:
            self._observe(request, completion.usage)
        return completion.with_attempts((attempt,), latency_ms=attempt.latency_ms)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        start = self._start(request)
        has_ended = False
        try:
            async with self._inner.stream(request) as stream:
                async for event in stream.events:
                    if isinstance(event, CompletionEnd):
                        has_ended = True
                        attempt = self._attempt(request, start, 200, event.completion)
                        await self._recorder.record(attempt)
                        if self._observe is not None:
                            self._observe(request, event.completion.usage)
                        yield CompletionEnd(event.completion.with_attempts((attempt,), latency_ms=attempt.latency_ms))
                        return
                    yield event
        except DipeoError as error:
            raise await self._failed(request, start, error) from None
        except (asyncio.CancelledError, GeneratorExit):
            # A reader who leaves early gives up the answer, and may have to pay for it.
            if not has_ended:
                await self._cancelled(request, start)
            raise

    def _start(self, request: CompletionRequest) -> _Start:
        try:
            # Looked up now: a source that fails later must not cost the answer, nor a new key be put down for an old.
            key = self._keys.find(request.service, request.api_key_id)
        except DipeoError:
            key = None  # the pool will meet the same failure, and raise it
        return self._clock.now(), self._clock.monotonic_s(), key.fingerprint if key else None

    async def _failed(self, request: CompletionRequest, start: _Start, error: DipeoError) -> DipeoError:
        if is_local_refusal(error):
            return error
        attempt = evolve(
            self._attempt(request, start, error.status),
            request_id=error.request_id,
            verdict=error.verdict or Verdict.PROVIDER_ERROR,
            provider_code=error.provider_code,
            retry_after_s=error.retry_after_s,
        )
        await self._recorder.record(attempt)
        return error.with_attempts((attempt,))

    async def _cancelled(self, request: CompletionRequest, start: _Start) -> None:
        await self._recorder.record(evolve(self._attempt(request, start), verdict=Verdict.CANCELLED))

    def _attempt(
        self, request: CompletionRequest, start: _Start, status: int | None = None, answer: Completion | None = None
    ) -> Attempt:
        started_at, started_s, fingerprint = start
        latency_ms = (self._clock.monotonic_s() - started_s) * 1000
        request_id, usage = (answer.request_id, answer.usage) if answer else (None, UNREPORTED_USAGE)
        number = request.attempt_number
        return _new_attempt(request, number, started_at, latency_ms, fingerprint, status, request_id, usage)
