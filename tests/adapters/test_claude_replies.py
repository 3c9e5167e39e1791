"""Anthropic's answers that no recording shows, and what holds for all of them however they are cut."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import (
    DipeoError,
    EmptyResponseError,
    IncompleteStreamError,
    MalformedResponseError,
    OverloadedError,
)
from dipeo.domain.parts import (
    CitationPart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.domain.tools import ResponseSchema, SchemaMode, Tooling, ToolSpec
from dipeo.infrastructure.llm.adapters._claude_models import capabilities_of
from dipeo.infrastructure.llm.adapters._claude_reply import MessageStreamDecoder, decode_blocks, decode_message
from dipeo.infrastructure.llm.adapters._claude_request import encode_request
from tests.adapters.replay import ReplayWire, adapter_over, request_for

CLAUDE = LLMService.ANTHROPIC
MODEL = "claude-sonnet-5"
Event = dict[str, Any]


def answered(*blocks: dict[str, Any], stop_reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    return {"type": "message", "model": MODEL, "content": list(blocks), "stop_reason": stop_reason, **more}


def streamed(*events: Event, stop_reason: str = "end_turn") -> list[Event]:
    """A whole stream around these events."""
    return [
        {"type": "message_start", "message": {"model": MODEL, "usage": {"input_tokens": 3, "output_tokens": 1}}},
        *events,
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


def start(block: dict[str, Any], index: int = 0) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(kind: str, index: int = 0, **said: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **said}}


def sse(events: list[Event]) -> bytes:
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


async def events_of(events: list[Event], request: CompletionRequest | None = None) -> list[CompletionEvent]:
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=sse(events)), CLAUDE)
    async with adapter.stream(request or request_for(CLAUDE)) as stream:
        return [event async for event in stream]


async def completion_of(events: list[Event]) -> Completion:
    last = (await events_of(events))[-1]
    assert isinstance(last, CompletionEnd)
    return last.completion


async def unary(body: dict[str, Any], request: CompletionRequest | None = None) -> Completion:
    wire = ReplayWire(status=200, headers={}, body=json.dumps(body).encode())
    return await adapter_over(wire, CLAUDE).complete(request or request_for(CLAUDE))


# --- by hand ----------------------------------------------------------------------------------------------------------


async def test_hidden_and_redacted_thoughts_are_kept_for_their_proof() -> None:
    """There is nothing to read in them, and everything to send back."""
    hidden = {"type": "thinking", "thinking": "", "signature": "aGlk"}
    redacted = {"type": "redacted_thinking", "data": "cmVk"}
    completion = await unary(answered(hidden, redacted, {"type": "text", "text": "Hi"}))
    assert completion.parts == (
        ReasoningPart(text="", vendor="anthropic", signature="aGlk"),
        ReasoningPart(text="", vendor="anthropic", signature="cmVk", is_redacted=True),
        TextPart("Hi"),
    )
    pieces = [
        start({"type": "thinking", "thinking": "", "signature": ""}),
        delta("signature_delta", signature="aGlk"),
        start(redacted, 1),
        start({"type": "text", "text": ""}, 2),
        delta("text_delta", 2, text="Hi"),
    ]
    assert (await completion_of(streamed(*pieces))).parts == completion.parts


async def test_citations_stand_behind_the_text_that_they_support() -> None:
    """In a stream they come before it; a document's page names the document."""
    web = {"type": "web_search_result_location", "url": "https://x.test", "title": "X", "cited_text": "rain"}
    page = {"type": "page_location", "document_title": "Report", "cited_text": "sun", "title": None}
    found = {"type": "search_result_location", "source": "kb://1", "title": None, "cited_text": "wind"}
    text = {"type": "text", "text": "Rain.", "citations": [web, page, found]}
    completion = await unary(answered(text))
    assert completion.parts == (
        TextPart("Rain."),
        CitationPart(url="https://x.test", title="X", text="rain"),
        CitationPart(title="Report", text="sun"),
        CitationPart(url="kb://1", text="wind"),
    )
    pieces = [
        start({"type": "text", "text": "", "citations": []}),
        *(delta("citations_delta", citation=citation) for citation in (web, page, found)),
        delta("text_delta", text="Rain."),
    ]
    assert (await completion_of(streamed(*pieces))).parts == completion.parts


