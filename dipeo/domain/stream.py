"""An answer that arrives piece by piece."""

import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Self

from attrs import frozen

from dipeo.domain.completion import Completion
from dipeo.domain.errors import EmptyResponseError, StreamNotFinishedError


@frozen
class CompletionEvent:
    """Something arrived: one of the classes below."""


@frozen
class TextDelta(CompletionEvent):
    """More of the answer's text."""

    text: str


@frozen
class ReasoningDelta(CompletionEvent):
    """More of what the model lets see of its thinking."""

    text: str


@frozen(kw_only=True)
class ToolCallDelta(CompletionEvent):
    """More of a tool call: the pieces of one call have the same `index`; its arguments are whole at the end alone."""

    index: int
    call_id: str
    name: str
    arguments: str = ""


@frozen
class CompletionEnd(CompletionEvent):
    """The answer is complete; always the last event."""

    completion: Completion


class CompletionStream:
    """An async iterator of `CompletionEvent`s, and an async context manager: leaving it closes the connection.

    async with llm.stream(messages, "gpt-5.4-mini") as stream:
        async for text in stream.text():
            print(text, end="")
    print(stream.completion.usage)

    One stream serves one reader. A stream that is dropped without being closed warns (`ResourceWarning`) and is closed
    by the event loop.

    `events` is the source itself: a wrapper that passes events on, inside the stream's `async with`, reads from there
    and saves a step for every event.
    """

    __slots__ = ("__weakref__", "_completion", "_has_begun", "_is_open", "events")

    def __init__(self, events: AsyncGenerator[CompletionEvent, None]) -> None:
        self.events = events
        self._is_open = True
        self._has_begun = False
        self._completion: Completion | None = None

    @property
    def completion(self) -> Completion:
        """The whole answer. Raises `StreamNotFinishedError` before the end."""
        if self._completion is None:
            raise StreamNotFinishedError("The completion of a stream is known at its end: read all events first.")
        return self._completion

    async def text(self) -> AsyncIterator[str]:
        """The answer's text, piece by piece."""
        async for event in self:
            if isinstance(event, TextDelta):
                yield event.text

    async def collect(self) -> Completion:
        """Reads to the end, closes, and returns the whole answer."""
        async with self:
            async for _ in self:
                pass
        if self._completion is None:
            raise EmptyResponseError("The stream ended without an answer.")
        return self._completion

    async def aclose(self) -> None:
        """Closes the connection; what has not arrived is given up. Closing twice does nothing."""
        self._is_open = False
        await self.events.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CompletionEvent:
        self._has_begun = True
        event = await self.events.__anext__()
        if isinstance(event, CompletionEnd):
            self._completion = event.completion
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # A stream that was never read holds nothing, and one that failed or was read to its end has closed itself.
        if self._is_open and self._has_begun and getattr(self.events, "ag_frame", None) is not None:
            warnings.warn(f"{self!r} was not closed.", ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        state = "finished" if self._completion else "open" if self._is_open else "closed"
        return f"<CompletionStream {state}>"
