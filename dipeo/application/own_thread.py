"""Runs a function in a thread of its own."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from attrs import define


@define
class _Outcome:
    """What a function came to: a value or an exception, whichever it was."""

    value: object = None
    error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # Every exception has to reach whoever waits: one that stayed in the thread would let them wait for ever.
        self.error = error
        return True


async def in_own_thread(function: Callable[[], object]) -> object:
    """What the function returns or raises.

    A thread cannot be ended from outside. Whoever stops waiting goes on at once, and what the function still does is
    not looked at. Its thread keeps neither the event loop nor the interpreter from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Outcome] = loop.create_future()
    context = contextvars.copy_context()

    def tell(outcome: _Outcome) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        with _Outcome() as outcome:
            outcome.value = context.run(function)
        # The loop may have been closed meanwhile, when nobody waits any more.
        with _Outcome():
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=run, name="dipeo-tool", daemon=True).start()
    outcome = await done
    if outcome.error is None:
        return outcome.value
    if isinstance(outcome.error, Exception) and not isinstance(outcome.error, StopIteration):
        raise outcome.error
    raise RuntimeError(f"The function ended with {type(outcome.error).__name__}.") from outcome.error
