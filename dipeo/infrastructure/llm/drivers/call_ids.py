"""Names for calls."""

import os
from itertools import count

from dipeo.infrastructure.forks import renew_in_child


class CallIds:
    """Ids that no other call has, in this process or another: where they begin is drawn, and then they are counted.

    Drawing each would ask the operating system in every call. Safe in threads. A forked process begins anew, if the
    interpreter is told of the fork, or if no id was given before it.
    """

    def __init__(self) -> None:
        self.begin_in_child()
        renew_in_child(self)

    def begin_in_child(self) -> None:
        """Begins anew: a forked process would otherwise go on counting where its parent does."""
        self._beginning = ""
        self._numbers = count(1 << 48)

    def new(self) -> str:
        """One more id: 32 hexadecimal digits, the last twelve of them counted."""
        # A format with a width takes twice as long: what is counted begins with a digit that is left out.
        return f"{self._beginning or self._begin()}{hex(next(self._numbers))[3:]}"

    def _begin(self) -> str:
        # Two threads that come first at once begin in two places, and count on together.
        self._beginning = os.urandom(10).hex()
        return self._beginning

    def __repr__(self) -> str:
        return f"<CallIds {self._beginning}...>"
