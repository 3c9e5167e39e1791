"""An event loop whose time is virtual and whose order is drawn from a seed: what failed once fails again.

Time stands still while anything is ready and jumps to the next timer when nothing is. What became ready in one turn
of the loop runs in a seeded order in the next, as the arrival of real answers would have it; what a task does after
its own steps stays after them. There is no selector: whoever waits for a socket or a thread waits for nothing, and a
run in which nobody can ever go on ends with a list of who waits where.
"""

import asyncio
import gc
import hashlib
import heapq
import random
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType
from typing import Any, Final, Generic, NoReturn, TypeVar
from weakref import WeakSet

from attrs import field, frozen

from dipeo.domain.ports.clock import ClockPort

T = TypeVar("T")

MAX_STEPS: Final = 5_000_000
START: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
_SETTLING_TURNS: Final = 100


class VirtualDeadlockError(AssertionError):
    """Somebody waits, and nothing will ever wake them."""


class LeftoverError(AssertionError):
    """The run ended, and something of it did not."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in virtual time, in an order that the seed decides."""

    # asyncio's own, which its type stubs leave out
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool
    _asyncgens: "WeakSet[AsyncGeneratorType[Any, Any]]"

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.steps = 0
        self.trace: list[tuple[float, str]] = []
        self.reported: list[str] = []
        self._chance = random.Random(f"order/{seed}")
        self._now_s = 0.0
        self.set_exception_handler(lambda _, context: self.reported.append(_summary(context)))

    def time(self) -> float:
        return self._now_s

    def note(self, what: str) -> None:
        """Adds a line to the trace."""
        self.trace.append((self._now_s, what))

    def run_turns(self, turns: int = 1) -> None:
        """Runs what is ready, and what that makes ready, that many times; time stands still."""
        for _ in range(turns):
            if not self._ready:
                return
            self.call_soon(self.stop)
            self.run_forever()

    def abandon(self) -> None:
        """Ends what a failed run left behind, so that it cannot disturb the next, and closes the loop."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.run_turns(_SETTLING_TURNS)
        if self.unfinished_generators():
            self.create_task(self.shutdown_asyncgens())
            self.run_turns(_SETTLING_TURNS)
        self.set_exception_handler(lambda *_: None)
        self.close()

    def unfinished_generators(self) -> list[str]:
        """The async generators that were begun and neither ended nor closed."""
        return sorted(each.__qualname__ for each in self._asyncgens if each.ag_frame is not None)

    def run_in_executor(self, *_: object) -> NoReturn:
        raise AssertionError("A thread has no virtual time: nothing here may run in an executor.")

    def _run_once(self) -> None:
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)
        if not self._ready and not self._stopping:
            if not self._scheduled:
                raise VirtualDeadlockError(f"At {self._now_s:.6f} s nobody can go on: {_who_waits(self)}")
            self._now_s = max(self._now_s, self._scheduled[0].when())
        while self._scheduled and self._scheduled[0].when() <= self._now_s:
            self._ready.append(heapq.heappop(self._scheduled))
        turn = list(self._ready)
        self._ready.clear()
        self._chance.shuffle(turn)
        self.steps += len(turn)
        if self.steps > MAX_STEPS:
            raise VirtualDeadlockError(f"After {self.steps} steps the run has not ended: {_who_waits(self)}")
        for handle in turn:
            if not handle.cancelled():
                handle._run()

    def _write_to_self(self) -> None:
        """Wakes nobody: this loop never sleeps."""


class VirtualClock(ClockPort):
    """Reads the time of a virtual loop; `sleeps_of` holds, by task, beginning and length of every sleep in seconds."""

    def __init__(self, loop: VirtualLoop, *, start: datetime = START) -> None:
        self._loop = loop
        self._start = start
        self.sleeps_of: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic_s(self) -> float:
        return self._loop.time()

    async def sleep(self, delay_s: float) -> None:
        task = asyncio.current_task()
        name = task.get_name() if task else ""
        # asyncio numbers the tasks of a process: in another run the same task has another number.
        name = "a task" if name.startswith("Task-") else name
        self.sleeps_of[name].append((self._loop.time(), delay_s))
        self._loop.note(f"{name} sleeps {delay_s!r} s")
        await asyncio.sleep(delay_s)


@frozen
class VirtualRun(Generic[T]):
    """What came of a run; `digest` stands for its trace and for every step of its loop."""

    result: T
    ended_at_s: float
    steps: int
    trace: tuple[tuple[float, str], ...] = field(repr=False)

    @property
    def digest(self) -> str:
        """The same for the same course of events."""
        told = "\n".join(f"{at_s!r} {what}" for at_s, what in self.trace)
        return hashlib.blake2b(f"{told}\n{self.steps} {self.ended_at_s!r}".encode(), digest_size=16).hexdigest()


def run_virtual(seed: int, main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> VirtualRun[T]:
    """Runs `main` to its end on a fresh virtual loop.

    Raises `VirtualDeadlockError` where nobody can go on, and `LeftoverError` for a task or an async generator that
    outlives the run, and for whatever was reported to the loop's exception handler, such as an exception that nobody
    retrieved.
    """
    loop = VirtualLoop(seed)
    try:
        with _seeded_jitter(seed), _quiet_collector():
            result = loop.run_until_complete(main(loop))
            loop.run_turns(_SETTLING_TURNS)
            _check_nothing_is_left(loop)
        return VirtualRun(result, loop.time(), loop.steps, tuple(loop.trace))
    finally:
        loop.abandon()


@contextmanager
def _seeded_jitter(seed: int) -> Iterator[None]:
    """Jitter is drawn from Python's shared generator; it gets the seed, and its own state back."""
    state = random.getstate()
    random.seed(f"jitter/{seed}")
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Nothing is finalised at a moment that memory decides; a collection looks at what the run has made and no more."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def _check_nothing_is_left(loop: VirtualLoop) -> None:
    if tasks := asyncio.all_tasks(loop):
        raise LeftoverError(f"{len(tasks)} tasks are left: {_who_waits(loop)}")
    if generators := loop.unfinished_generators():
        raise LeftoverError(f"Async generators were left open: {', '.join(generators)}")
    gc.collect()
    if loop.reported:
        raise LeftoverError(f"The loop was told: {'; '.join(loop.reported)}")


def _summary(context: dict[str, Any]) -> str:
    problem = context.get("exception")
    return f"{context.get('message')} {problem!r}" if problem else str(context.get("message"))


def _who_waits(loop: asyncio.AbstractEventLoop) -> str:
    return "; ".join(sorted(f"{task.get_name()} in {_place_of(task.get_coro())}" for task in asyncio.all_tasks(loop)))


def _place_of(awaited: object) -> str:
    """Where the innermost coroutine stands."""
    place = "?"
    while awaited is not None:
        frame: FrameType | None
        if isinstance(awaited, CoroutineType):
            frame, code, awaited = awaited.cr_frame, awaited.cr_code, awaited.cr_await
        elif isinstance(awaited, AsyncGeneratorType):
            frame, code, awaited = awaited.ag_frame, awaited.ag_code, awaited.ag_await
        else:
            break
        place = _line_of(code, frame)
    return place


def _line_of(code: CodeType, frame: FrameType | None) -> str:
    return f"{code.co_qualname} line {frame.f_lineno if frame else code.co_firstlineno}"


__all__ = ["LeftoverError", "VirtualClock", "VirtualDeadlockError", "VirtualLoop", "VirtualRun", "run_virtual"]
