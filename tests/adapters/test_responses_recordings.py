"""What was really exchanged over OpenAI's responses, decoded and said again."""

from collections import Counter

import pytest

from dipeo.domain.completion import Completion, CompletionRequest, FinishReason
from dipeo.domain.errors import APIKeyRefusedError, DipeoError, ModelNotFoundError
from dipeo.domain.parts import ProviderToolPart, ReasoningPart
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, ReasoningDelta, TextDelta, ToolCallDelta
from tests.adapters.replay import ReplayWire, request_for
from tests.adapters.responses_body import adapter_over, comparable, request_in
from tests.recordings import Recording, insist_or_skip, recordings

pytestmark = pytest.mark.recordings

SERVICES = {"openai": LLMService.OPENAI, "xai": LLMService.XAI}
ALL = recordings("responses")
REFUSED = [recording for recording in ALL if "error" in recording.expected]
ANSWERED = [recording for recording in ALL if recording not in REFUSED]
STREAMED = [recording for recording in ANSWERED if recording.is_stream]
ERRORS: dict[str, type[DipeoError]] = {
    "openai-responses-03": APIKeyRefusedError,
    "openai-responses-08": ModelNotFoundError,
}
# A model that thinks takes no temperature here, whatever its effort; the adaptation says so.
DROPPED = {"openai-responses-11": {"temperature"}}


def wire_for(recording: Recording, *, piece_bytes: int = 0) -> ReplayWire:
    return ReplayWire(status=recording.status, headers=recording.headers, body=recording.body, piece_bytes=piece_bytes)


def assert_says_what_is_expected(completion: Completion, recording: Recording) -> None:
    expected, usage = recording.expected, completion.usage
    assert completion.text == expected.get("text", expected.get("refusal", ""))
    assert completion.reasoning == expected.get("thinking", "")
    calls = [
        {"id": call.call_id, "name": call.name, "arguments": call.arguments, "broken": call.broken_arguments}
        for call in completion.tool_calls
    ]
    assert calls == [{**call, "broken": None} for call in expected.get("tool_calls", [])]
    assert completion.raw_finish_reason == expected["finish"]
    assert completion.finish_reason is reason_of(recording)
    assert completion.model == expected["model"]
    assert completion.response_id
    assert usage.is_reported
    assert (usage.input_tokens, usage.output_tokens) == (expected["input_tokens"], expected["output_tokens"])
    assert (usage.cached_tokens, usage.reasoning_tokens) == (expected["cached_tokens"], expected["reasoning_tokens"])
    if "reasoning_item" in recording.scenarios:
        assert any(isinstance(part, ReasoningPart) and part.signature for part in completion.parts)
    if "server_tool" in recording.scenarios:
        assert any(isinstance(part, ProviderToolPart) and part.name == "web_search" for part in completion.parts)
    if "citations" in recording.scenarios:
        assert completion.citations
        assert all(citation.url for citation in completion.citations)


def reason_of(recording: Recording) -> FinishReason:
    if "refusal" in recording.expected:
        return FinishReason.CONTENT_FILTER
    if recording.expected["finish"] != "completed":
        return FinishReason.LENGTH
    return FinishReason.TOOL_CALLS if recording.expected.get("tool_calls") else FinishReason.STOP


def test_no_recording_is_left_out() -> None:
    """Every exchange over responses is of a provider, and of a kind, that is tested below."""
    insist_or_skip()
    assert Counter(recording.provider for recording in ALL) == {"openai": 15, "xai": 5}
    assert {recording.id for recording in REFUSED} == set(ERRORS)
    assert len(STREAMED) == 4


@pytest.mark.parametrize("recording", [answer for answer in ANSWERED if not answer.is_stream], ids=str)
async def test_a_recorded_response_decodes_to_what_it_says(recording: Recording) -> None:
    """Text, reasoning, calls, citations, finish reason, model and usage come out as they stand in the reply."""
    service = SERVICES[recording.provider]
    completion = await adapter_over(wire_for(recording), service).complete(request_for(service))
    assert_says_what_is_expected(completion, recording)


@pytest.mark.parametrize("piece_bytes", [0, 1, 7], ids=["whole", "1-byte", "7-byte"])
@pytest.mark.parametrize("recording", STREAMED, ids=str)
async def test_a_recorded_stream_of_events_decodes_to_what_it_says(recording: Recording, piece_bytes: int) -> None:
    """A stream says the same however its bytes are cut, and its pieces join to the whole."""
    service = SERVICES[recording.provider]
    stream = adapter_over(wire_for(recording, piece_bytes=piece_bytes), service).stream(request_for(service))
    async with stream:
        events = [event async for event in stream]
    assert isinstance(events[-1], CompletionEnd)
    assert_says_what_is_expected(stream.completion, recording)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == stream.completion.text
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == stream.completion.reasoning
    for index, call in enumerate(stream.completion.tool_calls):
        pieces = [event for event in events if isinstance(event, ToolCallDelta) and event.index == index]
        assert {(piece.call_id, piece.name) for piece in pieces} == {(call.call_id, call.name)}
        assert "".join(piece.arguments for piece in pieces).replace(" ", "")[:1] == "{"


@pytest.mark.parametrize("recording", REFUSED, ids=str)
async def test_a_recorded_refusal_over_responses_becomes_its_error(recording: Recording) -> None:
    """A refusal becomes the error of its kind, whatever its status."""
    service = SERVICES[recording.provider]
    with pytest.raises(DipeoError) as caught:
        await adapter_over(wire_for(recording), service).complete(request_for(service))
    assert type(caught.value) is ERRORS[recording.id]
    assert caught.value.status == recording.status
    assert recording.expected["error"]["message"] in caught.value.message


@pytest.mark.parametrize("recording", ALL, ids=str)
async def test_a_recorded_request_is_asked_for_again(recording: Recording) -> None:
    """Read into our values and encoded, a recorded request asks for the same thing."""
    body = recording.request["json"]
    request: CompletionRequest = request_in(body, SERVICES[recording.provider])
    wire = wire_for(recording)
    adapter = adapter_over(wire, request.service)
    try:
        completion = await (adapter.stream(request).collect() if body.get("stream") else adapter.complete(request))
        assert {adaptation.parameter for adaptation in completion.adaptations} == DROPPED.get(recording.id, set())
    except DipeoError:
        assert recording in REFUSED
    (exchange,) = wire.asked
    wanted = {name: value for name, value in body.items() if name not in DROPPED.get(recording.id, set())}
    assert f"/v1{exchange.path}" == recording.request["path"]
    assert comparable(exchange.body) == comparable(wanted)
