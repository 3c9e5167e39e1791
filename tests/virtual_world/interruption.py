"""Two ways to disturb a run at a chosen moment: at a caller's n-th suspension, or at the n-th use of a dependency."""

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")


class FailOnce:
    """Counts the uses of dependencies and makes one of them fail; `failed_at` names it, `uses` is their count."""

    def __init__(self, at: int | None) -> None:
        self._at = at
        self.uses = 0
        self.failed_at = ""

    async def passes(self, place: str, error: Callable[[], Exception]) -> None:
        """Raises the error when this use is the one that fails."""
        if self._at is None:
            return
        self.uses += 1
        if self.uses == self._at:
            self.failed_at = place
            raise error()


NO_FAILURE: Final = FailOnce(None)


class Suspensions:
    """Counts the suspensions of one coroutine, and interrupts at some of them."""

    def __init__(self, *at: int, interrupt: Callable[[], object]) -> None:
        self._at = frozenset(at)
        self._interrupt = interrupt
        self.count = 0

    @coroutine
    def watch(self, watched: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """The coroutine's own result."""
        problem: BaseException | None = None
        sent: Any = None
        while True:
            try:
                waited_for = watched.throw(problem) if problem else watched.send(sent)
            except StopIteration as end:
                result: T = end.value
                return result
            self.count += 1
            if self.count in self._at:
                self._interrupt()
            problem = None
            try:
                sent = yield waited_for
            except BaseException as thrown:  # noqa: BLE001  # handed on to the coroutine that is watched
                problem = thrown
