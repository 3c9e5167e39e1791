"""Values that belong to one event loop each."""

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, ref

from dipeo.infrastructure.forks import renew_in_child

_T = TypeVar("_T")


class PerLoop(Generic[_T]):
    """One value for each event loop, made when first asked for and forgotten with the loop; safe in threads.

    A forked process begins with nothing: what the parent made, such as connections, is kept and never touched, because
    closing it would end what the parent uses.
    """

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._inherited: list[object] = []
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._values: WeakKeyDictionary[asyncio.AbstractEventLoop, _T] = WeakKeyDictionary()
        # Nearly every call comes from the loop that the one before came from: it is found without the dictionary.
        self._latest: tuple[ref[asyncio.AbstractEventLoop], _T] | None = None

    def get(self, loop: asyncio.AbstractEventLoop) -> _T:
        """The value of this loop, in whose own thread it is asked for."""
        latest = self._latest
        if latest is not None and latest[0]() is loop:
            return latest[1]
        with self._lock:
            value = self._values.get(loop)
            if value is None:
                for other in [known for known in self._values if known.is_closed()]:
                    del self._values[other]
                value = self._values[loop] = self._make()
            self._latest = (ref(loop), value)
            return value

    def pop(self, loop: asyncio.AbstractEventLoop) -> _T | None:
        """Takes the value of this loop away, if it has one."""
        with self._lock:
            self._latest = None
            return self._values.pop(loop, None)

    def values(self) -> list[_T]:
        """The values of all loops."""
        with self._lock:
            return list(self._values.values())

    def begin_in_child(self) -> None:
        """Begins anew in a forked process; called there by the interpreter."""
        self._inherited.append((self._values, self._latest))
        self._begin()
