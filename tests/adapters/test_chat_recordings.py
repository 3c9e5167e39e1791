"""What was really said over chat completions: dipeo asks for the same, and reads the answers to the last part."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import Completion, FinishReason
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.infrastructure.llm.drivers.answer import Answer
from dipeo.infrastructure.llm.drivers.wire import Framing
from dipeo.infrastructure.llm.wires.framing import parser_for
from tests.adapters.chat_reader import read_request
from tests.adapters.replay import ReplayWire, adapter_over, request_for
from tests.recordings import Recording, insist_or_skip, recordings

pytestmark = pytest.mark.recordings

SERVICES = {
    "openai": LLMService.OPENAI,
    "xai": LLMService.XAI,
    "groq": LLMService.GROQ,
    "mistral": LLMService.MISTRAL,
    "deepseek": LLMService.DEEPSEEK,
    "openrouter": LLMService.OPENROUTER,
    "ollama": LLMService.OPENAI_COMPATIBLE,
}
CHATS = recordings("chat.completions")
ANSWERED = [chat for chat in CHATS if "error" not in chat.expected]
STREAMED = [chat for chat in ANSWERED if chat.is_stream]

NOT_ASKED = {"openai-chat-completions-07": "an empty conversation, which dipeo refuses before it is sent"}
ASKED = [chat for chat in CHATS if chat.id not in NOT_ASKED]

# DeepSeek's guide to thinking: 'medium' is 'high' there; dipeo says so itself.
ADAPTED = {"deepseek-chat-completions-06": ["reasoning_effort"]}

CITED = {"openai-chat-completions-10": 3, "openrouter-chat-completions-05": 1}


def service_of(chat: Recording) -> LLMService:
    return SERVICES[chat.provider]


def test_all_rows_are_there() -> None:
    """Forty-five exchanges, of which thirty-nine are answers and fourteen of those streams."""
    insist_or_skip()
    assert {chat.provider for chat in CHATS} == set(SERVICES)
    assert len(CHATS) == 45
    assert len(ANSWERED) == 39
    assert len(STREAMED) == 14
    assert len(ASKED) == len(CHATS) - len(NOT_ASKED)


# --- what is asked ---------------------------------------------------------------------------------------------------


def _tell_defaults(body: dict[str, Any]) -> None:
    """No stream is what is sent when nothing is said; asking for a stream's usage changes nothing in its answer."""
    if body.get("stream") is False:
        del body["stream"]
    body.pop("stream_options", None)


def _join_texts(body: dict[str, Any]) -> None:
    """Pieces that are all text are the same as the text."""
    for message in body["messages"]:
        content = message.get("content")
        if isinstance(content, list) and all(piece["type"] == "text" for piece in content):
            message["content"] = "".join(piece["text"] for piece in content)


def _drop_empty_content(body: dict[str, Any]) -> None:
    """Beside calls, no content, null and an empty text are the same."""
    for message in body["messages"]:
        if message.get("tool_calls") and not message.get("content"):
            message.pop("content", None)


def _parse_arguments(body: dict[str, Any]) -> None:
    """White space in arguments says nothing; what is no JSON is compared as it is."""
    for message in body["messages"]:
        for call in message.get("tool_calls", []):
            with suppress(ValueError):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])


def _drop_echoes(body: dict[str, Any]) -> None:
    """Fields of an answer that mean nothing in a question, and the name of a result, whose call id says more."""
    for message in body["messages"]:
        message.pop("annotations", None)
        if message.get("refusal", "") is None:
            del message["refusal"]
        if message["role"] == "tool":
            message.pop("name", None)


def _unwrap_pictures(body: dict[str, Any]) -> None:
    """Mistral takes a picture's address as it is or in an object."""
    for message in body["messages"]:
        for piece in message["content"] if isinstance(message.get("content"), list) else []:
            if isinstance(piece.get("image_url"), str):
                piece["image_url"] = {"url": piece["image_url"]}


def _speak_deepseek(body: dict[str, Any]) -> None:
    """DeepSeek knows `reasoning_content` alone, and 'medium' as another word for 'high'."""
    if not body["model"].startswith("deepseek-"):
        return
    if body.get("reasoning_effort") == "medium":
        body["reasoning_effort"] = "high"
    for message in body["messages"]:
        message.pop("reasoning", None)


NORMALISATIONS: tuple[Callable[[dict[str, Any]], None], ...] = (
    _tell_defaults,
    _join_texts,
    _drop_empty_content,
    _parse_arguments,
    _drop_echoes,
    _unwrap_pictures,
    _speak_deepseek,
)


def normalised(body: JsonObject) -> dict[str, Any]:
    """The body without what makes no difference."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    for normalise in NORMALISATIONS:
        normalise(copy)
    return copy


@pytest.mark.parametrize("chat", ASKED, ids=str)
def test_dipeo_asks_for_what_was_asked(chat: Recording) -> None:
    """A recorded request, read into dipeo's values and said again, is the same request."""
    service, recorded = service_of(chat), chat.request["json"]
    request = read_request(recorded, service)
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=b""), service)
    asked, _ = adapter.as_taken(request)
    exchange, adaptations = adapter.encode(asked, is_stream=chat.is_stream)
    assert normalised(exchange.body) == normalised(recorded)
    assert [made.parameter for made in adaptations] == ADAPTED.get(chat.id, [])


