"""Names for calls."""

import os
from itertools import count

from dipeo.infrastructure.forks import renew_in_child


class CallIds:
    """Ids that no other call has, in this process or another: where they begin is drawn, and then they are counted.

    Drawing each would ask the operating system in every call. Safe in threads; a forked process begins anew.
    """

    def __init__(self) -> None:
        self.begin_in_child()
        renew_in_child(self)

    def begin_in_child(self) -> None:
        """Begins anew: a forked process would otherwise go on counting where its parent does."""
        self._beginning = os.urandom(12).hex()
        self._numbers = count()

    def new(self) -> str:
        """One more id: 32 hexadecimal digits, the last eight of them counted."""
        return f"{self._beginning}{next(self._numbers):08x}"

    def __repr__(self) -> str:
        return f"<CallIds {self._beginning}...>"
