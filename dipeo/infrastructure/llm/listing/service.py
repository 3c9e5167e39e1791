"""Asks services for their models, over the wire and with the key of their adapters."""

import os
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from attrs import field, frozen

from dipeo.domain.catalog import ModelFacts
from dipeo.domain.checks import check_identifier, check_number
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import DipeoError, MalformedResponseError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.listing import ModelListPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream
from dipeo.infrastructure.llm.drivers.lending import borrowed, no_stream
from dipeo.infrastructure.llm.drivers.options import MAX_TIMEOUT_S
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.infrastructure.llm.listing.reading import next_page, read_models

MAX_PAGES: Final = 50
ANTHROPIC_VERSION: Final = "2026-10-21"

_USUAL_PATH: Final = "/models"
_PATHS: Final[Mapping[LLMService, str]] = {
    # These two give their lists in small pages unless they are asked for large ones.
    LLMService.ANTHROPIC: "/v1/models?limit=1000",
    LLMService.GOOGLE: "/v1beta/models?pageSize=1000",
    LLMService.OLLAMA: "/api/tags",
}
_NEXT_PAGE: Final[Mapping[LLMService, str]] = {LLMService.ANTHROPIC: "after_id", LLMService.GOOGLE: "pageToken"}
_HEADERS: Final[Mapping[LLMService, Mapping[str, str]]] = {
    LLMService.ANTHROPIC: {"anthropic-version": ANTHROPIC_VERSION}
}

# On its way through the stations a question for a list is shaped like a completion's, which names a model.
_NO_MODEL: Final = "(list of models)"
_NO_QUESTION: Final = (ChatMessage(Role.USER, ()),)


@frozen(kw_only=True)
class _Listed(Completion):
    models: tuple[ModelFacts, ...] = field(repr=False)


class ListingModel(ChatModelPort):
    """Fetches all pages of a service's list, as one attempt."""

    def __init__(self, pool: ChatModelPort) -> None:
        self._pool = pool

    async def complete(self, request: CompletionRequest) -> Completion:
        service = request.service
        found: dict[str, ModelFacts] = {}
        request_id: str | None = None
        page: str | None = None
        async with borrowed(self._pool, request) as adapter:
            for _ in range(MAX_PAGES):
                (models, page), request_id = await adapter.exchange(
                    request, page_request(service, page), lambda body: _page(body, service)
                )
                found.update((facts.model, facts) for facts in models)
                if page is None:
                    break
            else:
                raise MalformedResponseError(f"The provider's list has more than {MAX_PAGES} pages.")
        return _Listed(
            service=service,
            model=request.model,
            parts=(),
            finish_reason=FinishReason.STOP,
            request_id=request_id,
            models=tuple(found[name] for name in sorted(found)),
        )

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return no_stream("Lists of models do")


def page_request(service: LLMService, page: str | None = None) -> WireRequest:
    """The request for the first page of a service's list, or for the page that this word stands for."""
    path = _PATHS.get(service, _USUAL_PATH)
    if page is not None:
        path = f"{path}&{_NEXT_PAGE[service]}={quote(page, safe='')}"
    return WireRequest(method="GET", path=path, body={}, headers=_HEADERS.get(service, {}))


def _page(body: JsonValue, service: LLMService) -> tuple[tuple[ModelFacts, ...], str | None]:
    return read_models(body, service=service), next_page(body, service=service)


class ProviderModelLists(ModelListPort):
    """Lists models by asking the services; retried within the deadline, and not recorded, for it costs nothing."""

    def __init__(self, model: ChatModelPort, *, clock: ClockPort, timeout_s: float, max_attempts: int) -> None:
        self._model = model
        self._clock = clock
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts

    async def list_models(
        self,
        service: LLMService | str,
        *,
        api_key_id: str | None = None,
        base_url: str | None = None,
        timeout_s: float | None = None,
    ) -> Sequence[ModelFacts]:
        within_s = self._timeout_s if timeout_s is None else timeout_s
        check_number("timeout_s", within_s, minimum=0.001, maximum=MAX_TIMEOUT_S)
        request = CompletionRequest(
            service=LLMService.from_name(service),
            model=_NO_MODEL,
            messages=_NO_QUESTION,
            api_key_id=None if api_key_id is None else check_identifier("api_key_id", api_key_id),
            base_url=None if base_url is None else check_identifier("base_url", base_url),
            call_id=os.urandom(16).hex(),
            deadline_at_s=self._clock.monotonic_s() + within_s,
            max_attempts=self._max_attempts,
        )
        try:
            listed = await self._model.complete(request)
        except DipeoError as error:
            if error.model == _NO_MODEL:
                error.model = None
            raise
        if not isinstance(listed, _Listed):
            raise TypeError(f"A model that lists answered with {type(listed).__name__}.")
        return listed.models
