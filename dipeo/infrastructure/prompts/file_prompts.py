"""Prompt files below one directory."""

import codecs
import os
import stat
from threading import Lock
from typing import Final

from attrs import frozen

from dipeo.domain.errors import ConfigurationError
from dipeo.domain.ports.prompts import PromptPort
from dipeo.domain.prompt import PromptFile
from dipeo.infrastructure.prompts.contained_file import FileStamp, read_contained, stamp_of
from dipeo.infrastructure.prompts.prompt_name import path_below
from dipeo.infrastructure.prompts.refusal import refusal

_MAX_CACHED: Final = 1_000
_FOREIGN_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@frozen(kw_only=True)
class _Cached:
    path: str
    stamp: FileStamp
    prompt: PromptFile


class FilePrompts(PromptPort):
    """Prompt files below `base_dir`, read again when they change.

    Nothing outside the directory is read, whatever a name or a symbolic link says; links that stay inside are
    followed. A hard link cannot be told from the file itself: whoever may link files into the directory decides what
    is read. A change counts when the file's identity, times or size differ, so one of the same length within a tick
    of the file system's clock may be missed.

    `max_bytes` is the size of the largest file that is read, 1 MiB by default. The directory need not exist. Raises
    `ConfigurationError` for a `base_dir` that is something else than a directory. Needs a POSIX system.
    """

    def __init__(self, base_dir: str | os.PathLike[str], *, max_bytes: int = 1_048_576) -> None:
        self._base: Final = _checked_base(os.fspath(base_dir))
        self._max_bytes: Final = max_bytes
        self._cache: Final[dict[str, _Cached]] = {}
        self._lock: Final = Lock()

    def load(self, name: str) -> PromptFile | None:
        """The prompt file of this name, relative to the base directory, or None where there is none.

        Raises `PromptRefusedError`.
        """
        cached = self._cache.get(name)
        if cached is not None and _current_stamp(cached.path) == cached.stamp:
            return cached.prompt
        relative = path_below(self._base, name)
        content = read_contained(self._base, relative, name=name, max_bytes=self._max_bytes)
        if content is None:
            self._forget(name)
            return None
        from dipeo.infrastructure.prompts.front_matter import parse_prompt  # loaded where there is a file to read

        prompt = parse_prompt(_decode(content.data, name=name), name=name)
        self._remember(name, _Cached(path=os.path.join(self._base, relative), stamp=content.stamp, prompt=prompt))
        return prompt

    def _remember(self, name: str, entry: _Cached) -> None:
        with self._lock:
            self._cache.pop(name, None)
            while len(self._cache) >= _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[name] = entry

    def _forget(self, name: str) -> None:
        with self._lock:
            self._cache.pop(name, None)

    def __repr__(self) -> str:
        return f"FilePrompts({self._base!r}, max_bytes={self._max_bytes}, cached={len(self._cache)})"


def _checked_base(base_dir: str) -> str:
    path = os.path.abspath(base_dir)
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return path
    except ValueError:
        raise ConfigurationError(f"The base directory {base_dir!r} is no path.", field="base_dir") from None
    if not stat.S_ISDIR(mode):
        raise ConfigurationError(
            f"The base directory {base_dir!r} is not a directory.",
            field="base_dir",
            suggestion="Let DIPEO_BASE_DIR name the directory that holds the prompt files.",
        )
    return path


def _current_stamp(path: str) -> FileStamp | None:
    try:
        return stamp_of(os.stat(path))
    except OSError:
        return None


def _decode(data: bytes, *, name: str) -> str:
    if data.startswith(_FOREIGN_MARKS):
        raise refusal(name, "is UTF-16 or UTF-32", suggestion="Save it as UTF-8.")
    text, position = None, 0
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as problem:
        position = problem.start
    # Raised out here, for the decoder's own error holds the content.
    if text is None:
        raise refusal(name, f"is not UTF-8 (byte {position:,})", suggestion="Save it as UTF-8.")
    if "\0" in text:
        raise refusal(name, "holds NUL characters", suggestion="Save it as UTF-8 text; UTF-16 looks like this, too.")
    return text
