"""What Google was really asked and answered: dipeo asks for the same, and reads the same out of it."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.parts import DocumentPart, ImagePart, Part, ProviderToolPart, TextPart, ToolCallPart, ToolResultPart
from dipeo.domain.sampling import Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.domain.tools import NO_TOOLS, ProviderTool, ResponseSchema, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.wires.framing import ServerSentEvents, parse_json
from tests.adapters.replay import ReplayWire, adapter_over, request_for
from tests.recordings import Recording, insist_or_skip, recordings

pytestmark = pytest.mark.recordings

CHATS = [each for each in recordings("generateContent", "streamGenerateContent") if each.provider == "gemini"]
ANSWERED = [each for each in CHATS if "error" not in each.expected]
STREAMED = [each for each in ANSWERED if each.is_stream]
WITH_CALLS = {
    "gemini-generateContent-04": 2,
    "gemini-generateContent-07": 1,
    "gemini-streamGenerateContent-04": 2,
    "gemini-streamGenerateContent-07": 1,
}


def wire_for(recording: Recording, *, piece_bytes: int = 0) -> ReplayWire:
    return ReplayWire(status=recording.status, headers=recording.headers, body=recording.body, piece_bytes=piece_bytes)


def assert_says_what_is_expected(completion: Completion, recording: Recording) -> None:
    expected = recording.expected
    assert completion.text == expected.get("text", "")
    assert completion.reasoning == expected.get("thinking", "")
    calls = [{"name": call.name, "arguments": call.arguments} for call in completion.tool_calls]
    assert calls == [{"name": c["name"], "arguments": c["arguments"]} for c in expected.get("tool_calls", [])]
    assert len({call.call_id for call in completion.tool_calls}) == len(calls)
    assert completion.raw_finish_reason == expected["finish"]
    usual = FinishReason.LENGTH if expected["finish"] == "MAX_TOKENS" else FinishReason.STOP
    assert completion.finish_reason is (FinishReason.TOOL_CALLS if calls else usual)
    assert completion.model == expected["model"]
    assert completion.usage.cached_tokens == expected.get("cached_tokens", 0)
    assert completion.usage.reasoning_tokens == expected.get("reasoning_tokens", 0)
    assert completion.usage.output_tokens == expected["output_tokens"] + expected.get("reasoning_tokens", 0)


def test_every_recorded_exchange_is_looked_at() -> None:
    """All eighteen exchanges with Google's chat are here, and the ones with tool calls are known by name."""
    insist_or_skip()
    assert len(CHATS) == 18
    assert len(ANSWERED) == 14
    assert {
        each.id: len(each.expected["tool_calls"]) for each in ANSWERED if "tool_calls" in each.expected
    } == WITH_CALLS


@pytest.mark.parametrize("recording", [each for each in ANSWERED if not each.is_stream], ids=str)
async def test_a_recorded_answer_of_googles_is_read_whole(recording: Recording) -> None:
    """Text, calls, finish reason and usage of a unary reply come out as they stand in it."""
    completion = await adapter_over(wire_for(recording), LLMService.GOOGLE).complete(request_for(LLMService.GOOGLE))
    assert_says_what_is_expected(completion, recording)


@pytest.mark.parametrize("piece_bytes", [0, 1, 7], ids=["whole", "1-byte", "7-byte"])
@pytest.mark.parametrize("recording", STREAMED, ids=str)
async def test_a_recorded_stream_of_googles_is_read_whole(recording: Recording, piece_bytes: int) -> None:
    """A stream says the same however its bytes are cut, and its events add up to the answer."""
    wire = wire_for(recording, piece_bytes=piece_bytes)
    stream = adapter_over(wire, LLMService.GOOGLE).stream(request_for(LLMService.GOOGLE))
    async with stream:
        events = [event async for event in stream]
    assert isinstance(events[-1], CompletionEnd)
    completion = stream.completion
    assert_says_what_is_expected(completion, recording)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == completion.text
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == completion.reasoning
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(each.index, each.call_id, each.name) for each in deltas] == [
        (index, call.call_id, call.name) for index, call in enumerate(completion.tool_calls)
    ]


