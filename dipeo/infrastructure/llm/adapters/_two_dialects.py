"""A service that speaks chat completions, and OpenAI's responses as a second dialect."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING

from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.stream import CompletionStream
from dipeo.domain.tools import NO_TOOLS
from dipeo.infrastructure.llm.adapters._responses_dialect import (
    RESPONSES_DIALECTS,
    ResponsesDialect,
    has_responses_alone,
)
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter, WireOpener
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint

if TYPE_CHECKING:
    from dipeo.infrastructure.llm.adapters._responses import ResponsesAdapter


class TwoDialectAdapter(BaseLLMAdapter):
    """Speaks chat completions itself, and responses through a second adapter on the same wire.

    Responses are spoken where they are preferred, where the model has no other interface, where a request goes on from
    an earlier answer, and where it asks for a tool of the provider's that chat completions do not have.
    """

    def __init__(self, endpoint: Endpoint, open_wire: WireOpener, *, prefers_responses: bool = False) -> None:
        super().__init__(endpoint, open_wire)
        self._prefers_responses = prefers_responses
        self._dialect = RESPONSES_DIALECTS.get(endpoint.service)
        self._second: ResponsesAdapter | None = None

    def complete(self, request: CompletionRequest) -> Coroutine[object, object, Completion]:
        # Not async itself, so that a waiting call takes no more memory for it. And super() would take longer than all
        # the rest of it.
        second = self._second_for(request)
        return BaseLLMAdapter.complete(self, request) if second is None else second.complete(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        if (second := self._second_for(request)) is not None:
            return second.stream(request)
        return super().stream(request)

    def over_responses(self, model: str) -> "ResponsesAdapter | None":
        """The adapter that speaks responses; None where the service, or this model, cannot be asked that way."""
        dialect = self._dialect
        if dialect is None or dialect.has_chat_alone.match(model):
            return None
        return self._speaking(dialect)

    def _second_for(self, request: CompletionRequest) -> "ResponsesAdapter | None":
        dialect = self._dialect
        if dialect is None:
            return None
        if (
            request.previous_response_id is not None
            or has_responses_alone(dialect, request.model)
            or (self._prefers_responses and not dialect.has_chat_alone.match(request.model))
            or (request.tooling is not NO_TOOLS and self._asks_for_more(request, dialect))
        ):
            return self._speaking(dialect)
        return None

    def _speaking(self, dialect: ResponsesDialect) -> "ResponsesAdapter":
        if self._second is None:
            # Most programs never speak it: four modules less to load, and to keep.
            from dipeo.infrastructure.llm.adapters._responses import ResponsesAdapter

            self._second = ResponsesAdapter(self._endpoint, self, dialect)
        return self._second

    def _asks_for_more(self, request: CompletionRequest, dialect: ResponsesDialect) -> bool:
        """Whether a tool of the provider's is asked for that only responses have."""
        wanted = set(request.tooling.provider_tools)
        more = wanted - self.capabilities(request.model).provider_tools
        return bool(more) and more <= dialect.provider_tools and not dialect.has_chat_alone.match(request.model)
