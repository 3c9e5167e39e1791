"""What must begin anew in a forked process."""

import os
from typing import Protocol
from weakref import WeakSet


class BeginsInChild(Protocol):
    """Holds something that belongs to one process, such as a lock or a connection."""

    def begin_in_child(self) -> None:
        """Begins anew; called by the interpreter in the forked process, before anything else runs there."""
        ...


def renew_in_child(each: BeginsInChild) -> None:
    """From now on, `begin_in_child()` is called in every process that is forked, for as long as the object lives."""
    _ALL.add(each)


def _begin_in_child() -> None:
    for each in list(_ALL):
        each.begin_in_child()


_ALL: WeakSet[BeginsInChild] = WeakSet()
# Once for all: what is registered for forks is never taken back.
os.register_at_fork(after_in_child=_begin_in_child)