@pytest.mark.parametrize("recording", [each for each in ANSWERED if "thought_signature" in each.scenarios], ids=str)
async def test_recorded_signatures_go_back_on_the_part_that_they_came_with(recording: Recording) -> None:
    """An answer that is sent back as history holds each signature unchanged, beside the same content as before."""
    adapter = adapter_over(wire_for(recording), LLMService.GOOGLE)
    question = request_for(LLMService.GOOGLE)
    call = adapter.stream(question).collect() if recording.is_stream else adapter.complete(question)
    completion = await call
    results = tuple(ToolResultPart(call_id=each.call_id, content="done") for each in completion.tool_calls)
    after = ChatMessage(Role.TOOL, results) if results else ChatMessage.from_text(Role.USER, "And?")
    request = CompletionRequest(
        service=LLMService.GOOGLE,
        model="gemini-3.5-flash",
        messages=(*question.messages, ChatMessage(Role.ASSISTANT, completion.parts), after),
        is_strict=True,
    )
    body: Any = adapter.encode(request, is_stream=False)[0].body
    assert body["contents"][1]["role"] == "model"
    assert body["contents"][1]["parts"] == _parts_of(recording)


async def test_a_grounded_answer_tells_what_was_searched_and_where_it_comes_from() -> None:
    """Grounding becomes citations behind the text, each with its passage, and a part that holds the searches."""
    insist_or_skip()
    recording = next(each for each in CHATS if each.id == "gemini-generateContent-09")
    completion = await adapter_over(wire_for(recording), LLMService.GOOGLE).complete(request_for(LLMService.GOOGLE))
    [search] = [part for part in completion.parts if isinstance(part, ProviderToolPart)]
    grounding: Any = search.data["groundingMetadata"]
    assert search.name == ProviderTool.WEB_SEARCH
    assert grounding["webSearchQueries"][1] == "latest stable ruby version"
    assert len(completion.citations) == 10
    first, last = completion.citations[0], completion.citations[-1]
    assert (first.title, first.text[:28]) == ("github.com", "The latest stable version of")
    assert str(first.url).startswith("https://vertexaisearch.cloud.google.com/")
    assert all(citation.text in completion.text for citation in completion.citations)
    assert last.title == "github.com"


async def test_a_grounded_stream_cites_too() -> None:
    """The citations of a stream come with its end."""
    insist_or_skip()
    recording = next(each for each in CHATS if each.id == "gemini-streamGenerateContent-03")
    stream = adapter_over(wire_for(recording), LLMService.GOOGLE).stream(request_for(LLMService.GOOGLE))
    completion = await stream.collect()
    assert completion.citations
    assert all(citation.url for citation in completion.citations)


@pytest.mark.parametrize("recording", CHATS, ids=str)
def test_dipeo_asks_google_for_the_same_as_the_recorded_request(recording: Recording) -> None:
    """A recorded request, read into dipeo's values and encoded again, says the same to the same address."""
    adapter = adapter_over(wire_for(recording), LLMService.GOOGLE)
    request = read_request(recording)
    asked, _ = adapter.as_taken(request)
    exchange, adaptations = adapter.encode(asked, is_stream=recording.is_stream)
    assert adaptations == ()
    query = recording.request.get("query")
    assert exchange.path == recording.request["path"] + (f"?{query}" if query else "")
    assert without_shown_thoughts(exchange.body) == as_dipeo_says_it(recording.request["json"])


def _parts_of(recording: Recording) -> list[Any]:
    """The parts of a recorded answer."""
    body = recording.body
    events: list[Any] = ServerSentEvents().feed(body) if recording.is_stream else [parse_json(body)]
    return [part for event in events for part in event["candidates"][0]["content"]["parts"]]


# --- a recorded request, read -----------------------------------------------------------------------------------------


def read_request(recording: Recording) -> CompletionRequest:
    """The recorded JSON as dipeo's values."""
    body = recording.request["json"]
    config = body.get("generationConfig", {})
    schema = config.get("responseSchema")
    return CompletionRequest(
        service=LLMService.GOOGLE,
        model=recording.request["path"].split("/models/")[1].split(":")[0],
        messages=(*read_instructions(body), *read_contents(body["contents"])),
        sampling=Sampling(
            temperature=config.get("temperature"),
            seed=config.get("seed"),
            max_tokens=config.get("maxOutputTokens"),
            reasoning_effort=config.get("thinkingConfig", {}).get("thinking_level", "").lower() or None,
        ),
        tooling=read_tooling(body),
        response_schema=ResponseSchema(schema=as_json_schema(schema)) if schema else None,
    )


def read_instructions(body: Mapping[str, Any]) -> list[ChatMessage]:
    parts = body.get("systemInstruction", {}).get("parts", [])
    texts = [part["text"] for part in ([parts] if isinstance(parts, dict) else parts)]
    return [ChatMessage.from_text(Role.SYSTEM, text) for text in texts if text]


