"""What every wire keeps to."""

from typing import Final

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""The largest answer that is read, after decompression."""

MAX_HEADERS: Final = 128
MAX_HEADER_BYTES: Final = 8190
"""How many headers an answer may have, and how long one of them may be, name and value together."""

MAX_JSON_DEPTH: Final = 100
"""How deeply an answer's JSON may be nested. The parser itself stops at 1024, which is too late: copying a value that
is nested 500 times already exceeds Python's recursion limit."""

MAX_JSON_CONTAINERS: Final = 1_000_000
MAX_JSON_VALUES: Final = 8_000_000
"""How many arrays and objects an answer's JSON may have, and how many values, going by its brackets and commas. A body
of 64 MiB has room for twenty million arrays: a gigabyte of memory, and seconds in which the parser lets nothing else
run, in a thread of its own neither."""

ACCEPTED_CODINGS: Final = "gzip, deflate"
"""The compressions that are asked for. Others unfold a few kilobytes into gigabytes in one step."""

CONNECT_TIMEOUT_S: Final = 10.0
