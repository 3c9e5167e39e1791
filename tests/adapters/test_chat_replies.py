"""Replies of chat completions that no recording shows, whole and piece by piece."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import EmptyResponseError, ToolCallInvalidError, ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.parts import CitationPart, ProviderToolPart, ReasoningPart, TextPart, ToolCallPart
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.domain.tools import ResponseSchema, SchemaMode
from dipeo.infrastructure.llm.drivers.answer import Answer
from tests.adapters.replay import ReplayWire, adapter_over, request_for

OPENAI, XAI, GROQ = LLMService.OPENAI, LLMService.XAI, LLMService.GROQ
OPENROUTER, MISTRAL = LLMService.OPENROUTER, LLMService.MISTRAL

Message = dict[str, Any]


def whole(message: Message, *, service: LLMService = OPENAI, finish: str = "stop", **more: Any) -> Answer:
    """The answer in a unary reply with this message."""
    body = {"id": "r", "model": "m", "choices": [{"message": message, "finish_reason": finish}], **more}
    return adapter_over(ReplayWire(status=200, headers={}, body=b""), service).decode(body)


def streamed(
    *deltas: Message, service: LLMService = OPENAI, finish: str = "stop", **more: Any
) -> tuple[list[CompletionEvent], Answer]:
    """The events and the answer of a stream with these deltas; what is more comes with the last chunk."""
    decoder = adapter_over(ReplayWire(status=200, headers={}, body=b""), service).stream_decoder()
    events: list[CompletionEvent] = []
    for delta in deltas:
        events += decoder.feed({"id": "r", "model": "m", "choices": [{"delta": delta, "finish_reason": None}]})
    events += decoder.feed({"choices": [{"delta": {}, "finish_reason": finish}], **more})
    decoder.end()
    return events, decoder.answer()


def call(arguments: Any = "{}", *, name: str | None = "weather", **more: Any) -> Message:
    """A call, or a piece of one."""
    function = {"arguments": arguments} | ({"name": name} if name is not None else {})
    return {"type": "function", "function": function, **more}


def calls_of(answer: Answer) -> list[tuple[str, dict[str, Any], str | None]]:
    return [
        (part.call_id, dict(part.arguments), part.broken_arguments)
        for part in answer.parts
        if isinstance(part, ToolCallPart)
    ]


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "parsed", "broken"),
    [
        ('{"city": "Köln"}', {"city": "Köln"}, None),
        ({"city": "Köln"}, {"city": "Köln"}, None),
        ("", {}, None),
        (" ", {}, None),
        ('{"city": "Kö', {}, '{"city": "Kö'),
        ('["Köln"]', {}, '["Köln"]'),
        ("null", {}, "null"),
        ('{"n": NaN}', {}, '{"n": NaN}'),
        ("[" * 100_000, {}, "[" * 100_000),
        ('{"a":' * 80 + "1" + "}" * 80, {}, '{"a":' * 80 + "1" + "}" * 80),
    ],
    ids=["text", "object", "none", "space", "cut", "list", "null", "nan", "deep", "too deep for us"],
)
def test_arguments_are_an_object_or_broken(arguments: object, parsed: object, broken: object) -> None:
    """What is no JSON object that can be sent on is kept as the text that it is."""
    answer = whole({"tool_calls": [call(arguments, id="c")]}, finish="tool_calls")
    assert calls_of(answer) == [("c", parsed, broken)]
    assert answer.finish_reason is FinishReason.TOOL_CALLS


def test_a_call_that_was_cut_off_before_its_arguments_is_broken() -> None:
    """No arguments are as good as none needed, unless the answer ran into its limit."""
    answer = whole({"tool_calls": [call("", id="c")]}, finish="length")
    assert calls_of(answer) == [("c", {}, "")]
    assert answer.finish_reason is FinishReason.LENGTH


def test_calls_without_an_id_or_with_anothers_get_their_own() -> None:
    """Two calls never share an id, and the same reply always gives the same ones."""
    message = {"tool_calls": [call(), call(id="call_0"), call(id="a"), call(id="a"), call(id="")]}
    answer = whole(message, finish="tool_calls")
    assert [each[0] for each in calls_of(answer)] == ["call_0", "call_1", "a", "call_3", "call_4"]
    assert calls_of(whole(message)) == calls_of(answer)


def test_a_call_without_a_name_is_an_error() -> None:
    """Nobody could carry it out."""
    with pytest.raises(ToolCallInvalidError):
        whole({"tool_calls": [call(name=None)]}, finish="tool_calls")


def test_the_old_way_of_calling_is_still_read() -> None:
    """Some compatible servers know no other."""
    answer = whole({"content": None, "function_call": {"name": "weather", "arguments": "{}"}}, finish="function_call")
    assert calls_of(answer) == [("call_0", {}, None)]


PIECES: dict[str, list[Message]] = {
    "by index": [
        {"tool_calls": [call("", id="a", index=0)]},
        {"tool_calls": [call('{"n"', name=None, index=0), call("", id="b", index=1)]},
        {"tool_calls": [call(":1}", name=None, index=0), call('{"n":2}', name=None, index=1)]},
    ],
    "all numbered 0": [
        {"tool_calls": [call('{"n":1}', id="a", index=0)]},
        {"tool_calls": [call('{"n":2}', id="b", index=0)]},
    ],
    "without a number, each whole": [
        {"tool_calls": [call('{"n":1}', id="a"), call('{"n":2}', id="b")]},
    ],
    "without a number, in pieces": [
        {"tool_calls": [call('{"n"', id="a")]},
        {"tool_calls": [call(":1}", name=None)]},
        {"tool_calls": [call('{"n"', id="b")]},
        {"tool_calls": [call(":2}", name=None, id="b")]},
    ],
    "with id and name in every piece": [
        {"tool_calls": [call('{"n"', id="a", index=0)]},
        {"tool_calls": [call(":1}", id="a", index=0)]},
        {"tool_calls": [call('{"n":2}', id="b", index=1)]},
    ],
    "with a name that comes late": [
        {"tool_calls": [call('{"n"', name=None, id="a", index=0)]},
        {"tool_calls": [call(":1}", index=0)]},
        {"tool_calls": [call('{"n":2}', id="b", index=1)]},
    ],
}


@pytest.mark.parametrize("name", PIECES)
def test_pieces_of_calls_find_each_other(name: str) -> None:
    """However a provider numbers them, the calls are the same two, and their pieces join to them."""
    events, answer = streamed(*PIECES[name], finish="tool_calls")
    assert calls_of(answer) == [("a", {"n": 1}, None), ("b", {"n": 2}, None)]
    pieces: dict[tuple[int, str, str], str] = {}
    for event in events:
        assert isinstance(event, ToolCallDelta)
        key = (event.index, event.call_id, event.name)
        pieces[key] = pieces.get(key, "") + event.arguments
    assert pieces == {(0, "a", "weather"): '{"n":1}', (1, "b", "weather"): '{"n":2}'}


JSON_KEYS = st.text(st.characters(codec="utf-8"), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(JSON_KEYS, inner, max_size=3),
    max_leaves=8,
)
CALLS = st.lists(
    st.builds(
        ToolCallPart,
        call_id=st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
        name=st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True),
        arguments=st.dictionaries(JSON_KEYS, JSON_VALUES, max_size=4),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda part: part.call_id,
)


@given(calls=CALLS, text=st.text(st.characters(codec="utf-8"), max_size=20), data=st.data())
@settings(max_examples=60, deadline=None)
def test_calls_come_back_as_they_went(calls: list[ToolCallPart], text: str, data: st.DataObject) -> None:
    """What is sent back of a model's calls reads as the same calls, whole and in pieces of any size."""
    said = ([TextPart(text)] if text else []) + calls
    request = CompletionRequest(service=OPENAI, model="gpt-4o", messages=(ChatMessage(Role.ASSISTANT, tuple(said)),))
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=b""), OPENAI)
    messages = adapter.encode(request, is_stream=False)[0].body["messages"]
    assert isinstance(messages, list)
    message: Message = messages[0]
    answer = whole(message, finish="tool_calls")
    assert answer.parts == tuple(said)
    deltas: list[Message] = [{"content": message["content"]}]
    for index, item in enumerate(message["tool_calls"]):
        arguments = item["function"]["arguments"]
        cut = data.draw(st.integers(0, len(arguments)))
        deltas.append({"tool_calls": [{**call("", name=item["function"]["name"]), "id": item["id"], "index": index}]})
        deltas += [
            {"tool_calls": [call(piece, name=None, index=index)]} for piece in (arguments[:cut], arguments[cut:])
        ]
    _, joined = streamed(*deltas, finish="tool_calls")
    assert joined == answer


