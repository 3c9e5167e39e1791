"""Every recorded exchange with Anthropic's messages: what it says, and that dipeo would ask the same."""

import base64
from typing import Any

import pytest

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.errors import DipeoError
from dipeo.domain.parts import (
    ImagePart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.domain.sampling import Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.domain.tools import (
    NO_TOOLS,
    PromptCache,
    ProviderTool,
    ResponseSchema,
    SchemaMode,
    Tooling,
    ToolSpec,
    ToolUse,
)
from tests.adapters.replay import ReplayWire, adapter_over, request_for
from tests.recordings import Recording, insist_or_skip, recordings

pytestmark = pytest.mark.recordings

CLAUDE = LLMService.ANTHROPIC
MESSAGES = [recording for recording in recordings("messages") if recording.provider == "anthropic"]
REFUSED = [recording for recording in MESSAGES if "error" in recording.expected]
ANSWERED = [recording for recording in MESSAGES if recording not in REFUSED]
STREAMED = [recording for recording in ANSWERED if recording.is_stream]
UNARY = [recording for recording in ANSWERED if not recording.is_stream]


def test_no_recording_is_left_out() -> None:
    """All seventeen are read below: six streams, eight whole answers, three refusals."""
    insist_or_skip()
    assert (len(STREAMED), len(UNARY), len(REFUSED)) == (6, 8, 3)


# --- what they say ----------------------------------------------------------------------------------------------------


def wire_for(recording: Recording, *, piece_bytes: int = 0) -> ReplayWire:
    return ReplayWire(status=recording.status, headers=recording.headers, body=recording.body, piece_bytes=piece_bytes)


def assert_says_what_is_expected(completion: Completion, recording: Recording) -> None:
    expected = recording.expected
    assert completion.text == expected.get("text", "")
    assert completion.reasoning == expected.get("thinking", "")
    calls = [{"id": call.call_id, "name": call.name, "arguments": call.arguments} for call in completion.tool_calls]
    assert calls == expected.get("tool_calls", [])
    assert completion.raw_finish_reason == expected["finish"]
    assert completion.model == expected["model"]
    usage = completion.usage
    assert usage.is_reported
    assert usage.output_tokens == expected["output_tokens"]
    assert usage.cached_tokens == expected["cached_tokens"]
    # Anthropic counts what it reads from and writes to its cache beside the input, dipeo within it.
    assert usage.input_tokens == expected["input_tokens"] + usage.cached_tokens + usage.cache_write_tokens


@pytest.mark.parametrize("recording", UNARY, ids=str)
async def test_a_whole_answer_says_what_is_expected(recording: Recording) -> None:
    """Text, thoughts, calls, ending, model and usage come out as they stand in the reply."""
    completion = await adapter_over(wire_for(recording), CLAUDE).complete(request_for(CLAUDE))
    assert_says_what_is_expected(completion, recording)


@pytest.mark.parametrize("piece_bytes", [0, 1, 7], ids=["whole", "1-byte", "7-byte"])
@pytest.mark.parametrize("recording", STREAMED, ids=str)
async def test_a_stream_says_what_is_expected(recording: Recording, piece_bytes: int) -> None:
    """However its bytes are cut, a stream says the same, and its events join to the whole."""
    stream = adapter_over(wire_for(recording, piece_bytes=piece_bytes), CLAUDE).stream(request_for(CLAUDE))
    async with stream:
        events = [event async for event in stream]
    completion = stream.completion
    assert isinstance(events[-1], CompletionEnd)
    assert_says_what_is_expected(completion, recording)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == completion.text
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == completion.reasoning
    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    assert {(piece.index, piece.call_id, piece.name) for piece in pieces} == {
        (index, call.call_id, call.name) for index, call in enumerate(completion.tool_calls)
    }


async def test_a_thought_keeps_its_signature_through_a_stream() -> None:
    """The signature comes in a piece of its own, and belongs to the thought."""
    insist_or_skip()
    recording = next(each for each in MESSAGES if each.id == "anthropic-messages-03")
    completion = await adapter_over(wire_for(recording), CLAUDE).stream(request_for(CLAUDE)).collect()
    thought = completion.parts[0]
    assert isinstance(thought, ReasoningPart)
    assert thought.vendor == "anthropic"
    assert thought.signature is not None
    assert len(thought.signature) > 500


async def test_a_search_of_the_providers_comes_out_as_parts_with_citations() -> None:
    """What was searched and found goes back unchanged; each citation stands behind what it supports."""
    insist_or_skip()
    recording = next(each for each in MESSAGES if each.id == "anthropic-messages-13")
    completion = await adapter_over(wire_for(recording), CLAUDE).stream(request_for(CLAUDE)).collect()
    asked, found = completion.parts[:2]
    assert isinstance(asked, ProviderToolPart)
    assert isinstance(found, ProviderToolPart)
    assert asked.data["input"] == {"query": "San Francisco weather today"}
    assert (found.name, found.data["type"]) == ("web_search", "web_search_tool_result")
    assert len(completion.citations) == 5
    assert all(citation.url and citation.title and citation.text for citation in completion.citations)
    cited = [
        before
        for before, part in zip(completion.parts, completion.parts[1:], strict=False)
        if part in completion.citations
    ]
    assert all(isinstance(part, TextPart) for part in cited)


@pytest.mark.parametrize("recording", REFUSED, ids=str)
async def test_a_refusal_tells_what_the_provider_told(recording: Recording) -> None:
    """Status, message and model are in the error."""
    with pytest.raises(DipeoError) as caught:
        await adapter_over(wire_for(recording), CLAUDE).complete(request_for(CLAUDE))
    assert caught.value.status == recording.status
    assert recording.expected["error"]["message"] in caught.value.message


# --- that dipeo would ask the same ------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", MESSAGES, ids=str)
async def test_dipeo_asks_for_what_was_asked(recording: Recording) -> None:
    """The recorded body, read into dipeo's values and encoded again, asks for the same, with nothing adapted."""
    body: dict[str, Any] = recording.request["json"]
    request = read_request(body)
    adapter = adapter_over(wire_for(recording), CLAUDE)
    asked, schema_mode = adapter.as_taken(request)
    exchange, adaptations = adapter.encode(asked, is_stream=recording.is_stream)
    assert exchange.path == recording.request["path"]
    assert adaptations == ()
    assert schema_mode is (None if request.response_schema is None else SchemaMode.NATIVE)
    sent: dict[str, Any] = dict(exchange.body)
    assert marks_of(normal(body)) <= marks_of(normal(sent))
    assert unmarked(normal(sent)) == unmarked(normal(body))
    takes_sampling = "temperature" in body
    assert exchange.headers["anthropic-version"] == ("2023-06-01" if takes_sampling else "2026-10-21")


def normal(body: dict[str, Any]) -> dict[str, Any]:
    """The body with each way of writing the same thing as one."""
    said = {name: value for name, value in body.items() if value is not None}
    # `stream` is false unless it is given.
    if said.get("stream") is False:
        del said["stream"]
    # The beta's `output_format` is today's `output_config.format`.
    if "output_format" in said:
        said["output_config"] = {"format": said.pop("output_format")}
    # A text stands for one block of text, in a message as in the instructions.
    said["messages"] = [{**each, "content": _blocks(each["content"])} for each in said["messages"]]
    if "system" in said:
        said["system"] = _blocks(said["system"])
    if "tools" in said:
        said["tools"] = [_without_nothing(tool) for tool in said["tools"]]
    return said


def _blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [_without_nothing(block) for block in blocks]


def _without_nothing(block: dict[str, Any]) -> dict[str, Any]:
    """A null field says what its absence says, and so does a tool's empty description."""
    return {name: value for name, value in block.items() if value is not None and (name, value) != ("description", "")}


def _markable(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    places = {f"tools[{index}]": tool for index, tool in enumerate(said.get("tools", []))}
    places |= {f"system[{index}]": block for index, block in enumerate(said.get("system", []))}
    for number, message in enumerate(said["messages"]):
        places |= {f"messages[{number}][{index}]": block for index, block in enumerate(message["content"])}
    return places


def marks_of(said: dict[str, Any]) -> set[tuple[str, str]]:
    """Where the provider is asked to remember, and for how long: five minutes unless it is given."""
    return {
        (place, block["cache_control"].get("ttl", "5m"))
        for place, block in _markable(said).items()
        if "cache_control" in block
    }


def unmarked(said: dict[str, Any]) -> dict[str, Any]:
    """The body without the marks for the cache, which change the price and not the question.

    dipeo marks the end of tools, instructions and conversation; some recorders left one of them out.
    """
    for block in _markable(said).values():
        block.pop("cache_control", None)
    return said


def read_request(body: dict[str, Any]) -> CompletionRequest:
    """The dipeo values that a recorded body is asked for with."""
    messages = [read_message(message) for message in body["messages"]]
    if system := body.get("system"):
        texts = [system] if isinstance(system, str) else [block["text"] for block in system]
        messages = [*(ChatMessage.from_text(Role.SYSTEM, text) for text in texts), *messages]
    shape = body.get("output_format")
    options = {}
    if any(tool.get("type", "").startswith("web_fetch") for tool in body.get("tools", [])):
        options = {"tools": body["tools"]}  # a tool of the provider's that dipeo has no name for
    return CompletionRequest(
        service=CLAUDE,
        model=body["model"],
        messages=tuple(messages),
        sampling=Sampling(
            max_tokens=body["max_tokens"],
            temperature=body.get("temperature"),
            stop=body.get("stop_sequences"),
            reasoning_budget_tokens=body.get("thinking", {}).get("budget_tokens"),
        ),
        tooling=NO_TOOLS if options else read_tooling(body),
        response_schema=ResponseSchema(schema=shape["schema"]) if shape else None,
        prompt_cache=PromptCache.SHORT if marks_of(normal(body)) else PromptCache.DEFAULT,
        provider_options=options,
        is_strict=True,
    )


def read_tooling(body: dict[str, Any]) -> Tooling:
    if "tools" not in body:
        return NO_TOOLS
    words = {"auto": ToolUse.AUTO, "none": ToolUse.NONE, "any": ToolUse.REQUIRED, "tool": ToolUse.NAMED}
    choice = body.get("tool_choice", {"type": "auto"})
    return Tooling(
        tools=tuple(
            ToolSpec(
                name=tool["name"],
                description=tool["description"],
                parameters=tool["input_schema"],
                is_strict=tool.get("strict", False),
            )
            for tool in body["tools"]
            if "input_schema" in tool
        ),
        provider_tools=tuple(ProviderTool(tool["name"]) for tool in body["tools"] if "input_schema" not in tool),
        use=words[choice["type"]],
        named_tool=choice.get("name"),
        is_parallel=False if choice.get("disable_parallel_tool_use") else None,
    )


def read_message(message: dict[str, Any]) -> ChatMessage:
    parts = tuple(read_block(block) for block in _blocks(message["content"]))
    role = Role.TOOL if isinstance(parts[0], ToolResultPart) else Role(message["role"])
    return ChatMessage(role, parts)


def read_block(block: dict[str, Any]) -> Part:
    match block["type"]:
        case "text":
            return TextPart(block["text"])
        case "tool_use":
            return ToolCallPart(call_id=block["id"], name=block["name"], arguments=block["input"])
        case "tool_result":
            return ToolResultPart(call_id=block["tool_use_id"], content=block["content"])
        case "thinking":
            return ReasoningPart(text=block["thinking"], vendor="anthropic", signature=block["signature"])
        case "image":
            source = block["source"]
            return ImagePart(media_type=source["media_type"], data=base64.b64decode(source["data"]))
        case kind:
            return ProviderToolPart(vendor="anthropic", name=kind, data=block)
