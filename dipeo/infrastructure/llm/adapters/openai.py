"""OpenAI, over chat completions; what responses alone can do goes over those."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    ContextTooLongError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
)
from dipeo.domain.json_value import JsonObject
from dipeo.domain.model import ModelCapabilities
from dipeo.infrastructure.llm.adapters._chat_reply import decode_completion
from dipeo.infrastructure.llm.adapters._chat_request import encode_request
from dipeo.infrastructure.llm.adapters._chat_stream import ChatStreamDecoder
from dipeo.infrastructure.llm.adapters._openai_chat import DIALECT, capabilities_of, is_to_call_and_think
from dipeo.infrastructure.llm.adapters._responses_dialect import ResponsesDialect
from dipeo.infrastructure.llm.adapters._two_dialects import TwoDialectAdapter
from dipeo.infrastructure.llm.drivers.answer import Answer, EncodedRequest, StreamDecoder
from dipeo.infrastructure.llm.drivers.provider_errors import CodeTable

# Codes as OpenAI's guide to error codes lists them.
ERROR_CODES: Final[CodeTable] = {
    "insufficient_quota": QuotaExhaustedError,
    "credit_balance_exhausted": QuotaExhaustedError,
    "organization_spend_limit_exceeded": QuotaExhaustedError,
    "project_spend_limit_exceeded": QuotaExhaustedError,
    "organization_usage_limit_exceeded": QuotaExhaustedError,
    "rate_limit_exceeded": RateLimitError,
    "slow_down": RateLimitError,
    "server_is_overloaded": OverloadedError,
    "context_length_exceeded": ContextTooLongError,
    "invalid_api_key": APIKeyRefusedError,
    "organization_on_hold": AccessDeniedError,
    "unsupported_country_region_territory": AccessDeniedError,
}


class ChatGPTAdapter(TwoDialectAdapter):
    """Speaks OpenAI's chat completions, and responses where they are preferred or needed."""

    error_codes = ERROR_CODES

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, DIALECT, self.capabilities(request.model), is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_completion(body, vendor="openai")

    def stream_decoder(self) -> StreamDecoder:
        return ChatStreamDecoder(vendor="openai", demands_end_marker=True)

    def credentials(self) -> Mapping[str, str]:
        return self._endpoint.bearer()

    def capabilities(self, model: str) -> ModelCapabilities:
        return capabilities_of(model)

    def _asks_for_more(self, request: CompletionRequest, dialect: ResponsesDialect) -> bool:
        return is_to_call_and_think(request) or super()._asks_for_more(request, dialect)
