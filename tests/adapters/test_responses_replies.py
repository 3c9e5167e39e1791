"""Replies over OpenAI's responses written by hand, for what no recording shows, and broken at random."""

import asyncio
import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import (
    DipeoError,
    EmptyResponseError,
    IncompleteStreamError,
    InvalidRequestError,
    MalformedResponseError,
    ProviderError,
    RateLimitError,
    ValidationError,
)
from dipeo.domain.parts import CitationPart, ProviderToolPart, ReasoningPart, TextPart
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from tests.adapters.replay import ReplayWire, request_for
from tests.adapters.responses_body import adapter_over
from tests.recordings import Recording, insist_or_skip, recordings

OPENAI = LLMService.OPENAI
SERVICES = {"openai": OPENAI, "xai": LLMService.XAI}
ANSWERED = [recording for recording in recordings("responses") if "error" not in recording.expected]
STREAMED = [recording for recording in ANSWERED if recording.is_stream]


def message(text: str = "Hi", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}], **fields}


def response(*output: dict[str, Any], status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"object": "response", "id": "resp_1", "model": "m", "status": status, "output": list(output), **fields}


async def decoded(body: object) -> Completion:
    wire = ReplayWire(status=200, headers={}, body=json.dumps(body).encode())
    return await adapter_over(wire).complete(request_for(OPENAI))


def sse(events: Sequence[object]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


async def streamed(*events: object, tail: bytes = b"") -> tuple[list[CompletionEvent], Completion]:
    wire = ReplayWire(status=200, headers={}, body=sse(events) + tail)
    async with adapter_over(wire).stream(request_for(OPENAI)) as stream:
        seen = [event async for event in stream]
    return seen[:-1], stream.completion


def delta(kind: str, piece: object, place: int = 0) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": place, "delta": piece}


def ended(kind: str, body: object) -> dict[str, Any]:
    return {"type": f"response.{kind}", "response": body}


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_citations_stand_behind_their_text() -> None:
    """Each kind of citation becomes a part behind the text that it belongs to; a path is none."""
    notes = [
        {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2},
        {"type": "file_citation", "file_id": "file_1", "filename": "b.pdf"},
        {"type": "file_path", "file_id": "file_2"},
    ]
    answer = message()
    answer["content"][0]["annotations"] = notes
    completion = await decoded(response(answer, message(" there")))
    assert completion.parts == (
        TextPart("Hi"),
        CitationPart(url="https://a.example", title="A"),
        CitationPart(title="b.pdf"),
        TextPart(" there"),
    )


async def test_what_the_providers_tools_did_is_kept() -> None:
    """Searches and code come as they are, and so does a kind of item that nobody knows yet."""
    code: dict[str, Any] = {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "code": "1+1",
        "outputs": [{"type": "logs", "logs": "2"}],
    }
    odd = {"type": "hologram_call", "id": "h_1"}
    completion = await decoded(response(code, odd, message("2")))
    assert completion.parts == (
        ProviderToolPart(vendor="openai", name="code_execution", data=code),
        ProviderToolPart(vendor="openai", name="hologram_call", data=odd),
        TextPart("2"),
    )


async def test_a_thought_keeps_its_paragraphs() -> None:
    """Each paragraph of a summary is a part; the first one carries the encrypted whole."""
    summary = [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}]
    thought = {"type": "reasoning", "id": "rs_1", "encrypted_content": "sig", "summary": summary}
    completion = await decoded(response(thought, message()))
    assert completion.parts[:2] == (
        ReasoningPart(text="One.", vendor="openai", id="rs_1", signature="sig"),
        ReasoningPart(text="Two.", vendor="openai", id="rs_1"),
    )


CALLS: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "whole": ({"arguments": '{"a": 1}'}, {"a": 1}, None),
    "without arguments": ({"arguments": ""}, {}, None),
    "with arguments that are no text": ({"arguments": {"a": 1}}, {"a": 1}, None),
    "with a list": ({"arguments": "[1]"}, {}, "[1]"),
    "cut": ({"arguments": '{"a": '}, {}, '{"a": '),
    "cut where it could have ended": ({"arguments": "{}", "status": "incomplete"}, {}, "{}"),
    "cut before it began": ({"arguments": "", "status": "incomplete"}, {}, ""),
    "with no number": ({"arguments": '{"a": NaN}'}, {}, '{"a": NaN}'),
    "too deep": ({"arguments": '{"a": ' * 70 + "1" + "}" * 70}, {}, '{"a": ' * 70 + "1" + "}" * 70),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_whole_or_broken(name: str) -> None:
    """Arguments are an object, or they are kept as the text that nobody may act on."""
    fields, arguments, broken = CALLS[name]
    item = {"type": "function_call", "call_id": "c1", "name": "weather", **fields}
    (call,) = (await decoded(response(item))).tool_calls
    assert (call.call_id, call.name, call.arguments) == ("c1", "weather", arguments)
    assert call.broken_arguments == broken


