"""Answers that are not as they should be: seeded changes of bytes, of events, and of the values in them."""

import json
import random
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence, Sequence
from copy import deepcopy
from typing import Final, cast

from dipeo.domain.json_value import JsonValue
from tests.hostile.reading import Received, headers_of
from tests.hostile.specimens import NDJSON, SSE, Specimen

_MOST_CHANGES: Final = 4


class _Raw:
    """A value that stands in the text as it is, though it may be no JSON."""

    def __init__(self, text: str) -> None:
        self.text = text


_DEEP: Final = tuple("[" * depth + "]" * depth for depth in (70, 900, 1_030, 5_000))
_DEEP_OBJECTS: Final = tuple('{"a":' * depth + "1" + "}" * depth for depth in (70, 900, 5_000))

ODD_VALUES: Final[Sequence[object]] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    0.5,
    -0.0,
    1e308,
    "",
    " ",
    "0",
    "null",
    "stop",
    "error",
    "[DONE]",
    "\x00",
    "\n",
    "\r\n\r\n",
    "data: {}",
    "\u2028\u0085\ufeff",
    "\u202e",
    "a" * 300,
    "x" * 5_000,
    "周" * 100_000,
    "{" * 200,
    "e\u0301" * 500,
    "../../etc/passwd",
    "__class__",
    "{0.__class__}",
    "\ufffd",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": None},
    {"error": None},
    {"type": "text"},
    [1, "a", None, {}],
    [{}] * 2_000,
    _Raw("NaN"),
    _Raw("Infinity"),
    _Raw("-Infinity"),
    _Raw("1e999"),
    _Raw("-1e999"),
    _Raw("9" * 5_000),
    _Raw("1" + "0" * 400),
    _Raw('"\\ud800"'),
    _Raw('"\\udc00\\ud800"'),
    _Raw('"\\u0000"'),
    _Raw("undefined"),
    _Raw("'text'"),
    _Raw("01"),
    _Raw(""),
    *map(_Raw, _DEEP),
    *map(_Raw, _DEEP_OBJECTS),
)
"""What is put in the place of a value."""

ODD_TEXTS: Final = (
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": "\\ud800"}',
    '{"a":' * 300,
    "[" * 3_000 + "]" * 3_000,
    "9" * 5_000,
    '{"a":' * 900 + "1" + "}" * 900,
    '{"a": ' + "9" * 5_000 + "}",
    '{"a": 1} x',
    '{"a": 1, "a": 2}',
    '"text"',
    "null",
    "[1]",
    "{}",
    '{"": ""}',
    '{"__class__": "os.system"}',
    "\x00",
    '{"a": "\\u0000"}',
    '{"a',
    "  ",
    "\ufeff{}",
    "tru",
)
"""What is put in the place of text that is itself read as JSON, such as a tool's arguments."""

ODD_BYTES: Final = (
    b"\x00",
    b"\n",
    b"\r",
    b"\n\n",
    b"\xff",
    b"\xc3",
    b"\xf0\x9f",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xc0\xaf",
    b"\x80",
    b": hb\n\n",
    b"data:\n\n",
    b"data: \n\n",
    b"data: [DONE]\n\n",
    b"data: null\n\n",
    b"data: 1\n\n",
    b'data: "x"\n\n',
    b"data: []\n\n",
    b"data: {}\n\n",
    b"event: error\n",
    b"event:\n",
    b"id: 7\nretry: 1\n\n",
    b"data: {\n\n",
    b"{}\n",
    b"null\n",
    b"[]\n",
    b'"',
    b"\\",
    b"}",
    b"]",
    b"{",
    b"[",
    b",",
    b"<html><body>busy</body></html>",
    b"SSH-2.0-x\r\n",
    b'data: {"error": {"message": "no", "code": 500}}\n\n',
    b'data: {"error": "no"}\n\n',
    b'data: {"error": [[]]}\n\n',
    b'data: {"error": {"code": {}, "message": [], "details": [{"retryDelay": []}]}}\n\n',
    b'{"error": {"a": 1}}\n',
    b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": 5}}\n\n',
    b'data: {"type": "response.failed", "response": {"error": []}}\n\n',
    b'data: {"type": "error", "error": 1}\n\n',
)
"""What is put between two bytes."""


