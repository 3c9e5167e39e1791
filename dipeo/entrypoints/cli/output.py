"""What is written where: answers on stdout, all else on stderr, nothing that could steer a terminal."""

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# Everything a terminal obeys: the C0 controls but line feed and tab, DEL, and the C1 controls.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_PLAIN_WIDTH: Final = 100
"""Columns of a table that goes to a file or a pipe."""


def printable(text: str) -> str:
    """The text without control characters, so that an answer cannot move the cursor or change the title."""
    return _CONTROLS.sub("", text)


def write(text: str) -> None:
    """Writes part of an answer to stdout, at once; to a file or a pipe as it is."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def write_json(document: Mapping[str, object]) -> None:
    """Writes one JSON object on a line of its own to stdout."""
    # All but ASCII is escaped, so that every encoding can carry it and no control character gets through.
    sys.stdout.write(json.dumps(document).replace("\x7f", "\\u007f") + "\n")
    sys.stdout.flush()


def warn(text: str, *, label: str = "") -> None:
    """Writes a line to stderr, behind a label."""
    line = printable(text).replace("\n", " ")
    sys.stderr.write(f"{label}: {line}\n" if label else f"{line}\n")
    sys.stderr.flush()


def stdout_console() -> "Console":
    """Rich's console on stdout: no markup, no highlighting, no colour where nobody sees it."""
    return _plain_console(sys.stdout)


def stderr_console() -> "Console":
    """The same on stderr."""
    return _plain_console(sys.stderr)


def _plain_console(file: TextIO) -> "Console":
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            # Rich would end the program here, with a code of its own.
            raise BrokenPipeError

    width = None if file.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH
    return PlainConsole(file=file, markup=False, highlight=False, emoji=False, width=width)
