"""Tools, reasoning, pictures and schemas in Ollama's words, there and back."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.completion import Adaptation, AdaptationAction, ChatMessage, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import (
    DipeoError,
    EmptyResponseError,
    MalformedResponseError,
    ToolCallInvalidError,
    UnsupportedParameterError,
)
from dipeo.domain.parts import (
    AudioPart,
    CitationPart,
    DocumentPart,
    ImagePart,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dipeo.domain.sampling import Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.domain.tools import PromptCache, ProviderTool, ResponseSchema, SchemaMode, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.adapters.ollama import ChatLinesDecoder, OllamaAdapter, decode_response
from tests.adapters.replay import ReplayWire, adapter_over

WEATHER = ToolSpec(
    name="weather",
    description="The weather in a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
NOW = ToolSpec(name="now")
PERSON = ResponseSchema(schema={"type": "object", "properties": {"age": {"type": "integer"}}})
HELLO = ChatMessage.from_text(Role.USER, "Hello")
PICTURE = ImagePart(media_type="image/png", data=b"\x00\x01\x02")


def adapter() -> OllamaAdapter:
    made = adapter_over(ReplayWire(status=200, headers={}, body=b""), LLMService.OLLAMA)
    assert isinstance(made, OllamaAdapter)
    return made


def asked(*messages: ChatMessage, model: str = "qwen3.6", **more: Any) -> CompletionRequest:
    return CompletionRequest(service=LLMService.OLLAMA, model=model, messages=messages or (HELLO,), **more)


def encoded(request: CompletionRequest) -> tuple[dict[str, Any], tuple[Adaptation, ...]]:
    taken, _ = adapter().as_taken(request)
    exchange, adaptations = adapter().encode(taken, is_stream=False)
    return json.loads(json.dumps(exchange.body)), adaptations


def said_by(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    reply = {"model": "m", "created_at": "2026-11-01T10:00:00.5Z", "message": {"role": "assistant", **message}}
    return {**reply, "done": True, "done_reason": "stop", **more}


# --- tools -----------------------------------------------------------------------------------------------------------


def test_tools_are_offered_as_functions() -> None:
    """Each tool is a function with its schema as it is."""
    body, adaptations = encoded(asked(tooling=Tooling(tools=(WEATHER,))))
    function = {"name": "weather", "description": WEATHER.description, "parameters": WEATHER.parameters}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert adaptations == ()


@pytest.mark.parametrize(
    ("tooling", "offered", "adapted"),
    [
        (Tooling(tools=(WEATHER, NOW), use=ToolUse.NONE), None, []),
        (Tooling(tools=(WEATHER, NOW), use=ToolUse.REQUIRED), ["weather", "now"], [("tool_choice", "dropped")]),
        (
            Tooling(tools=(WEATHER, NOW), use=ToolUse.NAMED, named_tool="now"),
            ["now"],
            [("tool_choice", "substituted")],
        ),
        (Tooling(tools=(NOW,), is_parallel=False), ["now"], [("parallel_tool_calls", "dropped")]),
        (Tooling(tools=(NOW,), is_parallel=True), ["now"], []),
        (Tooling(tools=(ToolSpec(name="now", is_strict=True),)), ["now"], [("tools", "dropped")]),
    ],
    ids=["none", "required", "named", "one at a time", "several", "strict"],
)
def test_what_ollama_cannot_be_told_of_tools_is_recorded(
    tooling: Tooling, offered: list[str] | None, adapted: list[tuple[str, str]]
) -> None:
    """It offers tools or not; everything else comes near to what was asked, and says so."""
    body, adaptations = encoded(asked(tooling=tooling))
    tools = [tool["function"]["name"] for tool in body["tools"]] if "tools" in body else None
    assert tools == offered
    assert [(each.parameter, each.action) for each in adaptations] == adapted


def test_a_tool_of_the_providers_own_is_refused() -> None:
    """Ollama runs none itself."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(tooling=Tooling(provider_tools=(ProviderTool.WEB_SEARCH,))))
    assert caught.value.field == "provider_tools"