def mutated_bytes(body: bytes, chance: random.Random) -> bytes:
    """The body with a few bytes flipped, lost, doubled or put in."""
    for _ in range(chance.randint(1, _MOST_CHANGES)):
        at = chance.randrange(len(body) + 1)
        to = min(len(body), at + chance.choice((1, 1, 2, 5, 30, 200)))
        kind = chance.randrange(6)
        if kind == 0 and at < len(body):
            body = body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]
        elif kind == 1:
            body = body[:at] + body[to:]
        elif kind == 2:
            body = body[:to] + body[at:to] * chance.choice((1, 1, 3)) + body[to:]
        elif kind == 3:
            body = body[:at] + chance.choice(ODD_BYTES) + body[at:]
        elif kind == 4:
            body = body[:at] + chance.randbytes(chance.choice((1, 3, 20))) + body[to:]
        else:
            body = body[:at]
    return body


def mutated_stream(specimen: Specimen, chance: random.Random) -> bytes:
    """The stream with some of its events lost, doubled, swapped or changed inside, and perhaps some bytes as well."""
    events = events_of(specimen)
    for _ in range(chance.randint(1, _MOST_CHANGES)):
        if not events:
            break
        at, other = chance.randrange(len(events)), chance.randrange(len(events))
        kind = chance.randrange(8)
        if kind == 0:
            del events[at]
        elif kind == 1:
            events.insert(other, events[at])
        elif kind == 2:
            events[at], events[other] = events[other], events[at]
        elif kind == 3:
            events[at] = chance.choice(_ODD_EVENTS)
        else:
            events[at] = mutated_json(events[at], chance)
    body = b"".join(_framed(event, specimen) for event in events)
    return mutated_bytes(body, chance) if chance.random() < 0.2 else body


_ODD_EVENTS: Final = (
    b"{}",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"[DONE]",
    b"",
    b"NaN",
    b"{",
    b'{"type": []}',
    b'{"choices": [[]]}',
    b'{"choices": {"0": 1}}',
    b'{"error": {}}',
    b'{"error": 5}',
    b'{"candidates": [[]]}',
    b'{"message": []}',
    b'{"delta": 1}',
)


def mutated_json(text: bytes, chance: random.Random) -> bytes:
    """A JSON text with some of its values changed; what is no JSON is given back as it is."""
    try:
        value = json.loads(text)
        if not isinstance(value, dict | list):
            return text
        for _ in range(chance.randint(1, 3)):
            places = list(_places_in(value))
            if not places:
                break
            container, key = chance.choice(places)
            _change(container, key, chance)
        return _written(value).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return text  # what is no JSON any more, or too deep for Python, is odd enough


_Container = MutableMapping[str, object] | MutableSequence[object]


