"""Writes down every attempt, whether it succeeds, fails or is cancelled."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from datetime import datetime

from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import (
    ConfigurationError,
    DipeoError,
    InvalidRequestError,
    MalformedAPIKeyError,
    MissingAPIKeyError,
)
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.domain.verdict import Verdict

# What dipeo itself refuses before anything is sent is no attempt; the provider's refusals carry its HTTP status.
_LOCAL_REFUSALS = (InvalidRequestError, ConfigurationError, MissingAPIKeyError, MalformedAPIKeyError)


_LOG = logging.getLogger("dipeo.ledger")


class MeteredModel(ChatModelPort):
    """Records one `Attempt` per call in the ledger, and puts it on the completion or the error.

    A ledger that fails is logged and does not cost the caller the answer, which carries its attempts all the same.
    """

    def __init__(self, inner: ChatModelPort, *, ledger: LedgerPort, keys: APIKeyPort, clock: ClockPort) -> None:
        self._inner = inner
        self._ledger = ledger
        self._keys = keys
        self._clock = clock

    async def complete(self, request: CompletionRequest) -> Completion:
        start = self._start()
        try:
            completion = await self._inner.complete(request)
        except DipeoError as error:
            raise await self._failed(request, start, error) from None
        except asyncio.CancelledError:
            await self._cancelled(request, start)
            raise
        return await self._succeeded(request, start, completion)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        start = self._start()
        has_ended = False
        try:
            async with self._inner.stream(request) as stream:
                async for event in stream.events:
                    if isinstance(event, CompletionEnd):
                        end = CompletionEnd(await self._succeeded(request, start, event.completion))
                        has_ended = True
                        yield end
                        return
                    yield event
        except DipeoError as error:
            raise await self._failed(request, start, error) from None
        except (asyncio.CancelledError, GeneratorExit):
            # A reader who leaves early gives up the answer, and may have to pay for it.
            if not has_ended:
                await self._cancelled(request, start)
            raise

    def _start(self) -> "_Start":
        return self._clock.now(), self._clock.monotonic_s()

    async def _succeeded(self, request: CompletionRequest, start: "_Start", completion: Completion) -> Completion:
        attempt = self._attempt(request, start, usage=completion.usage, request_id=completion.request_id, status=200)
        await self._record(attempt)
        return completion.with_attempts((attempt,), latency_ms=attempt.latency_ms)

    async def _failed(self, request: CompletionRequest, start: "_Start", error: DipeoError) -> DipeoError:
        if error.status is None and isinstance(error, _LOCAL_REFUSALS):
            return error
        attempt = self._attempt(
            request,
            start,
            verdict=error.verdict or Verdict.PROVIDER_ERROR,
            status=error.status,
            provider_code=error.provider_code,
            request_id=error.request_id,
            retry_after_s=error.retry_after_s,
        )
        await self._record(attempt)
        return error.with_attempts((attempt,))

    async def _cancelled(self, request: CompletionRequest, start: "_Start") -> None:
        await self._record(self._attempt(request, start, verdict=Verdict.CANCELLED))

    async def _record(self, attempt: Attempt) -> None:
        try:
            await self._ledger.record(attempt)
        except Exception:  # noqa: BLE001  # whatever a ledger raises: an answer that was paid for must not be lost over it
            _LOG.exception("An attempt of call %s could not be recorded.", attempt.call_id)

    def _attempt(
        self,
        request: CompletionRequest,
        start: "_Start",
        *,
        verdict: Verdict | None = None,
        status: int | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        usage: Usage = UNREPORTED_USAGE,
    ) -> Attempt:
        started_at, started_s = start
        key = self._keys.find(request.service, request.api_key_id)
        return Attempt(
            call_id=request.call_id,
            number=request.attempt_number,
            service=request.service,
            model=request.model,
            person_id=request.person_id,
            started_at=started_at,
            latency_ms=(self._clock.monotonic_s() - started_s) * 1000,
            key_fingerprint=key.fingerprint if key else None,
            waited_s=request.waited_s,
            verdict=verdict,
            status=status,
            provider_code=provider_code,
            request_id=request_id,
            retry_after_s=retry_after_s,
            usage=usage,
        )


_Start = tuple[datetime, float]
"""When an attempt began: the time of day, and seconds on the clock's monotonic scale."""
