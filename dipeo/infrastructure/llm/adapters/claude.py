"""Anthropic, over the messages interface.

Source of the shapes: Anthropic's API reference, "Messages" and "Streaming messages"; what changed with version
2026-10-21 stands in its guide to migrating.
"""

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    ModelNotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTooLargeError,
)
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.tools import SchemaMode
from dipeo.infrastructure.llm.adapters._claude_models import capabilities_of
from dipeo.infrastructure.llm.adapters._claude_reply import MessageStreamDecoder, decode_message
from dipeo.infrastructure.llm.adapters._claude_request import encode_request
from dipeo.infrastructure.llm.adapters._claude_schema import is_closable
from dipeo.infrastructure.llm.drivers.answer import Answer, EncodedRequest, StreamDecoder
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.provider_errors import (
    OUT_OF_CREDIT,
    TOO_LONG,
    CodeTable,
    Refusal,
    read_refusal,
    with_code_by_text,
)
from dipeo.infrastructure.llm.drivers.schema_request import check_tooling, with_schema_asked

ERROR_CODES: Final[CodeTable] = {
    "enforced_spend_limit_reached": QuotaExhaustedError,
    "contract_spend_limit_reached": QuotaExhaustedError,
    "linked_organization_spend_limit_reached": QuotaExhaustedError,
    "billing_error": QuotaExhaustedError,
    "rate_limit_error": RateLimitError,
    "overloaded_error": OverloadedError,
    "authentication_error": APIKeyRefusedError,
    "permission_error": AccessDeniedError,
    "not_found_error": ModelNotFoundError,
    "request_too_large": RequestTooLargeError,
    "request_body_too_large_after_decoding": RequestTooLargeError,
}

_CODES_BY_TEXT: Final = {
    "prompt is too long": TOO_LONG,
    "You have reached your specified API usage limits": OUT_OF_CREDIT,
}


class ClaudeAdapter(BaseLLMAdapter):
    """Speaks Anthropic's messages."""

    error_codes = ERROR_CODES
    request_id_headers = ("request-id",)

    def as_taken(self, request: CompletionRequest) -> tuple[CompletionRequest, SchemaMode | None]:
        schema = request.response_schema
        if schema is None or (schema.schema is not None and is_closable(schema.schema)):
            return super().as_taken(request)
        # Anthropic's own way takes closed schemas alone; any other is asked for as a tool, or in words.
        capabilities = self.capabilities(request.model)
        check_tooling(request, capabilities)
        return with_schema_asked(request, schema, evolve(capabilities, schema_mode=SchemaMode.TOOL))

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, self.capabilities(request.model), is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_message(body)

    def stream_decoder(self) -> StreamDecoder:
        return MessageStreamDecoder()

    def credentials(self) -> Mapping[str, str]:
        key = self._endpoint.key
        return {"x-api-key": key.reveal()} if key else {}

    def capabilities(self, model: str) -> ModelCapabilities:
        return capabilities_of(model)

    def refusal_in(self, body: JsonValue) -> Refusal:
        return with_code_by_text(read_refusal(body), _CODES_BY_TEXT)
