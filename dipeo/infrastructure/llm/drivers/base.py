"""What all adapters share: one exchange on a wire, its errors, and its stream."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import ClassVar, Final, TypeVar

from dipeo.domain.completion import Adaptation, Completion, CompletionRequest
from dipeo.domain.errors import DipeoError, EmptyResponseError, IncompleteStreamError, MalformedResponseError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.domain.tools import NO_TOOLS, SchemaMode
from dipeo.domain.unchecked import unchecked_from
from dipeo.domain.usage import UNREPORTED_USAGE
from dipeo.infrastructure.llm.drivers.answer import MOST_TOKENS, Answer, EncodedRequest, StreamDecoder, with_own_ids
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.provider_errors import CodeTable, Refusal, conceal, error_from, read_refusal
from dipeo.infrastructure.llm.drivers.schema_request import (
    answer_of_tool,
    check_tooling,
    delta_of_tool,
    with_schema_asked,
)
from dipeo.infrastructure.llm.drivers.wire import END_OF_STREAM, Wire, WireReply, WireRequest, WireStream

DRAIN_TIMEOUT_S: Final = 0.25
"""How long a finished stream may take to close properly, so that its connection can serve the next request."""

_T = TypeVar("_T")

_new_completion: Final = unchecked_from(
    Completion, Answer, "service", "model", "parts", "usage", "request_id", "adaptations", "schema_mode", "notes", "raw"
)

_NOTHING: Final = TextDelta("")

_BY_TOOL: Final = SchemaMode.TOOL
"""Held by a name of its own: every call compares with it, and looking it up in its class takes as long as a call."""

WireOpener = Callable[[Endpoint, Mapping[str, str]], Wire]
"""Opens a wire to an endpoint, with the headers that carry the key."""


class BaseLLMAdapter(ChatModelPort, ABC):
    """Encodes, exchanges once, decodes, and translates errors; a vendor adds its dialect in the abstract methods.

    The wire is opened at the first call. An adapter belongs to the event loop of that call.
    """

    error_codes: ClassVar[CodeTable] = {}
    """The vendor's own error codes; statuses and common codes need no entry."""

    request_id_headers: ClassVar[tuple[str, ...]] = ("x-request-id", "request-id")

    def __init__(self, endpoint: Endpoint, open_wire: WireOpener) -> None:
        self._endpoint = endpoint
        self._open_wire = open_wire
        self._wire: Wire | None = None

    # --- the dialect -------------------------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        """The request in the vendor's words. Raises `InvalidRequestError` for what cannot be said in them."""

    @abstractmethod
    def decode(self, body: JsonObject) -> Answer:
        """The answer in a unary reply. Raises `MalformedResponseError` or `EmptyResponseError`."""

    @abstractmethod
    def stream_decoder(self) -> StreamDecoder:
        """A fresh decoder for one stream."""

    @abstractmethod
    def credentials(self) -> Mapping[str, str]:
        """The headers that carry the endpoint's key."""

    @abstractmethod
    def capabilities(self, model: str) -> ModelCapabilities:
        """What the model takes."""

    def refusal_in(self, body: JsonValue) -> Refusal:
        """What an error body says; a vendor with a shape of its own overrides this."""
        return read_refusal(body)

    def as_taken(self, request: CompletionRequest) -> tuple[CompletionRequest, SchemaMode | None]:
        """The request as the model takes it, and how an answer of a given shape is asked for.

        Not every request comes here: one without tools and without a shape is taken as it is.

        Raises `UnsupportedParameterError` for tools that the model does not take.
        """
        tooling, schema = request.tooling, request.response_schema
        if tooling is NO_TOOLS and schema is None:
            return request, None
        capabilities = self.capabilities(request.model)
        check_tooling(request, capabilities)
        return (request, None) if schema is None else with_schema_asked(request, schema, capabilities)

    # --- the exchange ------------------------------------------------------------------------------------------------

    async def complete(self, request: CompletionRequest) -> Completion:
        asked, schema_mode = request, None
        if request.tooling is not NO_TOOLS or request.response_schema is not None:
            asked, schema_mode = self.as_taken(request)
        exchange, adaptations = self.encode(asked, is_stream=False)
        reply: WireReply | None = None
        try:
            sending = (self._wire or self.wire).send(exchange)
            # An answer may take minutes: what was sent, which is as long as the conversation, is not kept meanwhile.
            del exchange
            reply = await sending
            body = reply.json
            if not isinstance(body, dict) or not 200 <= reply.status < 300 or body.get("error"):
                raise self._refused(reply)
            answer = self.decode(body)
            if schema_mode is _BY_TOOL:
                answer = answer_of_tool(answer, asked)
            return self._completion(answer, request, adaptations, reply.headers, schema_mode, body)
        except DipeoError as error:
            raise self._with_facts(error, request, reply.headers if reply else {}) from None

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def exchange(
        self, request: CompletionRequest, exchange: WireRequest, decode: Callable[[JsonValue], _T]
    ) -> tuple[_T, str | None]:
        """Another exchange than a completion, such as embedding: what `decode` makes of its JSON, and its request id.

        Raises what `complete()` raises where the provider refuses or its answer cannot be read.
        """
        reply: WireReply | None = None
        try:
            reply = await self.wire.send(exchange)
            body = reply.json
            if not 200 <= reply.status < 300 or (isinstance(body, dict) and body.get("error")):
                raise self._error(reply)
            if body is None:
                raise MalformedResponseError(
                    "The provider's answer is no JSON.", sample=reply.sample, is_lasting=_is_lasting(reply)
                )
            return decode(body), self._request_id(reply.headers)
        except DipeoError as error:
            raise self._with_facts(error, request, reply.headers if reply else {}) from None

    @property
    def wire(self) -> Wire:
        """The wire, opened when first asked for."""
        if self._wire is None:
            self._wire = self._open_wire(self._endpoint, self.credentials())
        return self._wire

    async def aclose(self) -> None:
        """Closes the wire."""
        if self._wire is not None:
            await self._wire.aclose()

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        asked, schema_mode = self.as_taken(request)
        exchange, adaptations = self.encode(asked, is_stream=True)
        decoder = self.stream_decoder()
        try:
            upstream = await self.wire.stream(exchange)
        except DipeoError as error:
            raise self._with_facts(error, request, {}) from None
        text: list[str] = []
        is_silent = True
        events = upstream.events()
        try:
            await self._check_accepted(upstream)
            async for event in events:
                is_silent = False
                for decoded in self._decode_event(event, decoder, upstream):
                    if schema_mode is _BY_TOOL:
                        decoded = delta_of_tool(decoded, asked)  # noqa: PLW2901  # read as what it stands for
                        if decoded == _NOTHING:
                            continue  # a call is announced before its arguments come
                    if isinstance(decoded, TextDelta):
                        text.append(decoded.text)
                    yield decoded
                if decoder.is_done:
                    break
            if not decoder.is_complete:
                raise EmptyResponseError("The stream held no event.") if is_silent else IncompleteStreamError()
            answer = decoder.answer()
            if schema_mode is _BY_TOOL:
                answer = answer_of_tool(answer, asked)
            yield CompletionEnd(self._completion(answer, request, adaptations, upstream.headers, schema_mode))
        except DipeoError as error:
            raise self._with_facts(_broken_off(error, "".join(text)), request, upstream.headers) from None
        finally:
            await events.aclose()
            await _close(upstream, drain_s=_drain_s(request) if decoder.is_done else 0.0)

    def _decode_event(
        self, event: JsonValue, decoder: StreamDecoder, upstream: WireStream
    ) -> Sequence[CompletionEvent]:
        if isinstance(event, dict):
            if event.get("error"):
                raise self._error(WireReply(status=upstream.status, headers=upstream.headers, json=event))
            return decoder.feed(event)
        if event != END_OF_STREAM:
            raise MalformedResponseError("The stream holds an event that is no JSON object.")
        decoder.end()
        return ()

    # --- what replies say --------------------------------------------------------------------------------------------

    def _refused(self, reply: WireReply) -> DipeoError:
        """The error for a reply that is no answer."""
        if 200 <= reply.status < 300 and not isinstance(reply.json, dict):
            return MalformedResponseError(
                "The provider's answer is no JSON object.", sample=reply.sample, is_lasting=_is_lasting(reply)
            )
        return self._error(reply)

    async def _check_accepted(self, upstream: WireStream) -> None:
        media_type = upstream.headers.get("content-type", "").lower()
        if not 200 <= upstream.status < 300:
            raise self._error(await upstream.reply())
        if media_type.startswith("text/html"):
            raise MalformedResponseError("The provider answered with a web page instead of a stream.", is_lasting=True)
        if media_type.startswith("application/json"):
            reply = await upstream.reply()
            if isinstance(reply.json, dict) and reply.json.get("error"):
                raise self._error(reply)
            raise MalformedResponseError("The provider answered with one JSON text instead of a stream.")

    def _error(self, reply: WireReply) -> DipeoError:
        return error_from(reply, self.refusal_in(reply.json), self.error_codes, key=self._endpoint.key)

    def _with_facts(self, error: DipeoError, request: CompletionRequest, headers: Mapping[str, str]) -> DipeoError:
        error.provider = error.provider or self._endpoint.service.value
        error.model = error.model or request.model
        error.request_id = error.request_id or self._request_id(headers)
        conceal(error, self._endpoint.key)
        return error

    def _request_id(self, headers: Mapping[str, str]) -> str | None:
        for name in self.request_id_headers:
            if (said := headers.get(name)) is not None:
                key = self._endpoint.key
                # Looked for as it is alone: every call takes this way.
                return said if key is None or key.reveal() not in said else key.redact(said)
        return None

    def _completion(
        self,
        answer: Answer,
        request: CompletionRequest,
        adaptations: tuple[Adaptation, ...],
        headers: Mapping[str, str],
        schema_mode: SchemaMode | None,
        raw: JsonObject | None = None,
    ) -> Completion:
        usage = answer.usage
        if not 0 < usage.input_tokens + usage.output_tokens <= MOST_TOKENS:
            # It cannot be true: an answer that used nothing would be free, and none uses so much.
            usage = UNREPORTED_USAGE
        return _new_completion(
            answer,
            request.service,
            answer.model or request.model,
            answer.parts if len(answer.parts) < 2 else with_own_ids(answer.parts),
            usage,
            self._request_id(headers),
            adaptations,
            schema_mode,
            request.notes,
            raw,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._endpoint.base_url}>"