MESSAGES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("content", "refusal", "reasoning", "reasoning_content", "annotations", "executed_tools", "function_call"),
        JSON_VALUES,
    )
    | {
        "tool_calls": JSON_VALUES
        | st.lists(
            st.fixed_dictionaries(
                {"function": JSON_VALUES | st.fixed_dictionaries({"name": JSON_VALUES, "arguments": JSON_VALUES})},
                optional={"id": JSON_VALUES, "index": JSON_VALUES},
            ),
            max_size=3,
        ),
        "reasoning_details": st.lists(
            st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "index", "text", "data", "id"), JSON_VALUES)),
            max_size=3,
        ),
    },
)


@given(messages=st.lists(MESSAGES, min_size=1, max_size=3), finish=st.sampled_from(["stop", "length", "tool_calls"]))
@settings(max_examples=200, deadline=None)
def test_whatever_a_reply_holds_it_is_an_answer_or_an_error_of_ours(messages: list[Message], finish: str) -> None:
    """A provider's nonsense never ends in a crash, whole or in pieces."""
    with suppress(EmptyResponseError, ToolCallInvalidError, ValidationError):
        whole(messages[0], finish=finish)
    with suppress(EmptyResponseError, ToolCallInvalidError, ValidationError):
        streamed(*messages, finish=finish)