def _places_in(value: object) -> Iterator[tuple[_Container, str | int]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield value, key
            yield from _places_in(item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value, index
            yield from _places_in(item)


def _change(container: _Container, key: str | int, chance: random.Random) -> None:
    # A place is a key of the mapping or an index of the list that it comes with.
    place = cast("MutableMapping[str | int, object]", container)
    kind = chance.randrange(8)
    if kind == 0:
        del place[key]
    elif kind == 1 and isinstance(key, str):
        place[chance.choice(("", "error", "type", "text", key.upper(), key + "s"))] = place.pop(key)
    elif kind == 2:
        place[key] = [place[key]]
    elif kind == 3:
        place[key] = {"a": place[key]}
    elif kind == 4 and isinstance(place[key], str):
        place[key] = chance.choice(ODD_TEXTS)
    else:
        place[key] = deepcopy(chance.choice(ODD_VALUES))  # or the next change would be made to all of them


def _written(value: object) -> str:
    """The value as JSON text, with raw pieces as they are."""
    if isinstance(value, _Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def events_of(specimen: Specimen) -> list[bytes]:
    """The JSON texts of a stream's events."""
    if specimen.media_type == NDJSON:
        return specimen.body.splitlines()
    lines = specimen.body.replace(b"\r\n", b"\n").split(b"\n")
    return [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]


def _framed(event: bytes, specimen: Specimen) -> bytes:
    return b"data: " + event + b"\n\n" if specimen.media_type == SSE else event + b"\n"


_KINDS: Final[Sequence[Callable[[Specimen, random.Random], bytes]]] = (
    mutated_stream,
    mutated_stream,
    lambda specimen, chance: mutated_bytes(specimen.body, chance),
)


def mutated(specimen: Specimen, chance: random.Random) -> Received:
    """One answer gone wrong, cut into a few pieces, ended properly or not."""
    if specimen.media_type in (SSE, NDJSON):
        body = chance.choice(_KINDS)(specimen, chance)
    elif chance.random() < 0.7:
        body = mutated_json(specimen.body, chance)
    else:
        body = mutated_bytes(specimen.body, chance)
    at = chance.randrange(len(body) + 1)
    headers = dict(headers_of(specimen))
    if chance.random() < 0.05:
        headers["content-type"] = chance.choice(("text/html", "application/json", "", "text/event-stream", "\ufffd"))
    return Received([body[:at], body[at:]], headers=headers, is_broken=chance.random() < 0.05)


# --- answers that refuse ---------------------------------------------------------------------------------------------

REFUSALS: Final[Sequence[JsonValue]] = (
    {"error": {"message": "No.", "type": "requests", "code": "rate_limit_exceeded", "param": None}},
    {"type": "error", "error": {"type": "rate_limit_error", "message": "No."}, "request_id": "req_1"},
    {
        "type": "error",
        "error": {"type": "x", "message": "No.", "details": {"error_code": "enforced_spend_limit_reached"}},
    },
    {
        "error": {
            "code": 429,
            "message": "No.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "x/google.rpc.RetryInfo", "retryDelay": "46s"},
                {"@type": "x/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay", "quotaValue": "0"}]},
                {"@type": "x/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "metadata": {"service": "x"}},
            ],
        }
    },
    {"error": "model requires more system memory (5.0 GiB) than is available (3.9 GiB)"},
    {"detail": [{"loc": ["body"], "msg": "no", "type": "value_error"}]},
    {"message": "No.", "code": "1300", "type": "invalid_request_error"},
    [{"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}],
)
"""Error bodies as providers send them."""

ODD_WAITS: Final = (
    "0",
    "1",
    "2.5",
    "-5",
    "+3",
    "inf",
    "-inf",
    "nan",
    "NaN",
    "1e400",
    "1e-400",
    "1_000",
    " 7 ",
    "7s",
    "0x10",
    "",
    " ",
    "\x00",
    "3600",
    "99999999999999999999",
    "9" * 400,
    "Fri, 99 Foo",
    "Fri, 31 Dec 2099 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "Fri, 31 Dec 2099 23:59:59 +9999",
    "Fri, 31 Dec 2099 23:59:59 -2400",
    "Fri, 31 Dec 2099 24:61:61 GMT",
    "Fri, 00 Jan 0000 00:00:00 GMT",
    "2026-01-01T00:00:00Z",
    "٣",
    "²",
    "½",
    "1,5",
    "2, 3",
    "Fri",
    "(((((",
    "((((" * 2_000,
    "\ud800",
    "😀",
    "null",
    "true",
    "1e3",
    ".5",
    "5.",
    "--5",
    "1 2 3 4 5 6 7",
    "Fri, 31 Dec 2099 23:59:59 GMT" + " x" * 5_000,
    "31 Dec 2099 23:59 99999999999999999999999999",
    "Fri, 31 Dec -2099 23:59:59 GMT",
    "Fri, 31 Dec 2099 23:59:59 +99999999999999999999",
)
"""What stands in `retry-after` and its kin."""

_WAIT_HEADERS: Final = ("retry-after", "retry-after-ms", "date")
_ODD_HEADERS: Final = ("x-should-retry", "request-id", "x-request-id", "content-type")
_STATUSES: Final = (
    100,
    101,
    199,
    201,
    204,
    206,
    300,
    301,
    304,
    307,
    399,
    400,
    401,
    402,
    403,
    404,
    405,
    408,
    409,
    413,
    418,
    422,
    425,
    429,
    431,
    451,
    499,
    500,
    501,
    502,
    503,
    504,
    505,
    508,
    511,
    520,
    524,
    529,
    530,
    599,
    600,
    999,
    0,
    -1,
    200,
    200,
)


def mutated_refusal(specimen: Specimen, chance: random.Random) -> Received:
    """An answer that refuses, with a body and headers that are more or less as they should be."""
    body = json.dumps(chance.choice(REFUSALS)).encode()
    kind = chance.randrange(4)
    if kind == 0:
        body = mutated_bytes(body, chance)
    elif kind == 1:
        body = chance.choice(ODD_BYTES) * chance.randint(0, 3)
    elif kind == 2:
        for _ in range(chance.randint(1, 3)):
            body = mutated_json(body, chance)
    headers = {"content-type": chance.choice(("application/json", specimen.media_type, "text/html", ""))}
    for name in _WAIT_HEADERS:
        if chance.random() < 0.5:
            headers[name] = chance.choice(ODD_WAITS)
    for name in _ODD_HEADERS:
        if chance.random() < 0.2:
            headers[name] = chance.choice(("true", "false", "", "x" * 5_000, "\x00", "é", "\ufffd", "req_1"))
    return Received([body], status=chance.choice(_STATUSES), headers=headers)