def _broken_off(error: DipeoError, text: str) -> DipeoError:
    """The error as it is while nothing was delivered; afterwards, a stream that broke off, with what had come."""
    if not text:
        return error
    return IncompleteStreamError(
        f"The stream broke off after {len(text)} characters: {error.message}",
        status=error.status,
        provider_code=error.provider_code,
        request_id=error.request_id,
        retry_after_s=error.retry_after_s,
        partial_text=text,
        cause=error.verdict.value if error.verdict else error.code,
    )


def _is_lasting(reply: WireReply) -> bool:
    """Whether the body is no JSON from its beginning on, rather than the first part of some."""
    return bool(reply.sample) and not reply.is_cut_off


def _drain_s(request: CompletionRequest) -> float:
    """How long a finished stream may take to end: never beyond the call's deadline."""
    if request.deadline_at_s is None:
        return DRAIN_TIMEOUT_S
    # The loop's clock is the one that the time-out below runs on.
    return min(DRAIN_TIMEOUT_S, request.deadline_at_s - asyncio.get_running_loop().time())


async def _close(upstream: WireStream, *, drain_s: float) -> None:
    """Closes at once what broke off, and lets what has ended run out, so that its connection can be used again."""
    try:
        if drain_s > 0:
            async with asyncio.timeout(drain_s):
                await upstream.drain()
    except (TimeoutError, DipeoError):
        pass  # The answer is whole; a connection that does not end properly is closed below and not used again.
    finally:
        await upstream.aclose()