# --- thoughts --------------------------------------------------------------------------------------------------------

SIGNED: list[JsonObject] = [
    {"type": "reasoning.text", "text": "Let", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "text": " me see.", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "signature": "proof", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "secret", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
]


def test_a_signed_thought_in_pieces_is_one_thought_that_goes_back_whole() -> None:
    """Its signature holds for the joined text alone; what is encrypted is kept beside it."""
    deltas = [{"reasoning": piece.get("text", ""), "reasoning_details": [piece]} for piece in SIGNED]
    events, answer = streamed(*deltas, {"content": "Yes."}, service=OPENROUTER)
    assert [event.text for event in events if isinstance(event, ReasoningDelta)] == ["Let", " me see."]
    first, second, text = answer.parts
    assert isinstance(first, ReasoningPart)
    assert isinstance(second, ReasoningPart)
    assert (first.text, first.is_redacted, text) == ("Let me see.", False, TextPart("Yes."))
    assert (second.text, second.is_redacted, second.id) == ("", True, "rs_1")
    request = CompletionRequest(
        service=OPENROUTER, model="anthropic/claude-haiku-4.5", messages=(ChatMessage(Role.ASSISTANT, answer.parts),)
    )
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=b""), OPENROUTER)
    messages = adapter.encode(request, is_stream=False)[0].body["messages"]
    whole_thought = {"type": "reasoning.text", "text": "Let me see.", "signature": "proof", "index": 0}
    assert messages == [
        {
            "role": "assistant",
            "content": "Yes.",
            "reasoning_details": [{**whole_thought, "format": "anthropic-claude-v1"}, SIGNED[3]],
        }
    ]
    unary = {"content": "Yes.", "reasoning": "Let me see.", "reasoning_details": [whole_thought, SIGNED[3]]}
    assert [type(part) for part in whole(unary, service=OPENROUTER).parts] == [type(part) for part in answer.parts]


def test_thoughts_without_a_number_stay_apart() -> None:
    """Nothing says that they belong together."""
    details = [{"type": "reasoning.text", "text": "One."}, {"type": "reasoning.text", "text": "Two."}]
    message = {"content": "Yes.", "reasoning_details": details}
    texts = [part.text for part in whole(message, service=OPENROUTER).parts if isinstance(part, ReasoningPart)]
    assert texts == ["One.", "Two."]


def test_mistrals_thinking_pieces_are_thoughts() -> None:
    """In a stream they come as the content."""
    events, answer = streamed(
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm, "}]}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "yes."}]}]},
        {"content": [{"type": "text", "text": "Yes."}]},
        {"content": " Indeed."},
        service=MISTRAL,
    )
    assert answer.parts == (ReasoningPart(text="Hm, yes.", vendor="mistral"), TextPart("Yes. Indeed."))
    assert events == [ReasoningDelta("Hm, "), ReasoningDelta("yes."), TextDelta("Yes."), TextDelta(" Indeed.")]


# --- sources, and what the provider did ------------------------------------------------------------------------------


def test_addresses_beside_the_answer_are_citations() -> None:
    """xAI and others list them, in a stream more than once."""
    addresses = ["https://a.test", "https://b.test"]
    expected = (TextPart("Yes."), *(CitationPart(url=address) for address in addresses))
    assert whole({"content": "Yes."}, service=XAI, citations=addresses).parts == expected
    decoder = adapter_over(ReplayWire(status=200, headers={}, body=b""), XAI).stream_decoder()
    for word in (None, "stop"):
        chunk = {"delta": {"content": "Yes." if word is None else ""}, "finish_reason": word}
        decoder.feed({"choices": [chunk], "citations": addresses})
    decoder.end()
    assert decoder.answer().parts == expected


