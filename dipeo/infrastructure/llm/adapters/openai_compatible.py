"""Everything that speaks OpenAI's chat completions without being OpenAI."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import APIKeyRefusedError, ContextTooLongError, OverloadedError, QuotaExhaustedError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.infrastructure.llm.adapters._chat_reply import decode_completion
from dipeo.infrastructure.llm.adapters._chat_request import encode_request
from dipeo.infrastructure.llm.adapters._chat_stream import ChatStreamDecoder
from dipeo.infrastructure.llm.adapters._compatible_profiles import PROFILES, Profile, capabilities_of
from dipeo.infrastructure.llm.adapters._two_dialects import TwoDialectAdapter
from dipeo.infrastructure.llm.drivers.answer import Answer, EncodedRequest, StreamDecoder
from dipeo.infrastructure.llm.drivers.provider_errors import (
    TOO_LONG,
    CodeTable,
    Refusal,
    read_refusal,
    with_code_by_text,
)

ERROR_CODES: Final[CodeTable] = {
    "insufficient_quota": QuotaExhaustedError,
    "context_length_exceeded": ContextTooLongError,
    "exceed_context_size_error": ContextTooLongError,
    "invalid_api_key": APIKeyRefusedError,
    "capacity_exceeded": OverloadedError,
}


_CODES_BY_TEXT: Final = {"This model's maximum context length is": TOO_LONG}


class OpenAICompatibleAdapter(TwoDialectAdapter):
    """Speaks chat completions with xAI, Groq, Mistral, DeepSeek, OpenRouter, or any base URL; some know responses."""

    error_codes = ERROR_CODES

    @property
    def profile(self) -> Profile:
        """What is particular about this adapter's provider."""
        return PROFILES[self._endpoint.service]

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, self.profile.dialect, self.capabilities(request.model), is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_completion(body, vendor=self._endpoint.service.value)

    def stream_decoder(self) -> StreamDecoder:
        demands_end = self.profile.dialect.demands_end_marker
        return ChatStreamDecoder(vendor=self._endpoint.service.value, demands_end_marker=demands_end)

    def credentials(self) -> Mapping[str, str]:
        return self._endpoint.bearer()

    def capabilities(self, model: str) -> ModelCapabilities:
        return capabilities_of(self._endpoint.service, model)

    def refusal_in(self, body: JsonValue) -> Refusal:
        return with_code_by_text(read_refusal(body), _CODES_BY_TEXT)
