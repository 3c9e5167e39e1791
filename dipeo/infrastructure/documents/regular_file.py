"""Reads a file that somebody named: a regular one, of a size that is expected."""

import os
import stat
from typing import Final

from dipeo.domain.errors import ValidationError

# Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it.
_FLAGS: Final[int] = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_MIB: Final = 1024 * 1024


def read_regular_file(path: str | os.PathLike[str], *, max_bytes: int, field: str) -> bytes:
    """What the file holds, which is at least a byte and at most `max_bytes`. Blocks while it reads.

    Raises `ValidationError` naming the `field` for a file that is missing, not to be read, not regular (a folder, a
    FIFO, a device), empty or larger.
    """
    shown = repr(os.fspath(path))
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as problem:
        raise ValidationError(f"{shown} cannot be read: {problem.strerror}.", field=field) from None
    except ValueError:
        raise ValidationError(f"{shown} is no path.", field=field) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise ValidationError(f"{shown} is {kind}, and cannot be read as a file.", field=field)
        # Some files tell no size, and some grow while they are read: what was read counts.
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    except OSError as problem:
        raise ValidationError(f"{shown} cannot be read: {problem.strerror}.", field=field) from None
    finally:
        os.close(descriptor)
    if not data:
        raise ValidationError(f"{shown} is empty.", field=field)
    if len(data) > max_bytes:
        bound = f"{max_bytes // _MIB} MiB" if max_bytes % _MIB == 0 else f"{max_bytes:,} bytes"
        raise ValidationError(f"{shown} is larger than {bound}.", field=field)
    return data
