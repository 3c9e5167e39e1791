"""How much work a value may make while it is checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from dipeo.application.shapes.shape import MismatchError, Problem

MAX_STEPS: Final = 50_000
"""Far more than a sensible value takes; nested alternatives of which each is tried would otherwise double per level."""


_PROBLEM: Final = Problem("is nested in too many ways to be checked")


@contextmanager
def bounded_work() -> Iterator[None]:
    """A block, with all that it calls, that may take so many steps and no more; raises `MismatchError` beyond."""
    if _LEFT.get() is not None:
        yield
        return
    left = [MAX_STEPS]
    token = _LEFT.set(left)
    try:
        yield
    except MismatchError:
        if left[0] < 0:
            # Whatever else was found by then says nothing.
            raise MismatchError(_PROBLEM) from None
        raise
    finally:
        _LEFT.reset(token)


def take_step() -> None:
    """Raises `MismatchError` when the steps of the block are used up."""
    left = _LEFT.get()
    if left is not None:
        left[0] -= 1
        if left[0] < 0:
            raise MismatchError(_PROBLEM)


_LEFT: ContextVar[list[int] | None] = ContextVar("steps_left", default=None)
