"""Google's Gemini, over generateContent.

Source of the shapes: Google's API reference, "Generating content", and the enums of its error details.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from attrs import evolve

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    ModelNotFoundError,
    OverloadedError,
    ProviderError,
    QuotaExhaustedError,
    ValidationError,
)
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import ReasoningEffort
from dipeo.domain.tools import NO_TOOLS, SchemaMode
from dipeo.infrastructure.llm.adapters._gemini_answer import ResponseStreamDecoder, decode_response
from dipeo.infrastructure.llm.adapters._gemini_messages import TAKES_LEVEL, encode_conversation
from dipeo.infrastructure.llm.adapters._gemini_settings import (
    PROVIDER_TOOLS,
    TAKES_BUDGET,
    encode_settings,
    encode_tools,
)
from dipeo.infrastructure.llm.adapters._whole_calls import refuse_previous_response, with_schema_beside_tools
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import (
    Answer,
    EncodedRequest,
    StreamDecoder,
    object_in,
    objects_in,
    text_in,
)
from dipeo.infrastructure.llm.drivers.base import BaseLLMAdapter
from dipeo.infrastructure.llm.drivers.provider_errors import (
    TOO_LONG,
    CodeTable,
    Refusal,
    read_refusal,
    with_code_by_text,
)
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.wire import WireRequest

API_VERSION: Final = "v1beta"
"""The `-latest` model names exist under this version alone."""

_MODEL_NAME = re.compile(r"(?:(?:models|tunedModels)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_IS_GEMINI = re.compile(r"(?:models/)?gemini-(?!embedding)")

_PER_DAY: Final = "quota_per_day"
ERROR_CODES: Final[CodeTable] = {
    "API_KEY_INVALID": APIKeyRefusedError,
    "UNAUTHENTICATED": APIKeyRefusedError,
    "PERMISSION_DENIED": AccessDeniedError,
    "NOT_FOUND": ModelNotFoundError,
    "UNAVAILABLE": OverloadedError,
    "INTERNAL": ProviderError,
    "DEADLINE_EXCEEDED": ProviderError,
    _PER_DAY: QuotaExhaustedError,
}


_CODES_BY_TEXT: Final = {
    "The input token count": TOO_LONG,
    "User location is not supported": "PERMISSION_DENIED",
}


class GeminiAdapter(BaseLLMAdapter):
    """Speaks Google's generateContent."""

    error_codes = ERROR_CODES

    def encode(self, request: CompletionRequest, *, is_stream: bool) -> EncodedRequest:
        return encode_request(request, self.capabilities(request.model), is_stream=is_stream)

    def decode(self, body: JsonObject) -> Answer:
        return decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return ResponseStreamDecoder()

    def credentials(self) -> Mapping[str, str]:
        key = self._endpoint.key
        return {"x-goog-api-key": key.reveal()} if key else {}

    def capabilities(self, model: str) -> ModelCapabilities:
        return capabilities_of(model)

    def as_taken(self, request: CompletionRequest) -> tuple[CompletionRequest, SchemaMode | None]:
        # Before generation 3, an answer of a given shape and tools cannot be asked for together.
        if request.response_schema is None or request.tooling is NO_TOOLS or TAKES_LEVEL.match(request.model):
            return super().as_taken(request)
        return with_schema_beside_tools(request, request.response_schema, self.capabilities(request.model))

    def refusal_in(self, body: JsonValue) -> Refusal:
        return decode_refusal(body)


@lru_cache(maxsize=256)
def capabilities_of(model: str) -> ModelCapabilities:
    """What a model takes. Every Gemini reads pictures, documents and sound; what is no Gemini is not known to."""
    levels = frozenset(ReasoningEffort) if TAKES_LEVEL.match(model) else frozenset[ReasoningEffort]()
    plain = ModelCapabilities(takes_seed=True, efforts=levels)
    if not _IS_GEMINI.match(model):
        return plain
    return evolve(
        plain,
        takes_reasoning_budget=TAKES_BUDGET.match(model) is not None,
        takes_tools=True,
        provider_tools=frozenset(PROVIDER_TOOLS),
        schema_mode=SchemaMode.NATIVE,
        takes_images=True,
        takes_documents=True,
        takes_audio=True,
    )


def encode_request(request: CompletionRequest, capabilities: ModelCapabilities, *, is_stream: bool) -> EncodedRequest:
    """The path and body, and what had to be adapted."""
    refuse_previous_response(request)
    adaptations = Adaptations(request)
    contents, instructions = encode_conversation(request, capabilities, adaptations)
    body: dict[str, JsonValue] = {"contents": contents}
    if instructions:
        body["systemInstruction"] = {"parts": instructions}
    if config := encode_settings(request, adaptations):
        body["generationConfig"] = config
    if request.tooling is not NO_TOOLS:
        body.update(encode_tools(request, adaptations))
    with_provider_options(body, request.provider_options)
    action = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
    path = f"/{API_VERSION}/{encode_model(request.model)}:{action}"
    return WireRequest(path=path, body=body), adaptations.made


def encode_model(model: str) -> str:
    """The model as it stands in the path. Raises `ValidationError` for a name that would change the path."""
    if _MODEL_NAME.fullmatch(model) is None:
        raise ValidationError(
            f"{model!r} is no model name that Google has.",
            field="model",
            suggestion="A name is letters, digits, dots and hyphens, such as gemini-3.5-flash.",
        )
    return model if "/" in model else f"models/{model}"


def decode_refusal(body: JsonValue) -> Refusal:
    """What an error says; the reason in its details is more specific than its status."""
    if isinstance(body, list):
        body = body[0] if body else None
    said = read_refusal(body)
    details = objects_in(object_in(object_in(body).get("error")).get("details"))
    reasons = tuple(text_in(detail.get("reason")) for detail in details if detail.get("reason"))
    violations = [violation for detail in details for violation in objects_in(detail.get("violations"))]
    is_spent = any("PerDay" in text_in(each.get("quotaId")) or each.get("quotaValue") == "0" for each in violations)
    codes = ((_PER_DAY,) if is_spent else ()) + reasons + said.codes
    refusal = Refusal(message=said.message, codes=codes, status=said.status)
    return with_code_by_text(refusal, _CODES_BY_TEXT)