async def test_calls_come_in_pieces_that_tell_which_call_they_are_of() -> None:
    """Each call is announced; one without arguments is nothing but announced."""
    pieces = [
        start({"type": "tool_use", "id": "c1", "name": "weather", "input": {}}),
        delta("input_json_delta", partial_json=""),
        delta("input_json_delta", partial_json='{"city": '),
        delta("input_json_delta", partial_json='"Bonn"}'),
        start({"type": "tool_use", "id": "", "name": "clock", "input": {}}, 1),
    ]
    events = await events_of(streamed(*pieces, stop_reason="tool_use"))
    assert events[:-1] == [
        ToolCallDelta(index=0, call_id="c1", name="weather", arguments=""),
        ToolCallDelta(index=0, call_id="c1", name="weather", arguments='{"city": '),
        ToolCallDelta(index=0, call_id="c1", name="weather", arguments='"Bonn"}'),
        ToolCallDelta(index=1, call_id="call_1", name="clock", arguments=""),
    ]
    assert isinstance(events[-1], CompletionEnd)
    completion = events[-1].completion
    assert completion.finish_reason is FinishReason.TOOL_CALLS
    assert completion.tool_calls == (
        ToolCallPart(call_id="c1", name="weather", arguments={"city": "Bonn"}),
        ToolCallPart(call_id="call_1", name="clock", arguments={}),
    )


@pytest.mark.parametrize("text", ['{"city": "Bo', '["Bonn"]', '{"city": NaN}', "[" * 5000, '{"a": ' + "9" * 30 + "}"])
async def test_arguments_that_are_no_object_are_kept_as_their_text(text: str) -> None:
    """A call that was cut off, or is otherwise not to be carried out, shows what it was."""
    pieces = [
        start({"type": "tool_use", "id": "c1", "name": "weather", "input": {}}),
        delta("input_json_delta", partial_json=text),
    ]
    (call,) = (await completion_of(streamed(*pieces, stop_reason="max_tokens"))).tool_calls
    assert call.arguments == {}
    assert call.broken_arguments
    assert call.broken_arguments == text or json.loads(call.broken_arguments) is not None


async def test_a_call_without_a_name_is_no_answer() -> None:
    """It cannot be carried out, and nobody knows what it was."""
    with pytest.raises(MalformedResponseError):
        await unary(answered({"type": "tool_use", "id": "c1", "input": {}}, stop_reason="tool_use"))


async def test_a_promise_of_calls_without_any_is_empty() -> None:
    """There is nothing to go on with."""
    with pytest.raises(EmptyResponseError):
        await unary(answered(stop_reason="tool_use"))


async def test_what_the_providers_tools_did_is_kept_as_it_came() -> None:
    """Asked in pieces, answered whole; a paused turn consists of them alone."""
    asked: dict[str, Any] = {"type": "server_tool_use", "id": "s1", "name": "code_execution", "input": {"code": "1+1"}}
    done: dict[str, Any] = {"type": "code_execution_tool_result", "tool_use_id": "s1", "content": {"stdout": "2"}}
    pieces = [
        start({**asked, "input": {}}),
        delta("input_json_delta", partial_json='{"code": "1+'),
        delta("input_json_delta", partial_json='1"}'),
        start(done, 1),
    ]
    events = await events_of(streamed(*pieces, stop_reason="pause_turn"))
    assert len(events) == 1
    assert isinstance(events[0], CompletionEnd)
    completion = events[0].completion
    assert completion.finish_reason is FinishReason.PAUSED
    assert completion.parts == (
        ProviderToolPart(vendor="anthropic", name="code_execution", data=asked),
        ProviderToolPart(vendor="anthropic", name="code_execution", data=done),
    )
    assert (await unary(answered(asked, done, stop_reason="pause_turn"))).parts == completion.parts


