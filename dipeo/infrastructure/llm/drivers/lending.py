"""Borrows a vendor's adapter for exchanges that are no completions: embedding, listing models, counting tokens."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, TypeVar, runtime_checkable

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import ConfigurationError, UnsupportedParameterError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEvent, CompletionStream
from dipeo.domain.tools import SchemaMode
from dipeo.infrastructure.llm.drivers.answer import EncodedRequest
from dipeo.infrastructure.llm.drivers.factory import Adapter
from dipeo.infrastructure.llm.drivers.wire import WireRequest

_T = TypeVar("_T")


@runtime_checkable
class Lender(Protocol):
    """A pool that lends its adapters."""

    def lent(self, request: CompletionRequest) -> AbstractAsyncContextManager[Adapter]:
        """The adapter of a request's endpoint, for the length of a block."""
        ...


@runtime_checkable
class ExchangingAdapter(Protocol):
    """An adapter that makes other exchanges too, with its own key and its own reading of errors."""

    def as_taken(self, request: CompletionRequest) -> tuple[CompletionRequest, SchemaMode | None]:
        """A completion's request as the model takes it."""
        ...

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        """A completion's request in the vendor's words."""
        ...

    async def exchange(
        self, request: CompletionRequest, exchange: WireRequest, decode: Callable[[JsonValue], _T]
    ) -> tuple[_T, str | None]:
        """What `decode` makes of the reply's JSON, and the provider's request id."""
        ...


@asynccontextmanager
async def borrowed(pool: ChatModelPort, request: CompletionRequest) -> AsyncGenerator[ExchangingAdapter, None]:
    """The adapter of the request's endpoint. Raises `ConfigurationError` where there is none that can do this."""
    if not isinstance(pool, Lender):
        raise _refused(pool)
    async with pool.lent(request) as adapter:
        if not isinstance(adapter, ExchangingAdapter):
            raise _refused(adapter)
        yield adapter


def no_stream(subject: str) -> CompletionStream:
    """The stream of what never comes as one; it fails when its first event is asked for."""
    return CompletionStream(_refusing(f"{subject} not come as a stream."))


async def _refusing(message: str) -> AsyncGenerator[CompletionEvent, None]:
    for event in _NO_EVENTS:
        yield event
    raise UnsupportedParameterError(message, field="stream")


_NO_EVENTS: Final[tuple[CompletionEvent, ...]] = ()


def _refused(model: object) -> ConfigurationError:
    return ConfigurationError(
        f"{type(model).__name__} completes and does nothing else: it cannot embed, list models or count.",
        field="pool",
        suggestion="Leave dipeo's own pool in place, or put a part of your own in place of this one.",
    )
