"""Putting a stream together: pieces of the answer, and the frames around them."""

from __future__ import annotations

from collections.abc import Mapping

from dipeo.testing.simulator.exchange import StreamFrames


class FrameWriter:
    """Collects frames in order; a frame that is no piece goes out together with the next piece."""

    def __init__(self) -> None:
        self._opening: list[bytes] = []
        self._pieces: list[bytes] = []
        self._waiting: list[bytes] = []

    def frame(self, frame: bytes) -> None:
        """A frame around the pieces."""
        (self._waiting if self._pieces else self._opening).append(frame)

    def piece(self, frame: bytes) -> None:
        """A frame with a piece of the answer."""
        self._pieces.append(b"".join((*self._waiting, frame)))
        self._waiting = []

    def finish(self, headers: Mapping[str, str]) -> StreamFrames:
        """The stream: what came after the last piece is its closing."""
        # Without any piece everything but the last frame is said at once.
        opening, closing = self._opening, self._waiting
        if not self._pieces:
            opening, closing = opening[:-1], opening[-1:]
        return StreamFrames(headers=headers, opening=tuple(opening), pieces=tuple(self._pieces), closing=tuple(closing))