async def test_a_refusal_is_an_answer() -> None:
    """With or without words, it ends because of what was asked."""
    completion = await unary(answered(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"}))
    assert completion.finish_reason is FinishReason.CONTENT_FILTER
    assert completion.raw is not None


async def test_an_error_amid_a_stream_is_sorted_by_its_type() -> None:
    """The status was 200: the type decides. What had come is kept where something had."""
    broken = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(OverloadedError):
        await events_of([{"type": "message_start", "message": {}}, broken])
    with pytest.raises(IncompleteStreamError) as caught:
        await events_of([start({"type": "text", "text": ""}), delta("text_delta", text="Hel"), broken])
    assert caught.value.context["partial_text"] == "Hel"


async def test_what_was_written_to_the_cache_is_counted_once() -> None:
    """As a total, or by how long it is kept; both lie within the input."""
    split = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
    text = {"type": "text", "text": "Hi"}
    counts = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 5, "cache_creation": split}
    for told in ({**counts, "cache_creation_input_tokens": 7}, counts):
        usage = (await unary(answered(text, usage=told))).usage
        assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (13, 5, 7)
        assert (usage.cache_write_short_tokens, usage.cache_write_long_tokens) == (3, 4)
    later = (await unary(answered(text, usage={**counts, "cache_creation_input_tokens": 9}))).usage
    assert (later.cache_write_tokens, later.cache_write_short_tokens, later.cache_write_long_tokens) == (9, 3, 4)
    fewer = (await unary(answered(text, usage={**counts, "cache_creation_input_tokens": 6}))).usage
    assert (fewer.cache_write_tokens, fewer.cache_write_short_tokens, fewer.cache_write_long_tokens) == (6, 0, 0)
    null = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": None}}
    events = streamed(start({"type": "text", "text": "Hi"}))
    completion = await completion_of([*events[:-2], null, events[-1]])
    assert completion.usage.input_tokens == 3


async def test_the_answer_of_a_forced_tool_is_text() -> None:
    """A schema that the provider does not take natively is a tool's, and its arguments are the answer."""
    schema: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "integer"}}
    request = CompletionRequest(
        service=CLAUDE,
        model=MODEL,
        messages=(ChatMessage.from_text(Role.USER, "Count."),),
        response_schema=ResponseSchema(schema=schema, is_strict=False),
    )
    pieces = [
        start({"type": "tool_use", "id": "c1", "name": "answer", "input": {}}),
        delta("input_json_delta", partial_json='{"a": 1}'),
    ]
    events = await events_of(streamed(*pieces, stop_reason="tool_use"), request)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == '{"a": 1}'
    assert isinstance(events[-1], CompletionEnd)
    completion = events[-1].completion
    assert (completion.text, completion.schema_mode) == ('{"a": 1}', SchemaMode.TOOL)
    assert completion.finish_reason is FinishReason.STOP


# --- for all answers --------------------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), max_size=12)
some_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda text: not text.isspace())
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,9}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, values, max_size=3)
citations = st.fixed_dictionaries({"type": st.just("page_location"), "cited_text": words, "document_title": words})
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": some_words, "citations": st.lists(citations, max_size=2)}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": words, "signature": some_words}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": some_words}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "id": names, "name": names, "input": objects}),
    st.fixed_dictionaries({"type": st.just("server_tool_use"), "id": names, "name": names, "input": objects}),
    st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "tool_use_id": names, "content": values}),
)


def cut(text: str, data: st.DataObject) -> list[str]:
    """The text in pieces of any size."""
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[begin:end] for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def as_events(block: dict[str, Any], index: int, data: st.DataObject) -> list[Event]:
    """A block as a stream brings it."""
    match block["type"]:
        case "text":
            return [
                start({**block, "text": "", "citations": []}, index),
                *(delta("citations_delta", index, citation=each) for each in block["citations"]),
                *(delta("text_delta", index, text=piece) for piece in cut(block["text"], data)),
            ]
        case "thinking":
            return [
                start({**block, "thinking": "", "signature": ""}, index),
                *(delta("thinking_delta", index, thinking=piece) for piece in cut(block["thinking"], data)),
                delta("signature_delta", index, signature=block["signature"]),
            ]
        case "tool_use" | "server_tool_use":
            pieces = cut(json.dumps(block["input"]), data)
            return [
                start({**block, "input": {}}, index),
                *(delta("input_json_delta", index, partial_json=piece) for piece in pieces),
            ]
        case _:
            return [start(block, index)]


