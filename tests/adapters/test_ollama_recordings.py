"""What Ollama was really asked and answered: dipeo asks for the same, and reads the same out of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.parts import Part, TextPart, ToolCallPart, ToolResultPart
from dipeo.domain.sampling import Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, ReasoningDelta, TextDelta
from dipeo.domain.tools import NO_TOOLS, ResponseSchema, Tooling, ToolSpec
from tests.adapters.replay import ReplayWire, adapter_over, request_for
from tests.recordings import Recording, insist_or_skip, recordings

pytestmark = pytest.mark.recordings

CHATS = recordings("ollama.chat")
ANSWERED = [each for each in CHATS if "error" not in each.expected]
STREAMED = [each for each in ANSWERED if each.is_stream]
SAMPLING = {"temperature": "temperature", "seed": "seed", "num_predict": "max_tokens"}


def wire_for(recording: Recording, *, piece_bytes: int = 0) -> ReplayWire:
    return ReplayWire(status=recording.status, headers=recording.headers, body=recording.body, piece_bytes=piece_bytes)


def assert_says_what_is_expected(completion: Completion, recording: Recording) -> None:
    expected = recording.expected
    assert completion.text == expected.get("text", "")
    assert completion.reasoning == expected.get("thinking", "")
    assert [
        {"id": call.call_id, "name": call.name, "arguments": call.arguments} for call in completion.tool_calls
    ] == expected.get("tool_calls", [])
    assert completion.raw_finish_reason == expected["finish"]
    usual = FinishReason.LENGTH if expected["finish"] == "length" else FinishReason.STOP
    assert completion.finish_reason is (FinishReason.TOOL_CALLS if completion.tool_calls else usual)
    assert completion.model == expected["model"]
    assert completion.usage.input_tokens == expected["input_tokens"]
    assert completion.usage.output_tokens == expected["output_tokens"]


def test_every_recorded_exchange_is_looked_at() -> None:
    """All eight exchanges with Ollama's chat are here: one refusal, two with calls, three streams."""
    insist_or_skip()
    assert len(CHATS) == 8
    assert len(ANSWERED) == 7
    assert len(STREAMED) == 3
    assert len([each for each in ANSWERED if each.expected.get("tool_calls")]) == 2


@pytest.mark.parametrize("recording", [each for each in ANSWERED if not each.is_stream], ids=str)
async def test_a_recorded_answer_of_ollamas_is_read_whole(recording: Recording) -> None:
    """Text, thought, calls, finish reason and usage of a unary reply come out as they stand in it."""
    completion = await adapter_over(wire_for(recording), LLMService.OLLAMA).complete(request_for(LLMService.OLLAMA))
    assert_says_what_is_expected(completion, recording)


@pytest.mark.parametrize("piece_bytes", [0, 1, 7], ids=["whole", "1-byte", "7-byte"])
@pytest.mark.parametrize("recording", STREAMED, ids=str)
async def test_a_recorded_stream_of_ollamas_is_read_whole(recording: Recording, piece_bytes: int) -> None:
    """A stream says the same however its bytes are cut, and its events add up to the answer."""
    wire = wire_for(recording, piece_bytes=piece_bytes)
    stream = adapter_over(wire, LLMService.OLLAMA).stream(request_for(LLMService.OLLAMA))
    async with stream:
        events = [event async for event in stream]
    assert isinstance(events[-1], CompletionEnd)
    assert_says_what_is_expected(stream.completion, recording)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == stream.completion.text
    assert "".join(each.text for each in events if isinstance(each, ReasoningDelta)) == stream.completion.reasoning


@pytest.mark.parametrize("recording", CHATS, ids=str)
def test_dipeo_asks_ollama_for_the_same_as_the_recorded_request(recording: Recording) -> None:
    """A recorded request, read into dipeo's values and encoded again, says the same to the same address."""
    adapter = adapter_over(wire_for(recording), LLMService.OLLAMA)
    asked, _ = adapter.as_taken(read_request(recording))
    exchange, adaptations = adapter.encode(asked, is_stream=recording.is_stream)
    assert adaptations == ()
    assert exchange.path == recording.request["path"]
    assert without_tool_names(exchange.body) == as_dipeo_says_it(recording.request["json"])


# --- a recorded request, read -----------------------------------------------------------------------------------------


def read_request(recording: Recording) -> CompletionRequest:
    """The recorded JSON as dipeo's values; options that dipeo has no word for are handed on as they are."""
    body = recording.request["json"]
    options = body.get("options") or {}
    other = {name: value for name, value in options.items() if name not in SAMPLING}
    return CompletionRequest(
        service=LLMService.OLLAMA,
        model=body["model"],
        messages=tuple(read_messages(body["messages"])),
        sampling=Sampling(**{ours: options[name] for name, ours in SAMPLING.items() if name in options}),
        provider_options={"options": other} if other else {},
        tooling=read_tooling(body),
        response_schema=ResponseSchema(schema=None) if body.get("format") == "json" else None,
    )


def read_messages(messages: list[Mapping[str, Any]]) -> list[ChatMessage]:
    """Calls have no id here, and results follow them in order."""
    read: list[ChatMessage] = []
    waiting: list[str] = []
    for message in messages:
        parts: list[Part] = [TextPart(message["content"])] if message["content"] else []
        for call in message.get("tool_calls", []):
            waiting.append(f"call_{len(waiting)}")
            function = call["function"]
            parts.append(ToolCallPart(call_id=waiting[-1], name=function["name"], arguments=function["arguments"]))
        if message["role"] == "tool":
            parts = [ToolResultPart(call_id=waiting.pop(0), content=message["content"])]
        read.append(ChatMessage(Role(message["role"]), tuple(parts)))
    return read


def read_tooling(body: Mapping[str, Any]) -> Tooling:
    tools = tuple(ToolSpec(**tool["function"]) for tool in body.get("tools", []))
    return Tooling(tools=tools) if tools else NO_TOOLS


# --- what says the same ----------------------------------------------------------------------------------------------


def as_dipeo_says_it(body: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded body in dipeo's spelling."""
    # No tools, no format, no options and no keep-alive are the same as empty ones.
    said = {name: value for name, value in body.items() if value or name == "stream"}
    # Ollama streams unless it is told not to.
    said.setdefault("stream", True)
    # Ollama reads a temperature among the options alone.
    said.pop("temperature", None)
    return said


def without_tool_names(body: Mapping[str, Any]) -> dict[str, Any]:
    """dipeo's body without the names of the tools beside their results, a field that came after the recording."""
    messages = [{name: value for name, value in each.items() if name != "tool_name"} for each in body["messages"]]
    return {**body, "messages": messages}
