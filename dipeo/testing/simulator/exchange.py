"""What the server and the dialects say to each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import attrs

from dipeo.testing.simulator.json_value import JsonObject, JsonValue
from dipeo.testing.simulator.reply_parts import SimulatedCitation, SimulatedProviderTool
from dipeo.testing.simulator.request_log import SimulatedMessage
from dipeo.testing.simulator.wishes import NO_WISHES, Wishes

# Answers carry a made-up clock, so that the same calls give the same bytes: 2026-11-18 in seconds since 1970.
EPOCH_S = 1_795_000_000


@attrs.frozen(slots=True, kw_only=True)
class Incoming:
    """One HTTP request; header names are lower case, `path` begins after the service's own prefix."""

    number: int
    seed: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def token(self, label: str, length: int) -> str:
        """Letters and digits for an id, the same for the same seed, request number and label."""
        digest = hashlib.shake_256(f"{self.seed}|{self.number}|{label}".encode()).digest(length)
        alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        return "".join(alphabet[byte % len(alphabet)] for byte in digest)

    def hex_token(self, label: str, length: int) -> str:
        """Hexadecimal digits for an id, otherwise as `token`."""
        return hashlib.shake_256(f"{self.seed}|{self.number}|{label}".encode()).hexdigest(length)[:length]

    @property
    def created_s(self) -> int:
        """When this request is said to have been made, in seconds since 1970."""
        return EPOCH_S + self.number


@attrs.frozen(slots=True, kw_only=True)
class ParsedCall:
    """A request for a completion, as far as the simulator understands it."""

    incoming: Incoming
    model: str
    is_stream: bool
    messages: tuple[SimulatedMessage, ...]
    body: JsonObject
    max_output_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    wishes: Wishes = NO_WISHES


@attrs.frozen(slots=True, kw_only=True)
class AnsweredCall:
    """A tool call of an answer; `arguments` is None where `text` is no JSON object."""

    name: str
    id: str | None
    text: str
    pieces: tuple[str, ...]
    arguments: JsonObject | None


@attrs.frozen(slots=True, kw_only=True)
class Answer:
    """What a completion says, before a vendor words it.

    `finish` is one of stop, length, content_filter, tool_calls, stop_sequence, and the only one that names
    `stop_sequence`. `input_tokens` includes `cached_tokens` and `cache_write_tokens`; `output_tokens` includes
    `reasoning_tokens`. The parts come in this order: reasoning, provider tools, text, tool calls.
    """

    text: str
    pieces: tuple[str, ...]
    model: str
    finish: str
    stop_sequence: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cache_write_tokens: int = 0
    reasoning: str = ""
    reasoning_pieces: tuple[str, ...] = ()
    tool_calls: tuple[AnsweredCall, ...] = ()
    citations: tuple[SimulatedCitation, ...] = ()
    provider_tools: tuple[SimulatedProviderTool, ...] = ()
    refusal: str = ""


@attrs.frozen(slots=True, kw_only=True)
class Problem:
    """What a vendor complains about; None means the vendor's usual words for the status."""

    status: int
    message: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: str | None = None
    details: JsonValue = None


class RefusalError(Exception):
    """A request that the vendor would refuse."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def refuse(status: int, message: str, *, code: str | None = None, param: str | None = None) -> RefusalError:
    """A refusal in the given words."""
    return RefusalError(Problem(status=status, message=message, code=code, param=param))


@attrs.frozen(slots=True, kw_only=True)
class Document:
    """A whole body with its status and headers."""

    status: int = 200
    headers: Mapping[str, str]
    body: bytes


@attrs.frozen(slots=True, kw_only=True)
class StreamFrames:
    """A stream in pieces: the opening, one frame for each piece of the answer, the end with the terminal marker.

    A piece is a piece of text, of reasoning or of a call's arguments, with what has to come right before it.

    Where `is_last_piece_in_closing`, the vendor sends the last piece of text together with the marker: `closing` holds
    it, and a stream that is played to its end leaves the last of `pieces` out.
    """

    headers: Mapping[str, str]
    opening: tuple[bytes, ...]
    pieces: tuple[bytes, ...]
    closing: tuple[bytes, ...]
    is_last_piece_in_closing: bool = False


# Makes the answer once the credential was checked; raises RefusalError.
Errand: TypeAlias = Callable[[], Document]


class Dialect(Protocol):
    """One vendor's way to be asked and to answer."""

    @property
    def service(self) -> str:
        """The name under which the service is scripted and logged."""
        ...

    @property
    def sdk_suffix(self) -> str:
        """What the vendor's SDK wants after the service's prefix in its base URL."""
        ...

    def credential(self, incoming: Incoming) -> str | None:
        """The key or token in the request."""
        ...

    def check_credential(self, incoming: Incoming, credential: str | None) -> None:
        """Raise RefusalError for a missing or wrong credential."""
        ...

    def errand(self, incoming: Incoming) -> Errand | None:
        """What answers a request for anything but a completion, or None for an unknown path."""
        ...

    def is_completion(self, incoming: Incoming) -> bool:
        """Whether the path asks for a completion."""
        ...

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read a request for a completion; raises RefusalError as the vendor would."""
        ...

    def render(self, call: ParsedCall, answer: Answer) -> Document:
        """The whole answer."""
        ...

    def render_stream(self, call: ParsedCall, answer: Answer) -> StreamFrames:
        """The answer as a stream."""
        ...

    def render_problem(self, incoming: Incoming, problem: Problem) -> Document:
        """An error in the vendor's envelope."""
        ...

    def render_error_event(self, call: ParsedCall, problem: Problem) -> bytes:
        """An error inside a stream."""
        ...

    def unknown_path(self, incoming: Incoming) -> Problem:
        """What the vendor says to a path it does not know."""
        ...
