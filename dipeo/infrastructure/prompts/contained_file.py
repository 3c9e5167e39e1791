"""Reads a file that must lie inside a directory, whatever others do to the directory meanwhile."""

import errno
import os
import stat
from pathlib import PurePath
from typing import Final

from attrs import frozen

from dipeo.infrastructure.prompts.refusal import refusal

FileStamp = tuple[int, int, int, int, int]

# O_PATH, where there is one, asks for no permission to list the folder.
_FOLDER: Final[int] = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it.
_FILE: Final[int] = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY

_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
# EINVAL is what reading a symbolic link gives once it is none any more.
_MAYBE_SWAPPED: Final = _MISSING | {errno.ELOOP, errno.EINVAL}
_MAX_ATTEMPTS: Final = 4


@frozen(kw_only=True)
class FileContent:
    """What a file held, and its stamp from before it was read."""

    data: bytes
    stamp: FileStamp


def stamp_of(status: os.stat_result) -> FileStamp:
    """What differs once a file has been replaced or written to."""
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def read_contained(base: str, relative: str, *, name: str, max_bytes: int) -> FileContent | None:
    """The content of the regular file at `relative` below `base`, or None where there is none.

    Symbolic links count by where they lead. Raises `PromptRefusedError`, which speaks of the file by `name`, for one
    that leads outside of `base` and for a file that is not regular, larger than `max_bytes`, or cannot be read.
    """
    # Links that are replaced while they are followed (a mounted ConfigMap is updated so) would look like a missing
    # file: it is missing only when they still lead to the same place.
    previous = None
    code = 0
    for _ in range(_MAX_ATTEMPTS):
        path = None
        try:
            real_base, path = _resolve(base, relative, name=name)
            descriptor = open_below(real_base, path)
        except OSError as problem:
            code = problem.errno or 0
        else:
            return _read(descriptor, name=name, max_bytes=max_bytes)
        if code not in _MAYBE_SWAPPED or (path is not None and path == previous):
            break
        previous = path
    if code in _MISSING:
        return None
    raise refusal(name, _why_unreadable(code))


def open_below(base: str, relative: str) -> int:
    """A descriptor of the file at `relative` below `base`, opened without following any symbolic link.

    Raises `OSError`, also where a part of `relative` is a symbolic link.
    """
    *folders, last = relative.split("/")
    current = os.open(base, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=current)
            os.close(current)
            current = inner
        return os.open(last, _FILE, dir_fd=current)
    finally:
        os.close(current)


def _resolve(base: str, relative: str, *, name: str) -> tuple[str, str]:
    real_base = os.path.realpath(base)
    real = PurePath(os.path.realpath(os.path.join(real_base, relative)))
    if not real.is_relative_to(real_base):
        raise refusal(name, "leads outside the base directory")
    return real_base, str(real.relative_to(real_base))


def _read(descriptor: int, *, name: str, max_bytes: int) -> FileContent:
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise refusal(name, "is no regular file")
        # Some files grow while they are read and some tell no size: what was read counts too.
        data = b"" if status.st_size > max_bytes else _read_up_to(descriptor, max_bytes + 1)
    except OSError as problem:
        raise refusal(name, _why_unreadable(problem.errno or 0)) from None
    finally:
        os.close(descriptor)
    if max(status.st_size, len(data)) > max_bytes:
        raise refusal(name, f"is larger than {max_bytes:,} bytes")
    return FileContent(data=data, stamp=stamp_of(status))


def _read_up_to(descriptor: int, count: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(count)


def _why_unreadable(code: int) -> str:
    if code in (errno.EACCES, errno.EPERM):
        return "may not be read: permission is denied"
    return f"cannot be read ({errno.errorcode.get(code, 'unknown error')})"
