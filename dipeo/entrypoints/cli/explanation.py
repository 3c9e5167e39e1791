"""What a command would send, said instead of sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from dipeo.domain.completion import Adaptation, Completion, CompletionRequest, FinishReason
from dipeo.domain.errors import ConfigurationError, MissingAPIKeyError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream
from dipeo.entrypoints.cli.completion_facts import adaptation_as_dict, adaptation_in_words
from dipeo.entrypoints.cli.output import warn, write, write_json
from dipeo.entrypoints.cli.service_choice import Backend, SimulatedKeys

if TYPE_CHECKING:
    from dipeo.domain.person import Person
    from dipeo.infrastructure.llm.drivers.answer import EncodedRequest
    from dipeo.infrastructure.llm.drivers.endpoint import Endpoint

Call = Callable[[LLMServicePort], Awaitable[Completion]]
"""Asks the service for one answer."""

_BYTES_PER_TOKEN: Final = 3
"""A careful estimate: few texts have more tokens than a third of their bytes."""

# What the wire adds to the headers of every request, beside the credentials.
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "dipeo"}


@frozen(kw_only=True)
class Explanation:
    """One request as it would be sent: where, and the JSON body; credentials are no part of it.

    `key_state` is `found`, `missing`, `made up` or `none needed`.
    """

    request: CompletionRequest
    is_stream: bool
    mode: str
    url: str
    headers: Mapping[str, str]
    body: JsonObject
    adaptations: tuple[Adaptation, ...]
    key_state: str
    key_fingerprint: str | None
    key_looked_for: str

    @property
    def estimated_input_tokens(self) -> int:
        """A third of the bytes of all messages in UTF-8, rounded up."""
        size = sum(len(message.text.encode()) for message in self.request.messages)
        return -(-size // _BYTES_PER_TOKEN)

    def to_dict(self) -> dict[str, object]:
        """The explanation as JSON values."""
        return {
            "person_id": self.request.person_id,
            "service": self.request.service.value,
            "mode": self.mode,
            "model": self.request.model,
            "fallbacks": [
                {"service": target.service.value, "model": target.model} for target in self.request.fallbacks
            ],
            "method": "POST",
            "url": self.url,
            "headers": dict(self.headers),
            "body": self.body,
            "is_stream": self.is_stream,
            "estimated_input_tokens": self.estimated_input_tokens,
            "key": self.key_state,
            "key_fingerprint": self.key_fingerprint,
            "key_looked_for": self.key_looked_for,
            "adaptations": [adaptation_as_dict(adaptation) for adaptation in self.adaptations],
            "notes": list(self.request.notes),
        }

    def lines(self) -> list[str]:
        """The explanation for people."""
        request = self.request
        key = f"{self.key_state} ({self.key_fingerprint})" if self.key_fingerprint else self.key_state
        if self.key_state == "missing":
            key = f"missing, looked for: {self.key_looked_for}"
        return [
            *([f"Person: {request.person_id}"] if request.person_id else []),
            f"Service: {request.service.value} ({self.mode})",
            f"Model: {request.model}",
            *(f"Fallback: {target.model} on {target.service.value}" for target in request.fallbacks),
            f"Request: POST {self.url}",
            f"Key: {key}",
            *(f"Header: {name}: {value}" for name, value in self.headers.items()),
            f"Input: about {self.estimated_input_tokens:,} tokens (estimated)",
            *(f"Adaptation: {adaptation_in_words(adaptation)}" for adaptation in self.adaptations),
            *(f"Note: {note}" for note in request.notes),
            "Body:",
            json.dumps(self.body, ensure_ascii=False, indent=2),
        ]


class CapturingModel(ChatModelPort):
    """Keeps the requests it is asked in `requests`, and answers nothing."""

    def __init__(self) -> None:
        self.requests: list[CompletionRequest] = []

    async def complete(self, request: CompletionRequest) -> Completion:
        self.requests.append(request)
        return _nothing_said(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        self.requests.append(request)
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        yield CompletionEnd(_nothing_said(request))


def request_of(backend: Backend, call: Call) -> CompletionRequest:
    """The request that this call comes to. Raises what the call would raise before anything is sent."""
    return asyncio.run(_captured(backend, call))


def request_of_person(backend: Backend, person: "Person") -> CompletionRequest:
    """The request that the person's next turn comes to: what they remember. Raises as `request_of()` does."""
    remembered = backend.container().context().prepare(person)
    return request_of(backend, lambda llm: llm.complete_with_person(remembered, person.id, person.llm_config))


def explain(backend: Backend, request: CompletionRequest, *, is_stream: bool = True) -> Explanation:
    """The request in the provider's words. No key is needed, and nothing is sent.

    Raises what keeps it from being sent, other than a missing key: an address that cannot be used, a malformed key, or
    with `strict` what the model does not take.
    """
    endpoint, key_state = _endpoint(backend, request)
    exchange, adaptations = _encoded(backend, endpoint, request, is_stream=is_stream)
    is_shown = key_state in ("found", "made up")
    return Explanation(
        request=request,
        is_stream=is_stream,
        mode=backend.mode_of(request.service),
        url=endpoint.base_url + exchange.path,
        headers={**_HEADERS, **exchange.headers},
        body=exchange.body,
        adaptations=adaptations,
        key_state=key_state,
        key_fingerprint=_fingerprint(endpoint.key) if is_shown else None,
        key_looked_for=backend.keys.where(request.service, request.api_key_id),
    )


def show_explanations(backend: Backend, explanations: Sequence[Explanation], *, as_json: bool) -> None:
    """Writes what would be sent, and says that it was not."""
    opening = backend.opening(explanation.request.service for explanation in explanations)
    if opening:
        warn(opening)
    if as_json:
        write_json({"is_sent": False, "requests": [explanation.to_dict() for explanation in explanations]})
        return
    write("\n\n".join("\n".join(explanation.lines()) for explanation in explanations) + "\n")
    warn("Nothing was sent.")


async def _captured(backend: Backend, call: Call) -> CompletionRequest:
    from dipeo.facade import connect

    capturing = CapturingModel()
    async with connect(backend.settings, keys=backend.keys, model=capturing) as llm:
        await call(llm)
    return capturing.requests[-1]


def _endpoint(backend: Backend, request: CompletionRequest) -> "tuple[Endpoint, str]":
    from dipeo.facade import wired

    try:
        endpoint = backend.container().endpoints().find(request)
    except MissingAPIKeyError:
        # A made-up key leads to the address as a real one would, by the same checks.
        keys = SimulatedKeys(backend.keys, frozenset(LLMService))
        return wired(backend.settings, keys=keys).endpoints().find(request), "missing"
    if endpoint.key is None:
        return endpoint, "none needed"
    return endpoint, "made up" if request.service in backend.simulated else "found"


def _encoded(
    backend: Backend, endpoint: "Endpoint", request: CompletionRequest, *, is_stream: bool
) -> "EncodedRequest":
    from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter

    adapter = backend.container().builders()[request.service](endpoint)
    if not isinstance(adapter, BaseLLMAdapter):
        raise ConfigurationError(f"The adapter for {request.service.value!r} does not say what it sends.")
    asked, _ = adapter.as_taken(request)
    return adapter.encode(asked, is_stream=is_stream)


def _fingerprint(key: Secret | None) -> str | None:
    return key.fingerprint if key else None


def _nothing_said(request: CompletionRequest) -> Completion:
    return Completion(service=request.service, model=request.model, parts=(), finish_reason=FinishReason.STOP)
