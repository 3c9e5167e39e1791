"""OpenAI, over chat completions."""

import re
from collections.abc import Mapping
from functools import lru_cache
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
from dipeo.domain.sampling import ReasoningEffort as E  # a table of levels is read by its levels
from dipeo.infrastructure.llm.adapters._chat_completions import (
    ChatDialect,
    ChatStreamDecoder,
    decode_completion,
    encode_request,
)
from dipeo.infrastructure.llm.drivers.answer import Answer, EncodedRequest, StreamDecoder
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.openai_roles import knows_developer
from dipeo.infrastructure.llm.drivers.provider_errors import CodeTable

DIALECT: Final = ChatDialect(max_tokens_field="max_completion_tokens")

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

_THINKS = re.compile(r"(?:o\d|gpt-[5-9])(?!.*-chat)")


# OpenAI's guide to reasoning: which levels each generation takes.
_EFFORTS: Final = (
    (re.compile(r"o\d"), frozenset({E.LOW, E.MEDIUM, E.HIGH})),
    (re.compile(r"gpt-5(?:-(?!chat)|$)"), frozenset({E.MINIMAL, E.LOW, E.MEDIUM, E.HIGH})),
    (re.compile(r"gpt-5\.(?!.*-chat)"), frozenset({E.NONE, E.LOW, E.MEDIUM, E.HIGH, E.XHIGH})),
    (re.compile(r"gpt-[6-9](?!.*-chat)"), frozenset(E)),
)


@lru_cache(maxsize=1024)
def capabilities_of(model: str) -> ModelCapabilities:
    """What an OpenAI model takes; the models that think take an effort instead of sampling settings and stop words."""
    thinks = _THINKS.match(model) is not None
    return ModelCapabilities(
        takes_temperature=not thinks,
        takes_top_p=not thinks,
        takes_stop=not thinks,
        takes_seed=True,
        efforts=next((efforts for pattern, efforts in _EFFORTS if pattern.match(model)), frozenset()),
        takes_names=True,
        knows_developer=knows_developer(model),
        accepts_open_end=True,
    )


class ChatGPTAdapter(BaseLLMAdapter):
    """Speaks OpenAI's chat completions."""

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
