"""Counts the Python calls that a coroutine makes, exactly."""

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType

import dipeo
from dipeo.domain.unchecked import GENERATED

PACKAGE = str(Path(dipeo.__file__).parent)


async def python_calls(call: Callable[[], Awaitable[object]], *, repeat: int = 20) -> tuple[float, float]:
    """Python calls for one `call()`, and how many of them are dipeo's own, each the mean over the repetitions.

    What is generated for dipeo's classes counts as dipeo's own. Runs of the event loop count too.
    """
    counts: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            name = frame.f_code.co_filename
            is_own = name.startswith((PACKAGE, "<attrs generated", GENERATED))
            counts["own" if is_own else "other"] += 1

    await call()
    sys.setprofile(note)
    try:
        for _ in range(repeat):
            await call()
    finally:
        sys.setprofile(None)
    return counts.total() / repeat, counts["own"] / repeat
