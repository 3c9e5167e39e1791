"""Does not ask those who are known to be unable to answer."""

from collections.abc import AsyncGenerator

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream
from dipeo.infrastructure.llm.drivers.circuits import Circuit, Circuits


class BreakerModel(ChatModelPort):
    """Refuses at once what would go to a provider that keeps failing, whose quota is spent, or who refused the key.

    `circuits` remember that by service, address and key. After the cool-down one request is let through as a probe;
    what becomes of it decides for all. What is refused here was not sent: the error's context says `sent: false`, and
    it has no attempt. While no provider fails, all that is done is a look at an empty dictionary.
    """

    def __init__(self, inner: ChatModelPort, circuits: Circuits) -> None:
        self._inner = inner
        self._circuits = circuits

    async def complete(self, request: CompletionRequest) -> Completion:
        circuits = self._circuits
        probed = circuits.enter(request) if circuits.by_place else _NOTHING
        try:
            completion = await self._inner.complete(request)
        except DipeoError as error:
            circuits.failed(request, error, probed)
            raise
        finally:
            # Whatever became of it, also where the caller left: the next one may probe.
            if probed:
                circuits.leave(probed)
        if circuits.by_place:
            circuits.answered(request, probed, attempts=completion.attempts)
        return completion

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        circuits = self._circuits
        probed = circuits.enter(request) if circuits.by_place else _NOTHING
        has_begun = False
        try:
            async with self._inner.stream(request) as stream:
                async for event in stream.events:
                    if not has_begun:
                        has_begun = True
                        if circuits.by_place:
                            circuits.answered(request, probed)
                    yield event
        except DipeoError as error:
            circuits.failed(request, error, () if has_begun else probed)
            raise
        finally:
            if probed:
                circuits.leave(probed)


_NOTHING: tuple[Circuit, ...] = ()
