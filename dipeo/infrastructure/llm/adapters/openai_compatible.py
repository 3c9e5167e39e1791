"""Everything that speaks OpenAI's chat completions without being OpenAI."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from attrs import field, frozen

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import APIKeyRefusedError, ContextTooLongError, OverloadedError, QuotaExhaustedError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import ReasoningEffort as E  # a table of levels is read by its levels
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.adapters._chat_completions import (
    ChatDialect,
    ChatStreamDecoder,
    decode_completion,
    encode_request,
)
from dipeo.infrastructure.llm.drivers.answer import Answer, EncodedRequest, StreamDecoder
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.provider_errors import (
    TOO_LONG,
    CodeTable,
    Refusal,
    read_refusal,
    with_code_by_text,
)


@frozen(kw_only=True)
class Profile:
    """What is particular about one compatible provider. `efforts`: which models take which reasoning efforts."""

    dialect: ChatDialect = field(factory=ChatDialect)
    takes_names: bool = False
    takes_seed: bool = True
    efforts: tuple[tuple[str, frozenset[E]], ...] = ()
    max_temperature: float = 2.0
    accepts_open_end: bool = True


_LOW_HIGH: Final = frozenset({E.LOW, E.HIGH})
_LOW_TO_HIGH: Final = frozenset({E.LOW, E.MEDIUM, E.HIGH})
_NONE_TO_XHIGH: Final = frozenset({E.NONE, E.MINIMAL, E.LOW, E.MEDIUM, E.HIGH, E.XHIGH})

# Read in each provider's own reference. Where a provider refuses unknown fields (Mistral answers 422), what it does not
# document is not sent.
PROFILES: Final[Mapping[LLMService, Profile]] = {
    LLMService.XAI: Profile(
        takes_names=True,
        efforts=((r"grok-3-mini", _LOW_HIGH), (r"grok-(?:4\.[3-9]|[5-9])", _LOW_TO_HIGH)),
    ),
    LLMService.GROQ: Profile(takes_names=True, efforts=((r"(?:openai/)?gpt-oss", _LOW_TO_HIGH),)),
    LLMService.MISTRAL: Profile(
        dialect=ChatDialect(seed_field="random_seed", asks_for_stream_usage=False),
        max_temperature=1.5,
        accepts_open_end=False,
    ),
    LLMService.DEEPSEEK: Profile(takes_names=True, takes_seed=False),
    LLMService.OPENROUTER: Profile(takes_names=True, efforts=((r"", _NONE_TO_XHIGH),)),
    # A server we know nothing of: the careful choice is a stream that may end without `[DONE]` once it said why.
    LLMService.OPENAI_COMPATIBLE: Profile(dialect=ChatDialect(demands_end_marker=False)),
}

ERROR_CODES: Final[CodeTable] = {
    "insufficient_quota": QuotaExhaustedError,
    "context_length_exceeded": ContextTooLongError,
    "exceed_context_size_error": ContextTooLongError,
    "invalid_api_key": APIKeyRefusedError,
    "capacity_exceeded": OverloadedError,
}


_CODES_BY_TEXT: Final = {"This model's maximum context length is": TOO_LONG}


@lru_cache(maxsize=1024)
def capabilities_of(service: LLMService, model: str) -> ModelCapabilities:
    """What a model of a compatible provider takes, as far as its profile tells."""
    profile = PROFILES[service]
    return ModelCapabilities(
        takes_seed=profile.takes_seed,
        takes_names=profile.takes_names,
        efforts=next((efforts for pattern, efforts in profile.efforts if re.match(pattern, model)), frozenset()),
        max_temperature=profile.max_temperature,
        accepts_open_end=profile.accepts_open_end,
    )


class OpenAICompatibleAdapter(BaseLLMAdapter):
    """Speaks chat completions with xAI, Groq, Mistral, DeepSeek, OpenRouter, or any base URL."""

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