@given(said=st.lists(blocks, min_size=1, max_size=5), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_stream_says_what_the_whole_reply_would(said: list[dict[str, Any]], data: st.DataObject) -> None:
    """However an answer is cut, its events join to the parts of the whole one."""
    whole = decode_message(answered(*said))
    decoder = MessageStreamDecoder()
    events: list[CompletionEvent] = []
    for event in streamed(*(each for index, block in enumerate(said) for each in as_events(block, index, data))):
        events.extend(decoder.feed(event))
    assert decoder.is_complete
    assert decoder.answer().parts == whole.parts
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "".join(
        part.text for part in whole.parts if isinstance(part, TextPart)
    )
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "".join(
        part.text for part in whole.parts if isinstance(part, ReasoningPart)
    )
    calls = [part for part in whole.parts if isinstance(part, ToolCallPart)]
    for index, call in enumerate(calls):
        pieces = [event for event in events if isinstance(event, ToolCallDelta) and event.index == index]
        assert {(piece.call_id, piece.name) for piece in pieces} == {(call.call_id, call.name)}
        assert json.loads("".join(piece.arguments for piece in pieces)) == call.arguments


@given(said=st.lists(blocks, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_what_was_decoded_goes_back_as_it_came(said: list[dict[str, Any]]) -> None:
    """All of an answer but its citations is sent back, block by block, unless it ends in a thought."""
    came = [{**block, "id": f"c{index}"} if block["type"] == "tool_use" else block for index, block in enumerate(said)]
    came.append({"type": "text", "text": "end", "citations": []})
    parts = decode_blocks(came)
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    behind: tuple[Part, ...] = tuple(ToolResultPart(call_id=call.call_id, content="done") for call in calls)
    request = CompletionRequest(
        service=CLAUDE,
        model=MODEL,
        messages=(
            ChatMessage.from_text(Role.USER, "Hello"),
            ChatMessage(Role.ASSISTANT, parts),
            ChatMessage(Role.TOOL, behind) if behind else ChatMessage.from_text(Role.USER, "And?"),
        ),
        tooling=Tooling(tools=(ToolSpec(name="any"),)),
        is_strict=True,
    )
    sent: Any = encode_request(request, capabilities_of(MODEL), is_stream=False)[0].body["messages"]
    uncited = [{name: value for name, value in block.items() if name != "citations"} for block in came]
    content = sent[1]["content"]
    assert ([{"type": "text", "text": content}] if isinstance(content, str) else content) == uncited


turn_ids = st.sampled_from(["call_0", "call_1", "a:b", "a.b", "a_b"])


@given(
    rounds=st.lists(
        st.tuples(st.lists(turn_ids, min_size=1, max_size=3, unique=True), st.booleans(), st.randoms()), max_size=4
    )
)
@settings(max_examples=150, deadline=None)
def test_every_result_follows_its_call_under_an_id_of_its_own(rounds: list[tuple[list[str], bool, Any]]) -> None:
    """Whatever ids other vendors gave, and in whatever order the results came."""
    messages = [ChatMessage.from_text(Role.USER, "Hello")]
    for ids, is_interrupted, order in rounds:
        calls = tuple(ToolCallPart(call_id=each, name="tool", arguments={"id": each}) for each in ids)
        messages.append(ChatMessage(Role.ASSISTANT, calls))
        if is_interrupted:
            messages.append(ChatMessage.from_text(Role.USER, "Hurry!"))
        answers = [ToolResultPart(call_id=each, content=each) for each in ids]
        order.shuffle(answers)
        messages.extend(ChatMessage(Role.TOOL, (answer,)) for answer in answers)
    request = CompletionRequest(
        service=CLAUDE,
        model=MODEL,
        messages=tuple(messages),
        tooling=Tooling(tools=(ToolSpec(name="tool"),)),
        is_strict=True,
    )
    sent: Any = encode_request(request, capabilities_of(MODEL), is_stream=False)[0].body["messages"]
    seen: set[str] = set()
    for turn, (calling, answering) in zip(rounds, zip(sent[1::2], sent[2::2], strict=True), strict=True):
        asked = {block["id"]: block["input"]["id"] for block in calling["content"]}
        first = answering["content"][: len(turn[0])]
        assert {block["tool_use_id"]: block["content"] for block in first} == asked
        assert not seen & asked.keys()
        seen |= asked.keys()
    assert all(each.isascii() and each.replace("_", "").replace("-", "").isalnum() for each in seen)


KINDS = ("text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result")
FIELDS = ("text", "thinking", "signature", "data", "id", "name", "input", "citations", "partial_json", "citation")
odd_blocks = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(KINDS) | values,
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=5),
)


@given(inner=st.lists(odd_blocks, max_size=4), stop=words, usage=values)
@settings(max_examples=250, deadline=None)
def test_no_reply_raises_anything_but_our_errors(inner: list[dict[str, Any]], stop: str, usage: Any) -> None:
    """Whatever JSON comes, it is an answer or one of dipeo's errors, whole and in pieces."""
    with contextlib.suppress(DipeoError):
        decode_message({"type": "message", "content": inner, "stop_reason": stop, "usage": usage})
    decoder = MessageStreamDecoder()
    deltas = ("text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta")
    with contextlib.suppress(DipeoError):
        decoder.feed({"type": "message_start", "message": {"usage": usage, "content": inner}})
        for index, block in enumerate(inner):
            decoder.feed(start(block, index))
            for kind in deltas:
                decoder.feed({"type": "content_block_delta", "index": index, "delta": {**block, "type": kind}})
        decoder.feed({"type": "message_delta", "delta": usage, "usage": usage})
        decoder.answer()
