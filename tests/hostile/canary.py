"""Keys to look for, and every place where one could turn up."""

import base64
import html
import json
import logging
import pickle
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from dipeo.domain.errors import DipeoError

KEYS: Final[Mapping[str, str]] = {
    "usual": "sk-canary-proj-4f1d2c9b7e6a50384f1d2c9b7e6a5038",
    "base64": "c2stY2FuYXJ5LWJhc2U2NA+/c2stY2FuYXJ5LWJhc2U2NA==",
    "url": "sk-canary%2Fproject-alpha%2B?id=canary-0123456789&x=canary-abcdefghij#y",
    "quoted": "\"sk-canary-quoted-0123\"\\'canary-backslash-abc'\\n",
    "markup": "<sk-canary-markup-0123>&amp;canary-entity-abcdef</b>${canary-dollar-987}",
    "format": "sk-canary-{0.__class__}-%s%(canary)s-canary-percent-{canary-brace-01}",
    "long": "sk-canary-" + "".join(f"{number:04d}" for number in range(40)),
}
"""Keys of odd shapes: each one line of printable ASCII, which is all that is asked of a key."""

_PIECE_CHARS: Final = 12


def shapes_of(key: str) -> Mapping[str, str]:
    """The key as a provider may write it down in an answer."""
    return {
        "plain": key,
        "in a sentence": f"Incorrect API key provided: {key}. You can find your key at https://example.invalid.",
        "as a header": f"Authorization: Bearer {key}",
        "for a URL": quote(key, safe=""),
        "as JSON": json.dumps({"key": key}),
        "as HTML": html.escape(f"<p>{key}</p>"),
        "as Python": repr(f"Bearer {key}".encode()),
        "in base64": base64.b64encode(key.encode()).decode(),
        "in basic credentials": base64.b64encode(f"user:{key}".encode()).decode(),
        "at the end of a long text": "x" * 470 + key,
        "cut by a short sample": "y" * 185 + key,
    }


def traces_of(key: str, text: str) -> list[str]:
    """What of the key is in a text: pieces of it as it is, and pieces of it in base64."""
    return [piece for piece in _pieces_of(key) if piece in text]


@lru_cache
def _pieces_of(key: str) -> tuple[str, ...]:
    """Pieces that overlap, so that one is whole in whatever is left of a key that was masked or cut in part."""
    written = [key, *(base64.b64encode(b" " * before + key.encode()).decode()[4:-4] for before in range(3))]
    return tuple(each[at : at + _PIECE_CHARS] for each in written for at in range(0, len(each) - _PIECE_CHARS + 1, 3))


def sinks_of(error: DipeoError) -> Mapping[str, str]:
    """Every form in which an error leaves the program."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=False)
    return {
        "str": str(error),
        "repr": repr(error),
        "args": repr(error.args),
        "to_dict": json.dumps(error.to_dict()),
        "vars": repr(vars(error)),
        "pickle": pickle.dumps(error, protocol=0).decode("latin-1"),
        "traceback": "".join(trace.format(chain=True)),
        "chain": " ".join(repr(each) + repr(vars(each)) for each in _chain(error)),
        "attempts": " ".join(repr(each) + json.dumps(each.to_dict()) for each in error.attempts),
    }


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that hangs on it, also what tracebacks leave out."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__]


class LogKeeper(logging.Handler):
    """Keeps the words of every record, with its arguments and its exception."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._writer = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        words = [record.name, record.getMessage(), repr(record.args)]
        if record.exc_info:
            words.append(self._writer.formatException(record.exc_info))
        self.lines.append(" ".join(words))


@contextmanager
def every_log() -> Iterator[LogKeeper]:
    """Everything that any logger says inside the block, at DEBUG."""
    root, keeper = logging.getLogger(), LogKeeper()
    known = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    levels = {logger: logger.level for logger in (root, *known)}
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    root.addHandler(keeper)
    try:
        yield keeper
    finally:
        root.removeHandler(keeper)
        for logger, level in levels.items():
            logger.setLevel(level)