@pytest.mark.parametrize("model", ["gemma3:4b", "llama3", "llama2:13b", "hf.co/x/llava:7b"])
def test_models_of_before_tools_are_offered_none(model: str) -> None:
    """The error names the parameter, before anything is sent."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(model=model, tooling=Tooling(tools=(NOW,))))
    assert caught.value.field == "tools"


def test_calls_and_results_go_back_with_the_ids_that_were_given() -> None:
    """A result is a message of its own and names its tool; a made-up id stays here, a failure is told in words."""
    calls = (
        ReasoningPart(text="Let me look.", vendor="ollama"),
        TextPart("One moment."),
        ToolCallPart(call_id="call_0", name="weather", arguments={"city": "Oslo"}),
        ToolCallPart(call_id="call_x9", name="now", arguments={}),
    )
    results = (
        ToolResultPart(call_id="call_0", content="Rain"),
        ToolResultPart(call_id="call_x9", content="no clock", is_error=True),
    )
    body, adaptations = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, calls), ChatMessage(Role.TOOL, results)))
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "One moment.",
            "thinking": "Let me look.",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Oslo"}}},
                {"id": "call_x9", "function": {"name": "now", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "Rain", "tool_name": "weather"},
        {"role": "tool", "content": "Error: no clock", "tool_name": "now", "tool_call_id": "call_x9"},
    ]
    assert adaptations == ()


def test_broken_arguments_go_as_none_and_that_is_recorded() -> None:
    """Ollama takes an object alone."""
    call = ToolCallPart(call_id="c", name="now", arguments={}, broken_arguments='{"a":')
    result = ChatMessage(Role.TOOL, (ToolResultPart(call_id="c", content="broken", is_error=True),))
    body, adaptations = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, (call,)), result))
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == {}
    assert [(each.parameter, each.action) for each in adaptations] == [
        ("messages[1].content[0].broken_arguments", AdaptationAction.SUBSTITUTED)
    ]


def test_calls_without_an_id_get_one_that_is_theirs_alone() -> None:
    """The id is made of the place and the time of the answer, so that no two answers share one."""
    calls = [
        {"function": {"name": "weather", "arguments": {"city": "Oslo"}}},
        {"id": "c9", "function": {"name": "now"}},
    ]
    answer = decode_response(said_by({"content": "", "tool_calls": calls}))
    assert answer.parts == (
        ToolCallPart(call_id="call_0_2026-11-01T1000005Z", name="weather", arguments={"city": "Oslo"}),
        ToolCallPart(call_id="c9", name="now", arguments={}),
    )
    assert answer.finish_reason is FinishReason.TOOL_CALLS
    assert answer.raw_finish_reason == "stop"


@pytest.mark.parametrize("arguments", ["{oops", ["Oslo"], 3])
def test_arguments_that_are_no_object_are_kept_as_text(arguments: Any) -> None:
    """A call that must not be carried out still says what it was."""
    calls = [{"function": {"name": "weather", "arguments": arguments}}]
    [call] = decode_response(said_by({"content": "", "tool_calls": calls})).parts
    assert isinstance(call, ToolCallPart)
    assert call.arguments == {}
    assert call.broken_arguments == (arguments if isinstance(arguments, str) else json.dumps(arguments))


def test_a_call_without_a_name_is_an_error() -> None:
    """Nothing could be called."""
    with pytest.raises(ToolCallInvalidError):
        decode_response(said_by({"content": "", "tool_calls": [{"function": {"arguments": {}}}]}))


def test_calls_of_a_stream_come_before_its_last_line() -> None:
    """A call comes whole, in a line of its own, and is one event."""
    decoder = ChatLinesDecoder()
    first = decoder.feed(said_by({"content": "", "thinking": "Hm."}, done=False))
    call = {"function": {"name": "weather", "arguments": {"city": "Århus"}}}
    second = decoder.feed(said_by({"content": "", "tool_calls": [call]}, done=False))
    decoder.feed(said_by({"content": ""}, eval_count=3, prompt_eval_count=5))
    answer = decoder.answer()
    made_up = "call_0_2026-11-01T1000005Z"
    assert list(first) == [ReasoningDelta("Hm.")]
    assert list(second) == [ToolCallDelta(index=0, call_id=made_up, name="weather", arguments='{"city": "Århus"}')]
    assert answer.parts == (
        ReasoningPart(text="Hm.", vendor="ollama"),
        ToolCallPart(call_id=made_up, name="weather", arguments={"city": "Århus"}),
    )
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 3)


# --- reasoning, pictures, schemas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "sampling", "think", "adapted"),
    [
        ("gpt-oss:20b", {"reasoning_effort": "high"}, "high", []),
        ("qwen3.6", {"reasoning_effort": "none"}, False, []),
        ("qwen3.6", {"reasoning_effort": "high"}, True, ["reasoning_effort"]),
        ("llama3.2", {"reasoning_effort": "high"}, None, ["reasoning_effort"]),
        ("qwen3.6", {"reasoning_budget_tokens": 900}, None, ["reasoning_budget_tokens"]),
    ],
)
def test_thinking_is_asked_for_as_far_as_it_can_be(
    model: str, sampling: dict[str, Any], think: bool | str | None, adapted: list[str]
) -> None:
    """A level where the model takes one, else a plain yes or no; a budget is never taken."""
    body, adaptations = encoded(asked(model=model, sampling=Sampling(**sampling)))
    assert body.get("think") == think
    assert [each.parameter for each in adaptations] == adapted


def test_what_another_vendor_made_is_left_out_and_recorded() -> None:
    """Only the vendor that made it could read it; a citation is never sent and no loss."""
    parts = (
        ReasoningPart(text="Hm.", vendor="anthropic", signature="theirs"),
        ProviderToolPart(vendor="openai", name="web_search", data={"id": "ws"}),
        TextPart("Yes."),
        CitationPart(url="https://example.org"),
        ToolCallPart(call_id="c", name="now", arguments={}, vendor="google", signature="theirs"),
    )
    body, adaptations = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, parts)))
    call = {"id": "c", "function": {"name": "now", "arguments": {}}}
    assert body["messages"][1] == {"role": "assistant", "content": "Yes.", "tool_calls": [call]}
    assert [each.parameter for each in adaptations] == [
        "messages[1].content[0]",
        "messages[1].content[1]",
        "messages[1].content[4].signature",
    ]


def test_pictures_are_sent_as_bytes_beside_the_text() -> None:
    """The message holds its text in one field and its pictures in another; the speaker's name is in the text."""
    body, _ = encoded(asked(ChatMessage(Role.USER, (TextPart("Look!"), PICTURE, PICTURE), name="Ada"), model="llava"))
    assert body["messages"] == [{"role": "user", "content": "Ada: Look!", "images": ["AAEC", "AAEC"]}]


