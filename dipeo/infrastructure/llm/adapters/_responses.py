"""OpenAI's responses over the wire of an adapter that speaks chat completions."""

from collections.abc import Mapping, Sequence
from typing import Final

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import DipeoError, InvalidRequestError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.stream import CompletionEvent
from dipeo.infrastructure.llm.adapters._responses_dialect import ResponsesDialect
from dipeo.infrastructure.llm.adapters._responses_reply import decode_response
from dipeo.infrastructure.llm.adapters._responses_request import encode_request
from dipeo.infrastructure.llm.adapters._responses_stream import ResponsesStreamDecoder, failure_in
from dipeo.infrastructure.llm.drivers.answer import Answer, EncodedRequest, StreamDecoder
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.provider_errors import CodeTable, error_from
from dipeo.infrastructure.llm.drivers.wire import WireReply, WireStream

# Codes of failed responses and refused requests that chat completions do not have.
ERROR_CODES: Final[CodeTable] = dict.fromkeys(
    (
        "previous_response_not_found",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "misalignment_policy_violation",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "invalid_image_mode",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    ),
    InvalidRequestError,
)


class ResponsesAdapter(BaseLLMAdapter):
    """Speaks OpenAI's responses over the wire of another adapter, whose models and errors are the same."""

    def __init__(self, endpoint: Endpoint, first: BaseLLMAdapter, dialect: ResponsesDialect) -> None:
        super().__init__(endpoint, lambda _endpoint, _credentials: first.wire)
        self._first = first
        self._dialect = dialect
        self._codes = {**ERROR_CODES, **first.error_codes}

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, self._dialect, self.capabilities(request.model), is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_response(body, vendor=self._dialect.vendor)

    def stream_decoder(self) -> StreamDecoder:
        return ResponsesStreamDecoder(vendor=self._dialect.vendor)

    def credentials(self) -> Mapping[str, str]:
        return self._first.credentials()

    def capabilities(self, model: str) -> ModelCapabilities:
        return self._dialect.capabilities(model, self._first.capabilities(model))

    def _decode_event(
        self, event: JsonValue, decoder: StreamDecoder, upstream: WireStream
    ) -> Sequence[CompletionEvent]:
        if isinstance(event, dict) and (failure := failure_in(event)) is not None:
            raise self._error(WireReply(status=upstream.status, headers=upstream.headers, json=failure))
        return super()._decode_event(event, decoder, upstream)

    def _error(self, reply: WireReply) -> DipeoError:
        return error_from(reply, self._first.refusal_in(reply.json), self._codes, key=self._endpoint.key)
