"""A thread for each blocking call."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

_T = TypeVar("_T")


async def in_own_thread(call: Callable[[], _T]) -> _T:
    """What the call returns or raises.

    Not in the loop's pool of threads: that has few, for which calls would wait, and a process does not end before each
    of them has. A call whose caller has left goes on; what it gives then is dropped.
    """
    outcome: Future[_T] = Future()
    context = copy_context()

    def run() -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            outcome.set_result(context.run(call))
        except BaseException as problem:  # noqa: BLE001  # whatever it is, it is raised again where it is awaited
            outcome.set_exception(problem)

    threading.Thread(target=run, name="dipeo-blocking-call", daemon=True).start()
    return await asyncio.wrap_future(outcome)