@pytest.mark.parametrize(
    ("part", "model"),
    [
        (ImagePart(media_type="image/png", url="https://example.org/a.png"), "llava"),
        (PICTURE, "llama3.2:3b"),
        (PICTURE, "gemma3:1b"),
        (DocumentPart(media_type="application/pdf", data=b"0"), "llava"),
        (AudioPart(media_type="audio/wav", data=b"0"), "llava"),
    ],
    ids=["address", "blind", "blind by size", "document", "sound"],
)
def test_media_that_cannot_be_sent_are_refused_by_their_place(part: Any, model: str) -> None:
    """The error names the part, and nothing is sent; no address is fetched."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(HELLO, ChatMessage(Role.USER, (TextPart("Look:"), part)), model=model))
    assert caught.value.field == "messages[1].content[1]"


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.TOOL])
def test_a_picture_is_taken_in_a_conversation_alone(role: Role) -> None:
    """Instructions are text, and results are results."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(ChatMessage(role, (PICTURE,)), model="llava"))
    assert caught.value.field == "messages[0].content[0]"


def test_a_schema_is_the_format() -> None:
    """A JSON schema is the format itself, and any JSON is a word."""
    assert encoded(asked(response_schema=PERSON))[0]["format"] == PERSON.schema
    assert encoded(asked(response_schema=ResponseSchema(schema=None)))[0]["format"] == "json"


