"""Notices when a file of keys has changed."""

import os
import stat

FileStamp = tuple[int, int, int, int, int]


def stamp_of(status: os.stat_result) -> FileStamp | None:
    """What differs once a regular file has been replaced or written to; None for anything but a regular file.

    Only regular files are read here: reading a FIFO would wait for its writer, and a look-up must not block.
    """
    if not stat.S_ISREG(status.st_mode):
        return None
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
