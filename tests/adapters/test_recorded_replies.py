"""What real providers answered, decoded."""

from typing import Any

import pytest
from attrs import evolve

from dipeo.domain.completion import Completion, FinishReason
from dipeo.domain.errors import (
    APIKeyRefusedError,
    ContextTooLongError,
    DipeoError,
    InvalidRequestError,
    ModelNotFoundError,
    RateLimitError,
)
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, ReasoningDelta, TextDelta
from tests.adapters.replay import ReplayWire, adapter_over, request_for
from tests.recordings import Recording, insist_or_skip, recordings

pytestmark = pytest.mark.recordings

CHAT_ENDPOINTS = ("chat.completions", "messages", "generateContent", "streamGenerateContent", "ollama.chat")
SERVICES = {
    "openai": LLMService.OPENAI,
    "anthropic": LLMService.ANTHROPIC,
    "gemini": LLMService.GOOGLE,
    "ollama": LLMService.OLLAMA,
    "xai": LLMService.XAI,
    "groq": LLMService.GROQ,
    "mistral": LLMService.MISTRAL,
    "deepseek": LLMService.DEEPSEEK,
    "openrouter": LLMService.OPENROUTER,
}

CHATS = recordings(*CHAT_ENDPOINTS)
REFUSED = [recording for recording in CHATS if "error" in recording.expected]
# An answer that is nothing but tool calls has no text to decode yet.
ANSWERED = [chat for chat in CHATS if chat not in REFUSED]
STREAMED = [recording for recording in ANSWERED if recording.is_stream]

ERRORS: dict[str, type[DipeoError]] = {
    "anthropic-messages-01": APIKeyRefusedError,
    "anthropic-messages-02": ModelNotFoundError,
    "anthropic-messages-08": ContextTooLongError,
    "deepseek-chat-completions-03": ContextTooLongError,
    "gemini-generateContent-01": APIKeyRefusedError,
    "gemini-generateContent-02": ModelNotFoundError,
    "gemini-generateContent-08": RateLimitError,
    "gemini-streamGenerateContent-01": APIKeyRefusedError,
    "mistral-chat-completions-01": APIKeyRefusedError,
    "ollama-chat-01": ModelNotFoundError,
    "openai-chat-completions-07": InvalidRequestError,
    "openai-chat-completions-08": ModelNotFoundError,
    "openai-chat-completions-09": APIKeyRefusedError,
    "openrouter-chat-completions-07": RateLimitError,
}


def service_of(recording: Recording) -> LLMService:
    """The service whose dialect the recording is in: Ollama speaks OpenAI's too."""
    if recording.provider == "ollama" and recording.endpoint == "chat.completions":
        return LLMService.OPENAI_COMPATIBLE
    return SERVICES[recording.provider]


def wire_for(recording: Recording, *, piece_bytes: int = 0) -> ReplayWire:
    return ReplayWire(status=recording.status, headers=recording.headers, body=recording.body, piece_bytes=piece_bytes)


def assert_says_what_is_expected(completion: Completion, recording: Recording) -> None:
    expected = recording.expected
    assert completion.text == expected.get("text", expected.get("refusal", ""))
    assert completion.reasoning == expected.get("thinking", "") or "thinking" not in expected
    assert completion.raw_finish_reason == expected["finish"]
    assert completion.finish_reason is not FinishReason.OTHER
    assert completion.model == expected["model"]
    assert completion.usage.is_reported
    # Made unchecked, and nothing that its class would refuse.
    assert evolve(completion.usage) == completion.usage
    assert tuple(map(evolve, completion.parts)) == completion.parts
    assert_usage_is_expected(completion, recording.provider, expected)


def assert_usage_is_expected(completion: Completion, provider: str, expected: dict[str, Any]) -> None:
    usage = completion.usage
    cached, reasoning = expected.get("cached_tokens", 0), expected.get("reasoning_tokens", 0)
    assert usage.cached_tokens == cached
    if "reasoning_tokens" in expected:
        assert usage.reasoning_tokens == reasoning
    # Anthropic counts cached input beside the input, Google thoughts beside the output; dipeo counts them within.
    beside_input = cached + usage.cache_write_tokens if provider == "anthropic" else 0
    beside_output = reasoning if provider == "gemini" else 0
    assert usage.output_tokens == expected["output_tokens"] + beside_output
    tool_prompt = usage.input_tokens - expected["input_tokens"] - beside_input
    assert tool_prompt == 0 or (provider == "gemini" and tool_prompt > 0)


def test_the_recordings_are_there() -> None:
    """Without the recordings the tests below would be empty, so their absence is said aloud."""
    insist_or_skip()
    assert len(ANSWERED) >= 45
    assert len(STREAMED) >= 15
    assert {recording.id for recording in REFUSED} == set(ERRORS)


@pytest.mark.parametrize("recording", [chat for chat in ANSWERED if not chat.is_stream], ids=str)
async def test_a_recorded_answer_decodes_to_what_it_says(recording: Recording) -> None:
    """Text, reasoning, finish reason, model and usage of a unary reply come out as they stand in it."""
    service = service_of(recording)
    completion = await adapter_over(wire_for(recording), service).complete(request_for(service))
    assert_says_what_is_expected(completion, recording)


@pytest.mark.parametrize("piece_bytes", [0, 1, 7], ids=["whole", "1-byte", "7-byte"])
@pytest.mark.parametrize("recording", STREAMED, ids=str)
async def test_a_recorded_stream_decodes_to_what_it_says(recording: Recording, piece_bytes: int) -> None:
    """A stream comes out the same however its bytes are cut, and its pieces join to the whole."""
    service = service_of(recording)
    stream = adapter_over(wire_for(recording, piece_bytes=piece_bytes), service).stream(request_for(service))
    async with stream:
        events = [event async for event in stream]
    assert isinstance(events[-1], CompletionEnd)
    assert_says_what_is_expected(stream.completion, recording)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == stream.completion.text
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == stream.completion.reasoning


@pytest.mark.parametrize("recording", REFUSED, ids=str)
async def test_a_recorded_refusal_becomes_its_error(recording: Recording) -> None:
    """A refusal becomes the error of its kind, with status, message and the provider's code."""
    service = service_of(recording)
    adapter = adapter_over(wire_for(recording), service)
    request = request_for(service)
    call = adapter.stream(request).collect() if recording.is_stream else adapter.complete(request)
    with pytest.raises(DipeoError) as caught:
        await call
    error, expected = caught.value, recording.expected["error"]
    assert type(error) is ERRORS[recording.id]
    assert error.status == recording.status
    assert expected["message"][:80] in error.message
    assert error.provider == service.value
    assert error.model == "some-model"


async def test_googles_delay_in_the_body_is_read() -> None:
    """A rate limit of Google's tells its delay in the body alone, and it is found there."""
    insist_or_skip()
    recording = next(chat for chat in CHATS if chat.id == "gemini-generateContent-08")
    with pytest.raises(RateLimitError) as caught:
        await adapter_over(wire_for(recording), LLMService.GOOGLE).complete(request_for(LLMService.GOOGLE))
    assert caught.value.retry_after_s is not None
    assert 40 < caught.value.retry_after_s < 60
