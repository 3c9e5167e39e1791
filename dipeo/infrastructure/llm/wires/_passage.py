"""An exchange that passes beneath an official client: it makes the request, the body and the answer are ours.

Some clients have no method that takes a body as it is, or that gives an answer as it came. The method that they have is
called all the same, for its address, its headers and its connections. The transport below puts our body in place of the
client's and keeps the answer instead of handing it up.
"""

from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from typing import Final

import orjson
from attrs import define

from dipeo.domain.errors import ConfigurationError
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.wires._httpx_reply import HttpxResponse

# They belong to the body that is replaced; the HTTP package writes them anew.
_OF_THE_BODY: Final = frozenset({"content-length", "transfer-encoding", "content-type"})


class AnswerKeptError(Exception):
    """Ends the client's method, which has nothing to read: the answer is kept. It never leaves this layer."""


@define
class Passage:
    """What passes: our request, and once it was made the answer, its body unread."""

    exchange: WireRequest
    answer: HttpxResponse | None = None

    def content(self) -> bytes:
        """The body in place of the client's; none for a request that has none."""
        return b"" if self.exchange.method == "GET" else bytes(memoryview(orjson.dumps(self.exchange.body)))

    def headers(self, of_client: Mapping[str, str]) -> dict[str, str]:
        """The client's headers and over them the exchange's own."""
        kept = {name: value for name, value in of_client.items() if name.lower() not in _OF_THE_BODY}
        said = {} if self.exchange.method == "GET" else {"content-type": "application/json"}
        return {**kept, **said, **{name.lower(): value for name, value in self.exchange.headers.items()}}

    def keep(self, answer: HttpxResponse) -> AnswerKeptError:
        """Keeps the answer, and gives what the transport is to raise."""
        self.answer = answer
        return AnswerKeptError()

    def check_first(self) -> None:
        """Raises `AnswerKeptError` where there is an answer already: nothing is sent twice."""
        if self.answer is not None:
            raise AnswerKeptError


def passage_here() -> Passage | None:
    """What passes in this task, if anything does."""
    return _PASSAGE.get(None)


async def answer_beneath(call: Awaitable[object], exchange: WireRequest) -> HttpxResponse:
    """The answer to the request that a client's method makes, whatever its status, its body unread.

    Raises what the client raises before there is an answer, and `ConfigurationError` where it asks for none.
    """
    passage = Passage(exchange)
    token = _PASSAGE.set(passage)
    try:
        await call
    except AnswerKeptError:
        pass
    finally:
        _PASSAGE.reset(token)
    if passage.answer is None:
        raise ConfigurationError(
            "The provider's client made no request.", field="wire", suggestion="Use the wire 'http'."
        )
    return passage.answer


_PASSAGE: ContextVar[Passage] = ContextVar("passage")
