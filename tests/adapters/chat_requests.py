"""Requests to chat completions, and what becomes of them."""

from typing import Any

import pytest

from dipeo.domain.completion import AdaptationAction, ChatMessage, CompletionRequest, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.parts import AudioPart, DocumentPart, ImagePart, ToolCallPart, ToolResultPart
from dipeo.domain.service import LLMService
from dipeo.domain.tools import ToolSpec
from dipeo.infrastructure.llm.drivers.answer import EncodedRequest
from tests.adapters.replay import ReplayWire, adapter_over

OPENAI, XAI, GROQ, MISTRAL = LLMService.OPENAI, LLMService.XAI, LLMService.GROQ, LLMService.MISTRAL
DEEPSEEK, OPENROUTER, ANY_URL = LLMService.DEEPSEEK, LLMService.OPENROUTER, LLMService.OPENAI_COMPATIBLE
ALL = (OPENAI, XAI, GROQ, MISTRAL, DEEPSEEK, OPENROUTER, ANY_URL)

MODELS = {
    OPENAI: "gpt-4o",
    XAI: "grok-4",
    GROQ: "openai/gpt-oss-120b",
    MISTRAL: "mistral-small-latest",
    DEEPSEEK: "deepseek-flash",
    OPENROUTER: "anthropic/claude-haiku-4.5",
    ANY_URL: "some-model",
}
HELLO = ChatMessage.from_text(Role.USER, "Hello")
WEATHER = ToolSpec(
    name="weather",
    description="Tells the weather.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CALL = ToolCallPart(call_id="call_1", name="weather", arguments={"city": "Köln"})
RESULT = ToolResultPart(call_id="call_1", content="Rain")
LOOP = (HELLO, ChatMessage(Role.ASSISTANT, (CALL,)), ChatMessage(Role.TOOL, (RESULT,)))
PNG = ImagePart(media_type="image/png", data=b"png")
PDF = DocumentPart(media_type="application/pdf", data=b"pdf")
WAV = AudioPart(media_type="audio/wav", data=b"wav")


def request_of(service: LLMService, *messages: ChatMessage, model: str = "", **given: Any) -> CompletionRequest:
    return CompletionRequest(service=service, model=model or MODELS[service], messages=messages or (HELLO,), **given)


def encoded(request: CompletionRequest, *, is_stream: bool = False) -> EncodedRequest:
    """What goes to the provider."""
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=b""), request.service)
    asked, _ = adapter.as_taken(request)
    return adapter.encode(asked, is_stream=is_stream)


def body_of(request: CompletionRequest) -> dict[str, Any]:
    return dict(encoded(request)[0].body)


def messages_of(request: CompletionRequest) -> list[Any]:
    said: list[Any] = body_of(request)["messages"]
    return said


def adapted(request: CompletionRequest) -> list[tuple[str, AdaptationAction]]:
    return [(made.parameter, made.action) for made in encoded(request)[1]]


def refused(request: CompletionRequest) -> str | None:
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(request)
    return caught.value.field