def read_contents(contents: Sequence[Mapping[str, Any]]) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    waiting: list[str] = []
    for content in contents:
        parts: list[Part] = []
        for part in content["parts"]:
            if "functionResponse" in part:
                parts.append(
                    ToolResultPart(call_id=waiting.pop(0), content=part["functionResponse"]["response"]["output"])
                )
            else:
                parts.append(read_part(part, index=len(waiting)))
            if isinstance(parts[-1], ToolCallPart):
                waiting.append(parts[-1].call_id)
        role = Role.ASSISTANT if content["role"] == "model" else Role.USER
        messages.append(ChatMessage(Role.TOOL if isinstance(parts[0], ToolResultPart) else role, tuple(parts)))
    return messages


def read_part(part: Mapping[str, Any], *, index: int) -> Part:
    if "functionCall" in part:
        return ToolCallPart(
            call_id=f"call_{index}",
            name=part["functionCall"]["name"],
            arguments=part["functionCall"]["args"],
            vendor="google",
            signature=part.get("thoughtSignature"),
        )
    if "inlineData" in part:
        return ImagePart(media_type=part["inlineData"]["mimeType"], data=b64decode(part["inlineData"]["data"]))
    if "fileData" in part:
        return DocumentPart(media_type=part["fileData"]["mimeType"], url=part["fileData"]["fileUri"])
    return TextPart(part["text"])


def read_tooling(body: Mapping[str, Any]) -> Tooling:
    if "tools" not in body:
        return NO_TOOLS
    [offered] = body["tools"]
    tools = tuple(
        ToolSpec(name=each["name"], description=each["description"], parameters=as_json_schema(each["parameters"]))
        for each in offered.get("functionDeclarations", [])
    )
    mode = body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode", "AUTO")
    searches = "googleSearch" in offered or "google_search" in offered
    return Tooling(
        tools=tools,
        provider_tools=(ProviderTool.WEB_SEARCH,) if searches else (),
        use={"AUTO": ToolUse.AUTO, "ANY": ToolUse.REQUIRED}[mode],
    )


# --- what says the same ----------------------------------------------------------------------------------------------


def as_json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Google's own kind of schema as JSON schema: types in small letters, and properties in the order it asks for."""
    said = {name: value for name, value in schema.items() if name != "property_ordering"}
    said["type"] = said["type"].lower()
    if "properties" in said:
        order = schema.get("property_ordering", list(said["properties"]))
        said["properties"] = {name: as_json_schema(said["properties"][name]) for name in order}
    return said


def as_dipeo_says_it(body: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded body in dipeo's spelling."""
    said = dict(body)
    # An instruction's role is not read by Google, one part may stand without a list, and an empty text says nothing.
    if instructions := read_instructions(said):
        said["systemInstruction"] = {"parts": [{"text": each.text} for each in instructions]}
    else:
        said.pop("systemInstruction", None)
    config = dict(said.pop("generationConfig", {}))
    # Google takes its own kind of schema in one field, and JSON schema in another.
    if schema := config.pop("responseSchema", None):
        config["responseJsonSchema"] = as_json_schema(schema)
    # Google takes each name in both spellings, and its constants in any case.
    if thinking := config.get("thinkingConfig"):
        config["thinkingConfig"] = {"thinkingLevel": thinking["thinking_level"].lower()}
    # No settings are the same as an empty object.
    if config:
        said["generationConfig"] = config
    if "tools" in said:
        said["tools"] = [_tool(tool) for tool in said["tools"]]
    return said


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if "functionDeclarations" not in tool:
        return {"googleSearch": {}}  # Both spellings, see above.
    return {
        "functionDeclarations": [
            {
                "name": each["name"],
                "description": each["description"],
                "parametersJsonSchema": as_json_schema(each["parameters"]),
            }
            for each in tool["functionDeclarations"]
        ]
    }


def without_shown_thoughts(body: Mapping[str, Any]) -> dict[str, Any]:
    """dipeo's body without the wish to see thoughts, which adds to the answer and changes nothing in it."""
    said = dict(body)
    if thinking := said.get("generationConfig", {}).get("thinkingConfig"):
        shown = {name: value for name, value in thinking.items() if name != "includeThoughts"}
        said["generationConfig"] = {**said["generationConfig"], "thinkingConfig": shown}
    return said