@pytest.mark.parametrize("chat", [chat for chat in CHATS if chat.id in NOT_ASKED], ids=str)
def test_an_empty_conversation_is_refused_at_home(chat: Recording) -> None:
    """The one recorded request that dipeo does not make is refused before it is sent."""
    with pytest.raises(ValidationError):
        read_request(chat.request["json"], service_of(chat))


# --- what is answered ------------------------------------------------------------------------------------------------


def assert_says_what_is_expected(completion: Completion, chat: Recording) -> None:
    expected = chat.expected
    assert completion.text == expected.get("text", expected.get("refusal", ""))
    if "thinking" in expected:
        assert completion.reasoning == expected["thinking"]
    calls = [{"id": c.call_id, "name": c.name, "arguments": dict(c.arguments)} for c in completion.tool_calls]
    assert calls == expected.get("tool_calls", [])
    assert all(call.broken_arguments is None for call in completion.tool_calls)
    assert completion.raw_finish_reason == expected["finish"]
    if calls:
        assert completion.finish_reason is FinishReason.TOOL_CALLS
    assert (completion.finish_reason is FinishReason.CONTENT_FILTER) == ("refusal" in expected)
    assert completion.model == expected["model"]
    usage = completion.usage
    assert (usage.input_tokens, usage.output_tokens) == (expected["input_tokens"], expected["output_tokens"])
    assert usage.cached_tokens == expected.get("cached_tokens", 0)
    assert usage.reasoning_tokens == expected.get("reasoning_tokens", 0)
    assert len(completion.citations) == CITED.get(chat.id, 0)
    assert all(citation.url and citation.title for citation in completion.citations)


@pytest.mark.parametrize("chat", [chat for chat in ANSWERED if not chat.is_stream], ids=str)
async def test_an_answer_is_read_whole(chat: Recording) -> None:
    """Text, reasoning, calls, citations, finish and usage of a unary reply come out as they stand in it."""
    service = service_of(chat)
    wire = ReplayWire(status=chat.status, headers=chat.headers, body=chat.body)
    assert_says_what_is_expected(await adapter_over(wire, service).complete(request_for(service)), chat)


@pytest.mark.parametrize("piece_bytes", [0, 1, 7], ids=["whole", "1-byte", "7-byte"])
@pytest.mark.parametrize("chat", STREAMED, ids=str)
async def test_a_stream_is_read_whole(chat: Recording, piece_bytes: int) -> None:
    """A stream comes out the same however its bytes are cut, and its events join to the whole."""
    service = service_of(chat)
    wire = ReplayWire(status=chat.status, headers=chat.headers, body=chat.body, piece_bytes=piece_bytes)
    async with adapter_over(wire, service).stream(request_for(service)) as stream:
        events = [event async for event in stream]
    assert_says_what_is_expected(stream.completion, chat)
    assert_events_join(events, stream.completion)


def assert_events_join(events: list[CompletionEvent], whole: Completion | Answer) -> None:
    """What arrived piece by piece is what the answer holds."""
    text, thought = "", ""
    arguments: dict[int, str] = {}
    names: dict[int, tuple[str, str]] = {}
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, ReasoningDelta):
            thought += event.text
        elif isinstance(event, ToolCallDelta):
            arguments[event.index] = arguments.get(event.index, "") + event.arguments
            assert names.setdefault(event.index, (event.call_id, event.name)) == (event.call_id, event.name)
    parts = whole.parts
    completion = Completion(
        service=LLMService.OPENAI, model="m", parts=parts, finish_reason=FinishReason.STOP, raw_finish_reason=""
    )
    assert text == completion.text
    assert thought == completion.reasoning
    assert list(names) == list(range(len(completion.tool_calls)))
    for index, call in enumerate(completion.tool_calls):
        assert names[index] == (call.call_id, call.name)
        assert json.loads(arguments[index] or "{}") == call.arguments


def fed(chat: Recording, pieces: list[bytes]) -> tuple[list[CompletionEvent], Answer]:
    """The events and the answer of a stream that arrives in these pieces."""
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=b""), service_of(chat))
    decoder, parser = adapter.stream_decoder(), parser_for(Framing.SSE)
    events: list[CompletionEvent] = []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, dict):
                events += decoder.feed(event)
            else:
                decoder.end()
    assert list(parser.finish()) == []
    return events, decoder.answer()


@pytest.mark.parametrize("chat", STREAMED, ids=str)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_cut_gives_the_same_events(chat: Recording, data: st.DataObject) -> None:
    """Wherever the bytes of a stream are cut, its events and its answer are the same."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(chat.body) - 1), max_size=40)))
    pieces = [chat.body[start:end] for start, end in zip([0, *cuts], [*cuts, len(chat.body)], strict=True)]
    events, answer = fed(chat, pieces)
    assert (events, answer) == fed(chat, [chat.body])
    assert_events_join(events, answer)
