"""The one synchronous door: the same coroutines, on a loop in a background thread."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Generic, Protocol, Self, TypeVar, Unpack
from weakref import WeakSet

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions
from dipeo.domain.errors import ServiceClosedError
from dipeo.domain.message import Message
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, CompletionStream, TextDelta
from dipeo.infrastructure.forks import renew_in_child

_T = TypeVar("_T")

STOP_TIMEOUT_S: Final = 10.0
_LAST_TURNS: Final = 3


class BackgroundLoop:
    """An event loop in a daemon thread. Any thread may `run()` coroutines on it and waits for the result.

    The thread begins with the first call; a forked process, which finds it gone, begins one of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._opened: WeakSet[AsyncEvents] = WeakSet()
        self._inherited: list[object] = []
        renew_in_child(self)

    def begin_in_child(self) -> None:
        """Forgets the thread, which lives in the parent alone; called in a forked process by the interpreter."""
        # Kept, not closed: the parent's loop and ours look at the same sockets.
        self._inherited.append((self._loop, self._thread, self._opened))
        self._opened = WeakSet()
        self._lock = threading.Lock()
        self._loop = self._thread = None

    def run(self, coroutine: Coroutine[object, object, _T]) -> _T:
        """The coroutine's result, or its exception. Raises `ServiceClosedError` when the loop is or was closed."""
        with self._lock:
            if self._is_closing or threading.current_thread() is self._thread:
                coroutine.close()
                raise ServiceClosedError(
                    "The service is closed: use it inside its 'with' block."
                    if self._is_closing
                    else "A call on the background loop must not wait for itself."
                )
            loop = self._loop or self._begin()
            has_ended = threading.Event()
            future = asyncio.run_coroutine_threadsafe(_announced(coroutine, has_ended), loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if not self._is_closing:
                raise
        except BaseException:
            # An interrupt of the waiting thread must not leave the call running, and billing, behind its back; and
            # what follows, such as closing a stream, must find it ended.
            future.cancel()
            has_ended.wait(STOP_TIMEOUT_S)
            raise
        raise ServiceClosedError("The service was closed while the call was running.")

    def next_of(self, events: "AsyncEvents") -> CompletionEvent | None:
        """The next event, or None after the last. What was begun, and not read to its end, is closed with the loop."""
        return self.run(self._next_of(events))

    def close_events(self, events: "AsyncEvents") -> None:
        """Closes events, and waits until that is done."""
        self.run(self._closed(events))

    def let_go(self, events: "AsyncEvents") -> None:
        """Has events closed that nobody will read any more, and waits for nothing."""
        # Without the lock, which the very thread may hold that collects garbage just now. Those of a parent process are
        # not among ours, and are left alone; a loop that ends closes its own.
        loop = self._loop
        if loop is not None and not self._is_closing and events in self._opened:
            with suppress(RuntimeError):  # it has ended in this very moment
                loop.call_soon_threadsafe(lambda: loop.create_task(self._closed(events)))

    def close(self) -> None:
        """Cancels what still runs and stops the thread. Closing twice does nothing."""
        with self._lock:
            if self._is_closing:
                return
            # From here on nobody can hand in a call, so that nothing is left that would never be answered.
            self._is_closing = True
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_TIMEOUT_S)

    def _begin(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(loop, self._opened), name="dipeo-loop", daemon=True)
        self._thread.start()
        return loop

    async def _next_of(self, events: "AsyncEvents") -> CompletionEvent | None:
        self._opened.add(events)
        try:
            return await events.__anext__()
        except StopAsyncIteration:
            self._opened.discard(events)
            return None

    async def _closed(self, events: "AsyncEvents") -> None:
        self._opened.discard(events)
        await events.aclose()

    def __repr__(self) -> str:
        return f"<BackgroundLoop {'closed' if self._is_closing else 'running'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serve(loop: asyncio.AbstractEventLoop, opened: "WeakSet[AsyncEvents]") -> None:
    """Runs the loop until it is stopped, and ends what is left."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # Ending a task may begin another, such as one that closes a connection.
        while pending := asyncio.all_tasks(loop):
            # A task that has not begun would be cancelled without its coroutine ever being entered, or closed.
            loop.run_until_complete(asyncio.sleep(0))
            for task in pending:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        # From the outside in: the loop itself would close generators before those that read them.
        for events in list(opened):
            with suppress(Exception):  # nobody is left to be told
                loop.run_until_complete(events.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        # A connection that was just closed says so in the next turns of the loop: they must come before its end.
        for _ in range(_LAST_TURNS):
            loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


class AsyncEvents(Protocol):
    """What a `SyncReader` reads."""

    async def __anext__(self) -> CompletionEvent: ...

    async def aclose(self) -> None:
        """Closes what is open; closing twice does nothing."""
        ...


_EventsT = TypeVar("_EventsT", bound=AsyncEvents)


class SyncReader(Generic[_EventsT]):
    """Events for code that is not async: an iterator, and a context manager that closes what is open.

    One that is dropped before its end is closed as well, by the background loop.
    """

    def __init__(self, events: _EventsT, loop: BackgroundLoop) -> None:
        self._events = events
        self._loop = loop

    def close(self) -> None:
        """Closes what is open, and waits until that is done. Closing twice does nothing."""
        self._loop.close_events(self._events)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> CompletionEvent:
        event = self._loop.next_of(self._events)
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._loop.let_go(self._events)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._events!r}>"


class SyncCompletionStream(SyncReader[CompletionStream]):
    """A `CompletionStream` for code that is not async: an iterator and a context manager."""

    @property
    def completion(self) -> Completion:
        """The whole answer, once all events were read."""
        return self._events.completion

    def text(self) -> Iterator[str]:
        """The answer's text, piece by piece."""
        return (event.text for event in self if isinstance(event, TextDelta))

    def collect(self) -> Completion:
        """Reads to the end and returns the whole answer."""
        return self._loop.run(self._events.collect())


class SyncLLMService:
    """`LLMServicePort` without `await`: the same methods, arguments and errors.

    `service` is the one that is asked, `loop` the one that it is asked on; others build their doors on the two.
    """

    def __init__(self, service: LLMServicePort, loop: BackgroundLoop) -> None:
        self.service = service
        self.loop = loop

    def complete(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        """See `LLMServicePort.complete`."""
        return self.loop.run(self.service.complete(messages, model, api_key_id=api_key_id, service=service, **options))

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> SyncCompletionStream:
        """See `LLMServicePort.stream`."""
        stream = self.service.stream(messages, model, api_key_id=api_key_id, service=service, **options)
        return SyncCompletionStream(stream, self.loop)

    def complete_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        """See `LLMServicePort.complete_with_person`."""
        return self.loop.run(self.service.complete_with_person(person_messages, person_id, llm_config, **options))

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> SyncCompletionStream:
        """See `LLMServicePort.stream_with_person`."""
        stream = self.service.stream_with_person(person_messages, person_id, llm_config, **options)
        return SyncCompletionStream(stream, self.loop)


async def _announced(coroutine: Coroutine[object, object, _T], has_ended: threading.Event) -> _T:
    try:
        return await coroutine
    finally:
        has_ended.set()