def test_annotations_in_a_stream_are_citations() -> None:
    """With the title, and what is quoted where the provider says it."""
    source = {"url": "https://a.test", "title": "A", "content": "Said there."}
    note = {"type": "url_citation", "url_citation": source}
    _, answer = streamed({"content": "Yes."}, {"annotations": [note, {"type": "file_citation"}]}, service=OPENROUTER)
    assert answer.parts == (TextPart("Yes."), CitationPart(url="https://a.test", title="A", text="Said there."))


def test_what_groqs_tools_did_is_kept() -> None:
    """The vendor's own JSON for it, whole and in a stream."""
    did = {"type": "search", "arguments": "{}", "output": "..."}
    expected = (TextPart("Yes."), ProviderToolPart(vendor="groq", name="search", data=did))
    assert whole({"content": "Yes.", "executed_tools": [did]}, service=GROQ).parts == expected
    assert streamed({"executed_tools": [did]}, {"content": "Yes."}, service=GROQ)[1].parts == expected


# --- endings and counts ----------------------------------------------------------------------------------------------


def test_a_refusal_in_a_stream_is_told_as_one() -> None:
    """Its words are the answer's, and its end counts as filtered."""
    events, answer = streamed({"refusal": "I'm "}, {"refusal": "sorry."})
    assert answer.parts == (TextPart("I'm sorry."),)
    assert answer.finish_reason is FinishReason.CONTENT_FILTER
    assert events == [TextDelta("I'm "), TextDelta("sorry.")]


@pytest.mark.parametrize("message", [{"content": ""}, {"content": None, "tool_calls": []}, {}])
def test_an_answer_of_nothing_is_an_error(message: Message) -> None:
    """Calls alone are an answer; nothing at all is none."""
    with pytest.raises(EmptyResponseError):
        whole(message)
    with pytest.raises(EmptyResponseError):
        streamed(message)


def test_cached_and_written_tokens_are_parts_of_the_input() -> None:
    """Both are told apart within it."""
    details = {"cached_tokens": 40, "cache_write_tokens": 30}
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107, "prompt_tokens_details": details}
    counted = whole({"content": "Yes."}, usage=usage).usage
    assert (counted.input_tokens, counted.cached_tokens, counted.cache_write_tokens) == (100, 40, 30)
    assert streamed({"content": "Yes."}, usage=usage)[1].usage == counted


async def test_a_shape_asked_for_as_a_tool_comes_back_as_text() -> None:
    """The forced call is the answer."""
    message = {"tool_calls": [call('{"tags":[]}', name="answer", id="c")]}
    reply = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=json.dumps(reply).encode()), GROQ)
    schema = ResponseSchema(schema={"type": "object", "properties": {"tags": {"type": "array"}}})
    request = CompletionRequest(
        service=GROQ, model="llama-3.3-70b-versatile", messages=request_for(GROQ).messages, response_schema=schema
    )
    completion = await adapter.complete(request)
    assert isinstance(completion, Completion)
    assert json.loads(completion.text) == {"tags": []}
    assert (completion.finish_reason, completion.schema_mode) == (FinishReason.STOP, SchemaMode.TOOL)


def test_a_lone_surrogate_in_an_answer_is_refused() -> None:
    """JSON can write one, and nothing that the text is given to could."""
    with pytest.raises(ValidationError):
        whole({"role": "assistant", "content": "A half: \ud83d"})


@pytest.mark.parametrize(
    ("more", "model", "response_id"),
    [
        ({}, "m", "r"),
        ({"model": 5}, "", "r"),
        ({"model": None}, "", "r"),
        ({"id": ""}, "m", None),
        ({"id": 5}, "m", None),
        ({"id": None, "model": ["m"]}, "", None),
    ],
)
def test_what_is_no_name_is_none(more: Message, model: str, response_id: str | None) -> None:
    """A server that names neither model nor answer, or in some other way, has answered all the same."""
    answer = whole({"role": "assistant", "content": "Yes."}, **more)
    assert (answer.parts, answer.model, answer.response_id) == ((TextPart("Yes."),), model, response_id)


@pytest.mark.parametrize("said", [None, 0, -1, True, "5", 1.5])
def test_cache_hits_count_where_the_usual_field_says_nothing(said: object) -> None:
    """DeepSeek's own field is read where the other is missing, zero, or no count."""
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": said}}
    assert whole({"content": "Yes."}, usage={**usage, "prompt_cache_hit_tokens": 3}).usage.cached_tokens == 3
    assert whole({"content": "Yes."}, usage={**usage, "prompt_cache_hit_tokens": -3}).usage.cached_tokens == 0