def test_a_schema_beside_tools_is_asked_for_in_words() -> None:
    """A format would bind every word of the answer, so that no call could come."""
    request = asked(response_schema=PERSON, tooling=Tooling(tools=(WEATHER,)))
    assert adapter().as_taken(request)[1] is SchemaMode.PROMPT
    body, _ = encoded(request)
    assert "format" not in body
    assert body["messages"][0]["role"] == "system"


def test_an_answer_to_go_on_from_is_refused() -> None:
    """Ollama keeps none, and to leave it out would lose the conversation."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(previous_response_id="r-1"))
    assert caught.value.field == "previous_response_id"


@pytest.mark.parametrize(("cache", "count"), [(PromptCache.SHORT, 0), (PromptCache.LONG, 1)])
def test_a_loaded_model_remembers_for_a_short_time_unasked(cache: PromptCache, count: int) -> None:
    """A longer time cannot be asked for, and that is recorded."""
    assert [each.parameter for each in encoded(asked(prompt_cache=cache))[1]] == ["prompt_cache"] * count


def test_an_answer_of_nothing_is_empty() -> None:
    """No text, no thought and no call: tokens were spent, and nothing came."""
    with pytest.raises(EmptyResponseError):
        decode_response(said_by({"content": "", "tool_calls": []}))
    with pytest.raises(MalformedResponseError):
        decode_response({"done": True})


# --- there and back --------------------------------------------------------------------------------------------------

TEXTS = st.text(max_size=8)
CALLS = st.lists(
    st.builds(
        lambda name, arguments, call_id: {"function": {"name": name, "arguments": arguments}, **call_id},
        st.sampled_from(["weather", "now"]),
        st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS, max_size=2),
        st.sampled_from([{}, {"id": "c-a"}]),
    ),
    max_size=3,
)


@given(text=TEXTS, thought=TEXTS, calls=CALLS)
def test_what_ollama_said_goes_back_to_it_unchanged(text: str, thought: str, calls: list[dict[str, Any]]) -> None:
    """Text, thought and calls of an answer stand in the next request as they came."""
    try:
        answer = decode_response(said_by({"content": text, "thinking": thought, "tool_calls": calls}))
    except EmptyResponseError:
        assert (text, thought, calls) == ("", "", [])
        return
    sent = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, answer.parts), is_strict=True))[0]["messages"][1]
    assert sent == {
        "role": "assistant",
        "content": text,
        **({"thinking": thought} if thought else {}),
        **({"tool_calls": calls} if calls else {}),
    }


@given(text=TEXTS, thought=TEXTS, calls=CALLS)
def test_a_stream_says_the_same_as_the_whole_answer(text: str, thought: str, calls: list[dict[str, Any]]) -> None:
    """A letter or a call a line: the answer and its events are the same as of one reply."""
    decoder = ChatLinesDecoder()
    events: list[CompletionEvent] = []
    pieces: list[dict[str, Any]] = [{"thinking": letter} for letter in thought]
    pieces += [{"content": letter} for letter in text]
    pieces += [{"tool_calls": [call]} for call in calls]
    for piece in pieces:
        events += decoder.feed(said_by(piece, done=False))
    decoder.feed(said_by({"content": ""}))
    try:
        answer = decode_response(said_by({"content": text, "thinking": thought, "tool_calls": calls}))
    except EmptyResponseError:
        with pytest.raises(EmptyResponseError):
            decoder.answer()
        return
    assert decoder.answer() == answer
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == thought
    arguments = [json.loads(event.arguments) for event in events if isinstance(event, ToolCallDelta)]
    assert arguments == [call["function"]["arguments"] for call in calls]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ODD_CALLS = st.lists(st.fixed_dictionaries({"id": JSON, "function": st.fixed_dictionaries({"name": JSON}) | JSON}))


@given(content=JSON, thought=JSON, calls=ODD_CALLS | JSON, reason=JSON)
def test_an_answer_of_any_shape_is_read_or_refused(content: Any, thought: Any, calls: Any, reason: Any) -> None:
    """Nothing that a provider sends raises anything but dipeo's own errors."""
    body = said_by(
        {"content": content, "thinking": thought, "tool_calls": calls}, done_reason=reason, eval_count=reason
    )
    with suppress(DipeoError):
        decode_response(body)
