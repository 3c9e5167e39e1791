"""What an adapter speaks over: a wire moves JSON to a provider and back, and nothing else.

The values here and in `answer.py` live within one call and are not frozen: a frozen class costs several times as much
to make, and every call makes four of them.
"""

from collections.abc import AsyncGenerator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from attrs import define, field

from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.unchecked import unchecked

END_OF_STREAM = "[DONE]"
"""What a wire yields for OpenAI's end marker, the one event of any provider that is not a JSON object."""


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Framing(Enum):
    """How a provider marks off the events of a stream."""

    SSE = "text/event-stream"
    NDJSON = "application/x-ndjson"


@define
class WireRequest:
    """One exchange: a path below the endpoint's base URL, headers without credentials, and a JSON body.

    A `GET` sends no body.
    """

    path: str
    body: JsonObject
    headers: Mapping[str, str] = _NO_HEADERS
    framing: Framing = Framing.SSE
    method: str = "POST"


new_exchange = unchecked(WireRequest)


@define
class WireReply:
    """An answer: HTTP status, headers (looked up by lower-case name), and the parsed JSON.

    `json` is None and `sample` holds the first 200 characters where the body is no JSON; `is_cut_off` says that it may
    have been the beginning of some.
    """

    status: int
    headers: Mapping[str, str]
    json: JsonValue
    sample: str = field(default="", repr=False)
    is_cut_off: bool = False


class WireStream(Protocol):
    """A streamed answer: status and headers are known, events are to come."""

    status: int
    headers: Mapping[str, str]

    def events(self) -> AsyncGenerator[JsonValue, None]:
        """The events, one parsed JSON value at a time; `END_OF_STREAM` for the one that is none."""
        ...

    async def reply(self) -> WireReply:
        """The whole body as one reply, for a status that says the request failed."""
        ...

    async def drain(self) -> None:
        """Reads what is left, which is nothing but the end of a stream whose last event was seen."""
        ...

    async def aclose(self) -> None:
        """Gives the connection back where all was read, and closes it where not."""
        ...


class Wire(Protocol):
    """Moves one exchange at a time.

    Raises `ConnectFailedError`, `ConnectionLostError`, `MalformedResponseError`, `DeadlineExceededError` or
    `ConfigurationError`, and no exception of the library underneath.
    """

    async def send(self, exchange: WireRequest) -> WireReply:
        """Sends and waits for the whole answer, whatever its status."""
        ...

    async def stream(self, exchange: WireRequest) -> WireStream:
        """Sends and returns once the status is known."""
        ...

    async def aclose(self) -> None:
        """Closes all connections. Closing twice does nothing."""
        ...
