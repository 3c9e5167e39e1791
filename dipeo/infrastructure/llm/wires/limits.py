"""What every wire keeps to."""

from typing import Final

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""The largest answer that is read, after decompression."""

CONNECT_TIMEOUT_S: Final = 10.0