async def test_a_call_without_an_id_is_given_one() -> None:
    """The id is made of the call's place, alike in a reply and in a stream."""
    items = [{"type": "function_call", "name": "weather", "arguments": "{}"}] * 2
    assert [call.call_id for call in (await decoded(response(*items))).tool_calls] == ["call_0", "call_1"]
    done = [
        {"type": "response.output_item.done", "output_index": place, "item": item} for place, item in enumerate(items)
    ]
    events, completion = await streamed(*done, ended("completed", response(*items)))
    assert [event.call_id for event in events if isinstance(event, ToolCallDelta) and event.arguments] == [
        call.call_id for call in completion.tool_calls
    ]


FINISHES: dict[str, tuple[dict[str, Any], FinishReason, str]] = {
    "cut": (
        response(message(), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        FinishReason.LENGTH,
        "incomplete:max_output_tokens",
    ),
    "cut before a word": (
        response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        FinishReason.LENGTH,
        "incomplete:max_output_tokens",
    ),
    "filtered": (
        response(status="incomplete", incomplete_details={"reason": "content_filter"}),
        FinishReason.CONTENT_FILTER,
        "incomplete:content_filter",
    ),
    "cut for a new reason": (
        response(message(), status="incomplete", incomplete_details={"reason": "tired"}),
        FinishReason.OTHER,
        "incomplete:tired",
    ),
    "cut for no reason": (response(message(), status="incomplete"), FinishReason.OTHER, "incomplete"),
    "refused": (
        response({"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}),
        FinishReason.CONTENT_FILTER,
        "completed",
    ),
    "in a new way": (response(message(), status="retired"), FinishReason.OTHER, "retired"),
}


@pytest.mark.parametrize("name", FINISHES)
async def test_an_ending_is_told_as_what_it_is(name: str) -> None:
    """Cut, filtered, refused and unheard-of endings are answers, each with its reason; missing usage is not zero."""
    body, reason, word = FINISHES[name]
    completion = await decoded(body)
    assert (completion.finish_reason, completion.raw_finish_reason) == (reason, word)
    assert not completion.usage.is_reported


USELESS: dict[str, tuple[object, type[DipeoError]]] = {
    "without content": (response(), EmptyResponseError),
    "with an empty text": (response(message("")), EmptyResponseError),
    "with a thought that nobody sees": (
        response({"type": "reasoning", "id": "rs_1", "summary": []}),
        EmptyResponseError,
    ),
    "another thing": ({"object": "pudding"}, MalformedResponseError),
    "not finished": (response(status="in_progress"), MalformedResponseError),
    "queued": (response(status="queued"), MalformedResponseError),
    "cancelled": (response(message(), status="cancelled"), ProviderError),
    "failed": (response(status="failed"), ProviderError),
    "failed, and why": (
        response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slowly."}),
        RateLimitError,
    ),
    "a call of nothing": (response({"type": "function_call", "call_id": "c"}), MalformedResponseError),
    "a thought of nothing": (response({"type": "reasoning", "id": 1, "summary": [7]}), EmptyResponseError),
    "a call with half an id": (
        response({"type": "function_call", "call_id": "c\n", "name": "weather"}),
        MalformedResponseError,
    ),
}


@pytest.mark.parametrize("name", USELESS)
async def test_a_response_without_an_answer_is_an_error(name: str) -> None:
    """What holds no answer is an error of its own kind."""
    body, kind = USELESS[name]
    with pytest.raises(kind):
        await decoded(body)


REFUSALS: dict[str, tuple[int, str, type[DipeoError]]] = {
    "an answer that is not kept": (404, "previous_response_not_found", InvalidRequestError),
    "a bad prompt": (400, "invalid_prompt", InvalidRequestError),
    "too fast": (429, "rate_limit_exceeded", RateLimitError),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_over_responses_is_sorted_by_its_code(name: str) -> None:
    """The code decides before the status: an answer that is not kept is no missing model."""
    status, code, kind = REFUSALS[name]
    body = json.dumps({"error": {"code": code, "message": "No."}}).encode()
    with pytest.raises(DipeoError) as caught:
        await adapter_over(ReplayWire(status=status, headers={}, body=body)).complete(request_for(OPENAI))
    assert type(caught.value) is kind


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_pieces_are_told_as_they_come() -> None:
    """Thoughts, text and arguments come piece by piece, the calls told apart by their index."""
    added = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": ""}
    call = {**added, "arguments": '{"a": 1}'}
    thought = {"type": "reasoning", "summary": [{"text": "Hm."}]}
    events, completion = await streamed(
        ended("created", response(status="in_progress")),
        delta("reasoning_summary_text", "Hm."),
        delta("output_text", "H", 1),
        delta("output_text", "i", 1),
        {"type": "response.output_item.added", "output_index": 2, "item": added},
        delta("function_call_arguments", '{"a":', 2),
        delta("function_call_arguments", " 1}", 2),
        {"type": "response.hologram.delta", "delta": "?"},
        ended("completed", response(thought, message(), call)),
    )
    assert events == [
        ReasoningDelta("Hm."),
        TextDelta("H"),
        TextDelta("i"),
        ToolCallDelta(index=0, call_id="c1", name="weather"),
        ToolCallDelta(index=0, call_id="c1", name="weather", arguments='{"a":'),
        ToolCallDelta(index=0, call_id="c1", name="weather", arguments=" 1}"),
    ]
    assert (completion.reasoning, completion.text, completion.tool_calls[0].arguments) == ("Hm.", "Hi", {"a": 1})
    assert completion.finish_reason is FinishReason.TOOL_CALLS


async def test_a_server_that_sends_items_alone_is_understood() -> None:
    """What no piece told is told when the item is whole, and an end without output means the items before it."""
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]}
    items = [thought, message(), {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}]
    done = [
        {"type": "response.output_item.done", "output_index": place, "item": item} for place, item in enumerate(items)
    ]
    events, completion = await streamed(*done, ended("completed", response()))
    assert [event for event in events if not isinstance(event, ToolCallDelta)] == [
        ReasoningDelta("Hm."),
        TextDelta("Hi"),
    ]
    assert "".join(event.arguments for event in events if isinstance(event, ToolCallDelta)) == "{}"
    assert completion.text == "Hi"
    assert completion.tool_calls[0].call_id == "c1"


async def test_nothing_is_told_twice() -> None:
    """An item that is whole repeats its pieces; only what they left out is told."""
    done = {"type": "response.output_item.done", "output_index": 0, "item": message("Hi there")}
    events, _ = await streamed(delta("output_text", "Hi"), done, ended("completed", response(message("Hi there"))))
    assert events == [TextDelta("Hi"), TextDelta(" there")]


async def test_a_cut_stream_is_an_answer_that_was_cut() -> None:
    """The end may say that the answer is not whole, and why."""
    body = response(message("H"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    _, completion = await streamed(delta("output_text", "H"), ended("incomplete", body))
    assert completion.is_truncated


FAILURES: dict[str, tuple[dict[str, Any], type[DipeoError]]] = {
    "an error": ({"type": "error", "code": "rate_limit_exceeded", "message": "Slowly."}, RateLimitError),
    "an error within": ({"type": "error", "error": {"code": "rate_limit_exceeded"}}, RateLimitError),
    "an error without a word": ({"type": "error"}, ProviderError),
    "failed": (ended("failed", response(status="failed", error={"code": "server_error"})), ProviderError),
    "failed for a bad prompt": (ended("failed", response(error={"code": "invalid_prompt"})), InvalidRequestError),
    "failed without a word": ({"type": "response.failed"}, ProviderError),
    "an end without a response": ({"type": "response.completed"}, MalformedResponseError),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_stream_that_fails_says_why(name: str) -> None:
    """Before the first piece it is the error itself; after it, a stream that broke off with what had come."""
    event, kind = FAILURES[name]
    with pytest.raises(DipeoError) as caught:
        await streamed(event)
    assert type(caught.value) is kind
    with pytest.raises(IncompleteStreamError) as broken:
        await streamed(delta("output_text", "H"), event)
    assert broken.value.partial_text == "H"


async def test_the_end_is_demanded() -> None:
    """A stream that stops, or says `[DONE]`, before its own end is incomplete."""
    done = {"type": "response.output_item.done", "output_index": 0, "item": message()}
    for tail in (b"", b"data: [DONE]\n\n"):
        with pytest.raises(IncompleteStreamError):
            await streamed(delta("output_text", "Hi"), done, tail=tail)


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.recordings
@pytest.mark.parametrize("recording", [each for each in ANSWERED if not each.is_stream], ids=str)
async def test_a_recorded_answer_goes_back_as_it_came(recording: Recording) -> None:
    """Reasoning and the work of the provider's tools go back unchanged, calls and text as they were."""
    service = SERVICES[recording.provider]
    wire = ReplayWire(status=200, headers=recording.headers, body=recording.body)
    adapter = adapter_over(wire, service)
    completion = await adapter.complete(request_for(service))
    question = ChatMessage.from_text(Role.USER, "Hello")
    answer = ChatMessage(Role.ASSISTANT, completion.parts)
    again = await adapter.complete(
        CompletionRequest(service=service, model="grok-4.3", messages=(question, answer, question))
    )
    assert again.adaptations == ()
    sent = wire.asked[1].body["input"]
    assert isinstance(sent, list)
    came = [as_sent(item) for item in json.loads(recording.body)["output"]]
    assert [{**item, "arguments": json.loads(item["arguments"])} if "arguments" in item else item for item in sent][
        1:-1
    ] == came


def as_sent(item: dict[str, Any]) -> dict[str, Any]:
    """The item without what the server alone keeps of it."""
    if item["type"] == "message":
        return {"role": "assistant", "content": "".join(piece["text"] for piece in item["content"])}
    if item["type"] == "function_call":
        kept = {name: item[name] for name in ("type", "call_id", "name")}
        return {**kept, "arguments": json.loads(item["arguments"])}
    if item["type"] == "reasoning":
        return {name: item[name] for name in ("type", "id", "summary", "encrypted_content")}
    return item


# --- at random -------------------------------------------------------------------------------------------------------


def run(body: bytes, service: LLMService, *, is_stream: bool = True, piece_bytes: int = 0) -> Completion:
    async def call() -> Completion:
        adapter = adapter_over(ReplayWire(status=200, headers={}, body=body, piece_bytes=piece_bytes), service)
        request = request_for(service)
        return await (adapter.stream(request).collect() if is_stream else adapter.complete(request))

    return asyncio.run(call())


@pytest.mark.recordings
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_cutting_of_the_bytes_gives_the_same_answer(data: st.DataObject) -> None:
    """However a stream arrives, its answer is the same."""
    insist_or_skip()
    recording = data.draw(st.sampled_from(STREAMED))
    piece_bytes = data.draw(st.integers(1, 4000))
    service = SERVICES[recording.provider]
    assert run(recording.body, service, piece_bytes=piece_bytes) == run(recording.body, service)


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.sampled_from(
            ["function_call", "reasoning", "message", "error", "incomplete", "response.completed", "\ud800"]
        ),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def spoilt(draw: st.DrawFn, whole: Any) -> Any:
    """The JSON value with one place of it replaced, or taken away."""
    value = copy.deepcopy(whole)
    spot = value
    while True:
        keys: list[Any] = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
        if not keys:
            return value
        key = draw(st.sampled_from(keys))
        if isinstance(spot[key], dict | list) and spot[key] and draw(st.integers(0, 3)):
            spot = spot[key]
            continue
        if draw(st.booleans()):
            spot[key] = draw(JUNK)
        else:
            del spot[key]
        return value


def events_in(recording: Recording) -> list[Any]:
    lines = recording.body.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


STORIES = [events_in(recording)[:12] + events_in(recording)[-6:] for recording in STREAMED]


def assert_own_errors_alone(body: bytes, *, is_stream: bool) -> None:
    """The body gives an answer or an error of ours, and none that blames the caller for the provider's reply."""
    problem: DipeoError | None = None
    try:
        run(body, OPENAI, is_stream=is_stream)
    except DipeoError as error:
        problem = error
    assert not isinstance(problem, ValidationError)


@pytest.mark.recordings
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_spoilt_stream_is_an_answer_or_an_error_of_ours(data: st.DataObject) -> None:
    """Events with something else in them, missing, doubled or in another order raise nothing foreign."""
    insist_or_skip()
    events = data.draw(spoilt(data.draw(st.sampled_from(STORIES))))
    if isinstance(events, list) and data.draw(st.booleans()):
        events = data.draw(st.permutations(events))
    assert_own_errors_alone(sse(events), is_stream=True)


@pytest.mark.recordings
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_spoilt_reply_is_an_answer_or_an_error_of_ours(data: st.DataObject) -> None:
    """A reply with something else in it, or something missing, raises nothing foreign."""
    insist_or_skip()
    whole = [json.loads(recording.body) for recording in ANSWERED if not recording.is_stream]
    body = data.draw(spoilt(data.draw(st.sampled_from(whole))))
    body["output"] = data.draw(spoilt(body["output"])) if isinstance(body.get("output"), list) else body.get("output")
    assert_own_errors_alone(json.dumps(body).encode(), is_stream=False)
