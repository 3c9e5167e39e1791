"""Tools, reasoning, media and schemas in Gemini's words, there and back."""

import json
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain.completion import Adaptation, AdaptationAction, ChatMessage, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import (
    InvalidRequestError,
    MalformedResponseError,
    ToolCallInvalidError,
    UnsupportedParameterError,
)
from dipeo.domain.parts import (
    AudioPart,
    CitationPart,
    DocumentPart,
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
from dipeo.domain.tools import PromptCache, ProviderTool, ResponseSchema, SchemaMode, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.adapters._gemini_answer import decode_response
from dipeo.infrastructure.llm.adapters.gemini import GeminiAdapter
from dipeo.infrastructure.llm.drivers.answer import Answer
from tests.adapters.replay import ReplayWire, adapter_over

WEATHER = ToolSpec(
    name="weather",
    description="The weather in a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
PERSON = ResponseSchema(schema={"type": "object", "properties": {"age": {"type": "integer"}}}, description="A person.")
HELLO = ChatMessage.from_text(Role.USER, "Hello")
OLD, NEW = "gemini-2.5-flash", "gemini-3.5-flash"


def adapter() -> GeminiAdapter:
    wire = ReplayWire(status=200, headers={}, body=b"")
    made = adapter_over(wire, LLMService.GOOGLE)
    assert isinstance(made, GeminiAdapter)
    return made


def asked(*messages: ChatMessage, model: str = OLD, **more: Any) -> CompletionRequest:
    return CompletionRequest(service=LLMService.GOOGLE, model=model, messages=messages or (HELLO,), **more)


def encoded(request: CompletionRequest) -> tuple[dict[str, Any], tuple[Adaptation, ...]]:
    taken, _ = adapter().as_taken(request)
    exchange, adaptations = adapter().encode(taken, is_stream=False)
    return json.loads(json.dumps(exchange.body)), adaptations


def answered(*parts: dict[str, Any], finish: str = "STOP", **more: Any) -> Answer:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return decode_response({"candidates": [candidate], "responseId": "r-1", "modelVersion": OLD, **more})


# --- tools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tooling", "config"),
    [
        (Tooling(tools=(WEATHER,)), None),
        (Tooling(tools=(WEATHER,), use=ToolUse.NONE), {"mode": "NONE"}),
        (Tooling(tools=(WEATHER,), use=ToolUse.REQUIRED), {"mode": "ANY"}),
        (
            Tooling(tools=(WEATHER,), use=ToolUse.NAMED, named_tool="weather"),
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
        (Tooling(tools=(evolve(WEATHER, is_strict=True),)), {"mode": "VALIDATED"}),
    ],
    ids=["auto", "none", "required", "named", "strict"],
)
def test_a_tool_is_declared_with_its_schema_and_its_use(tooling: Tooling, config: dict[str, Any] | None) -> None:
    """The declaration holds the JSON schema as it is, and the use becomes a mode."""
    body, adaptations = encoded(asked(tooling=tooling))
    declared = {"name": "weather", "description": WEATHER.description, "parametersJsonSchema": WEATHER.parameters}
    assert body["tools"] == [{"functionDeclarations": [declared]}]
    assert body.get("toolConfig") == (config and {"functionCallingConfig": config})
    assert adaptations == ()


def test_a_missing_switch_against_parallel_calls_is_recorded() -> None:
    """Google has no such switch, and says so by an adaptation."""
    _, adaptations = encoded(asked(tooling=Tooling(tools=(WEATHER,), is_parallel=False)))
    assert [(each.parameter, each.action) for each in adaptations] == [
        ("parallel_tool_calls", AdaptationAction.DROPPED)
    ]


def test_googles_own_tools_are_asked_for_by_name() -> None:
    """Search and code execution are tools without settings."""
    tooling = Tooling(provider_tools=(ProviderTool.WEB_SEARCH, ProviderTool.CODE_EXECUTION))
    body, _ = encoded(asked(tooling=tooling))
    assert body["tools"] == [{"googleSearch": {}}, {"codeExecution": {}}]
    assert "toolConfig" not in body


def test_googles_own_tools_go_with_others_from_generation_three_on() -> None:
    """Before that, the request is refused before it is sent; after it, the calls of both kinds are shown."""
    tooling = Tooling(tools=(WEATHER,), provider_tools=(ProviderTool.WEB_SEARCH,))
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(tooling=tooling))
    assert caught.value.field == "provider_tools"
    body, _ = encoded(asked(tooling=tooling, model=NEW))
    assert len(body["tools"]) == 2
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}


def test_no_tool_use_leaves_googles_own_tools_out() -> None:
    """Where nothing is to be called, Google's own tools are not offered: its setting would not stop them."""
    tooling = Tooling(tools=(WEATHER,), provider_tools=(ProviderTool.WEB_SEARCH,), use=ToolUse.NONE)
    body, _ = encoded(asked(tooling=tooling))
    assert [list(tool) for tool in body["tools"]] == [["functionDeclarations"]]


@pytest.mark.parametrize("name", ["tools", "provider_tools"])
def test_a_model_that_is_no_gemini_is_offered_no_tools(name: str) -> None:
    """What a model is not known to take is refused by its name."""
    tooling = Tooling(tools=(WEATHER,)) if name == "tools" else Tooling(provider_tools=(ProviderTool.WEB_SEARCH,))
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(model="gemma-3-27b-it", tooling=tooling))
    assert caught.value.field == name


def test_results_are_named_after_their_calls_and_put_in_their_order() -> None:
    """Google pairs calls and results by order where they have no id; an id that was given goes both ways."""
    calls = (
        ToolCallPart(call_id="call_0_r-1", name="first", arguments={"n": 1}, vendor="google", signature="sig"),
        ToolCallPart(call_id="toolu_2", name="second", arguments={}),
    )
    results = (
        ChatMessage(Role.TOOL, (ToolResultPart(call_id="toolu_2", content="no", is_error=True),)),
        ChatMessage(Role.TOOL, (ToolResultPart(call_id="call_0_r-1", content="yes"),)),
    )
    body, _ = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, calls), *results, HELLO))
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "first", "args": {"n": 1}}, "thoughtSignature": "sig"},
                {"functionCall": {"name": "second", "args": {}, "id": "toolu_2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "first", "response": {"output": "yes"}}},
                {"functionResponse": {"name": "second", "response": {"error": "no"}, "id": "toolu_2"}},
            ],
        },
        {"role": "user", "parts": [{"text": "Hello"}]},
    ]


def test_a_result_without_its_call_is_refused() -> None:
    """Google must be told the tool's name, which only the call knows."""
    lost = ChatMessage(Role.TOOL, (ToolResultPart(call_id="call_9", content="?"),))
    with pytest.raises(InvalidRequestError) as caught:
        encoded(asked(HELLO, lost))
    assert caught.value.field == "messages[1].content[0]"


def test_calls_come_whole_with_ids_made_up_where_none_are_given() -> None:
    """Each call has an id of its own, the same whenever the answer is read; given ids are kept."""
    answer = answered(
        {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "sig"},
        {"functionCall": {"name": "now"}},
        {"functionCall": {"name": "weather", "args": {}, "id": "fc-7"}},
    )
    assert answer.parts == (
        ToolCallPart(
            call_id="call_0_r-1", name="weather", arguments={"city": "Oslo"}, vendor="google", signature="sig"
        ),
        ToolCallPart(call_id="call_1_r-1", name="now", arguments={}, vendor="google"),
        ToolCallPart(call_id="fc-7", name="weather", arguments={}, vendor="google"),
    )
    assert answer.finish_reason is FinishReason.TOOL_CALLS
    assert answer.raw_finish_reason == "STOP"


def test_arguments_that_are_no_object_are_kept_as_text() -> None:
    """A call that must not be carried out still says what it was."""
    answer = answered({"functionCall": {"name": "weather", "args": ["Oslo", 2**70]}})
    [call] = answer.parts
    assert isinstance(call, ToolCallPart)
    assert call.arguments == {}
    assert json.loads(call.broken_arguments or "") == ["Oslo", 2**70]


@pytest.mark.parametrize("finish", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"])
def test_a_call_that_google_calls_broken_is_an_error(finish: str) -> None:
    """The finish reason alone says that the call is not valid."""
    with pytest.raises(ToolCallInvalidError):
        answered({"text": "I call"}, finish=finish)


def test_a_call_without_a_name_is_an_error() -> None:
    """Nothing could be called."""
    with pytest.raises(ToolCallInvalidError):
        answered({"functionCall": {"args": {}}})


# --- reasoning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "sampling", "thinking", "adapted"),
    [
        (NEW, {"reasoning_effort": "low"}, {"thinkingLevel": "low", "includeThoughts": True}, []),
        ("gemini-flash-latest", {"reasoning_effort": "low"}, {"thinkingLevel": "low", "includeThoughts": True}, []),
        (NEW, {"reasoning_effort": "none"}, {"thinkingLevel": "minimal"}, ["reasoning_effort"]),
        (NEW, {"reasoning_effort": "max"}, {"thinkingLevel": "high", "includeThoughts": True}, ["reasoning_effort"]),
        (OLD, {"reasoning_effort": "none"}, {"thinkingBudget": 0}, []),
        (OLD, {"reasoning_effort": "low"}, None, ["reasoning_effort"]),
        (OLD, {"reasoning_budget_tokens": 900}, {"thinkingBudget": 900, "includeThoughts": True}, []),
        (NEW, {"reasoning_budget_tokens": 90_000}, {"thinkingBudget": 90_000, "includeThoughts": True}, []),
        (
            "gemini-2.5-pro",
            {"reasoning_budget_tokens": 9},
            {"thinkingBudget": 128, "includeThoughts": True},
            ["reasoning_budget_tokens"],
        ),
        (
            "models/gemini-2.5-flash-lite",
            {"reasoning_budget_tokens": 99_999},
            {"thinkingBudget": 24_576, "includeThoughts": True},
            ["reasoning_budget_tokens"],
        ),
        (
            NEW,
            {"reasoning_budget_tokens": 9, "reasoning_effort": "low"},
            {"thinkingLevel": "low", "includeThoughts": True},
            ["reasoning_budget_tokens"],
        ),
        (
            OLD,
            {"reasoning_budget_tokens": 9, "reasoning_effort": "low"},
            {"thinkingBudget": 9, "includeThoughts": True},
            ["reasoning_effort"],
        ),
        ("gemini-2.0-flash", {"reasoning_budget_tokens": 9}, None, ["reasoning_budget_tokens"]),
    ],
)
def test_thinking_is_asked_for_by_level_or_budget(
    model: str, sampling: dict[str, Any], thinking: dict[str, Any] | None, adapted: list[str]
) -> None:
    """Each generation is told in its own way, and what it cannot be told is recorded."""
    body, adaptations = encoded(asked(model=model, sampling=Sampling(**sampling)))
    assert body.get("generationConfig", {}).get("thinkingConfig") == thinking
    assert [each.parameter for each in adaptations] == adapted


@pytest.mark.parametrize(("model", "is_told"), [(OLD, True), ("gemini-2.0-flash", False)])
def test_a_model_that_thinks_within_a_budget_is_said_to(model: str, is_told: bool) -> None:
    """Whoever asked for an effort learns what the model takes in its place."""
    _, adaptations = encoded(asked(model=model, sampling=Sampling(reasoning_effort="high")))
    assert ("reasoning_budget_tokens" in adaptations[0].reason) is is_told


def test_a_signature_stays_with_its_own_part() -> None:
    """Text that follows a signed text is not joined to it, and a signature without content stays alone."""
    parts: list[dict[str, Any]] = [
        {"text": "Hm.", "thought": True, "thoughtSignature": "t"},
        {"text": "One", "thoughtSignature": "a"},
        {"text": " two"},
        {"inlineData": {"mimeType": "image/png", "data": "AAEC"}, "thoughtSignature": "b"},
        {"text": "", "thoughtSignature": "c"},
        {"functionCall": {"name": "weather", "args": {}}, "thoughtSignature": "d"},
    ]
    answer = answered(*parts)
    assert "".join(part.text for part in answer.parts if isinstance(part, TextPart)) == "One two"
    assert sent_back(answer.parts, model=NEW) == parts


def test_a_call_of_another_vendor_is_sent_to_generation_three_with_googles_word_for_it() -> None:
    """A first call without Google's signature would be refused; the foreign one is left out, and both are recorded."""
    calls = (
        ToolCallPart(call_id="a", name="weather", arguments={}, vendor="anthropic", signature="theirs"),
        ToolCallPart(call_id="b", name="weather", arguments={}),
    )
    results = ChatMessage(Role.TOOL, tuple(ToolResultPart(call_id=name, content="") for name in "ab"))
    body, adaptations = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, calls), results, model=NEW))
    first, second = body["contents"][1]["parts"]
    assert first["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in second
    assert [(each.parameter, each.action) for each in adaptations] == [
        ("messages[1].content[0].signature", AdaptationAction.DROPPED),
        ("messages[1].content[0].signature", AdaptationAction.INSERTED),
    ]
    body, _ = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, calls), results, model=OLD))
    assert all("thoughtSignature" not in part for part in body["contents"][1]["parts"])


def test_what_another_vendor_thought_or_searched_is_left_out_and_recorded() -> None:
    """Only the vendor that made it could read it; a citation is never sent and no loss."""
    parts = (
        ReasoningPart(text="Hm.", vendor="anthropic", signature="theirs"),
        ProviderToolPart(vendor="openai", name="web_search", data={"id": "ws"}),
        TextPart("Yes."),
        CitationPart(url="https://example.org"),
    )
    body, adaptations = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, parts), HELLO))
    assert body["contents"][1]["parts"] == [{"text": "Yes."}]
    assert [each.parameter for each in adaptations] == ["messages[1].content[0]", "messages[1].content[1]"]


# --- media, schemas and the rest -------------------------------------------------------------------------------------


def test_media_are_sent_as_bytes_or_by_address() -> None:
    """Bytes go inline in base64, an address as it is; the speaker's name stands before them."""
    parts: tuple[Part, ...] = (
        ImagePart(media_type="image/png", data=b"\x00\x01\x02"),
        DocumentPart(media_type="application/pdf", url="https://example.org/a.pdf"),
        AudioPart(media_type="audio/wav", data=b"\x03"),
    )
    body, _ = encoded(asked(ChatMessage(Role.USER, parts, name="Ada")))
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [
                {"text": "Ada:"},
                {"inlineData": {"mimeType": "image/png", "data": "AAEC"}},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.org/a.pdf"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "Aw=="}},
            ],
        }
    ]


@pytest.mark.parametrize("kind", [ImagePart, DocumentPart, AudioPart])
def test_media_that_a_model_is_not_known_to_take_are_refused_by_their_place(kind: Any) -> None:
    """The error names the part, and nothing is sent."""
    message = ChatMessage(Role.USER, (TextPart("Look:"), kind(media_type="x/y", data=b"0")))
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(HELLO, message, model="gemma-3-27b-it"))
    assert caught.value.field == "messages[1].content[1]"


def test_a_picture_that_the_model_made_is_a_part() -> None:
    """Inline data is read by its media type, and data that is no base64 is an error."""
    answer = answered(
        {"inlineData": {"mimeType": "image/png", "data": "AAEC"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAEC"}},
        {"fileData": {"mimeType": "text/csv", "fileUri": "gs://b/c"}},
    )
    assert answer.parts == (
        ImagePart(media_type="image/png", data=b"\x00\x01\x02"),
        AudioPart(media_type="audio/wav", data=b"\x00\x01\x02"),
        DocumentPart(media_type="text/csv", url="gs://b/c"),
    )
    with pytest.raises(MalformedResponseError):
        answered({"inlineData": {"mimeType": "image/png", "data": "?"}})
    nothing = {"inlineData": {"mimeType": "image/png", "data": ""}}
    assert answered({"text": "Here:"}, nothing).parts == (TextPart("Here:"),)


def test_code_that_google_ran_is_kept_and_goes_back_as_it_came() -> None:
    """The code and its result are parts of the vendor's own."""
    parts: list[dict[str, Any]] = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}, "thoughtSignature": "s"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"text": "It is 1."},
    ]
    answer = answered(*parts)
    assert [part.name for part in answer.parts if isinstance(part, ProviderToolPart)] == ["code_execution"] * 2
    assert sent_back(answer.parts) == parts


def test_sources_that_no_passage_names_are_cited_last() -> None:
    """Odd indices are passed over, and recited sources are citations too."""
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}, {"retrievedContext": {"uri": "gs://b"}}],
        "groundingSupports": [{"segment": {"text": "Yes"}, "groundingChunkIndices": [1, 7, -1, "0"]}],
    }
    candidate: dict[str, Any] = {
        "content": {"parts": [{"text": "Yes."}]},
        "finishReason": "STOP",
        "groundingMetadata": grounding,
        "citationMetadata": {"citationSources": [{"uri": "https://c"}, 3]},
    }
    answer = decode_response({"candidates": [candidate]})
    assert answer.parts[1:] == (
        CitationPart(url="gs://b", text="Yes"),
        CitationPart(url="https://a", title="A"),
        CitationPart(url="https://c"),
    )


def test_a_schema_is_asked_for_in_googles_own_way() -> None:
    """A JSON schema goes into the settings, with its description; any JSON is a media type alone."""
    body, _ = encoded(asked(response_schema=PERSON))
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {**(PERSON.schema or {}), "description": "A person."},
    }
    body, _ = encoded(asked(response_schema=ResponseSchema(schema=None)))
    assert body["generationConfig"] == {"responseMimeType": "application/json"}


def test_before_generation_three_a_schema_beside_tools_is_asked_for_in_words() -> None:
    """The two exclude each other there, and later they do not."""
    request = asked(response_schema=PERSON, tooling=Tooling(tools=(WEATHER,)))
    assert adapter().as_taken(request)[1] is SchemaMode.PROMPT
    body, _ = encoded(request)
    assert "generationConfig" not in body
    assert "JSON schema" in body["systemInstruction"]["parts"][0]["text"]
    assert adapter().as_taken(evolve(request, model=NEW))[1] is SchemaMode.NATIVE


def test_an_answer_to_go_on_from_is_refused() -> None:
    """Google keeps none, and to leave it out would lose the conversation."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asked(previous_response_id="r-1"))
    assert caught.value.field == "previous_response_id"


@pytest.mark.parametrize(
    ("model", "cache", "count"),
    [(OLD, PromptCache.SHORT, 0), (OLD, PromptCache.LONG, 1), ("gemini-1.5-pro", PromptCache.SHORT, 1)],
)
def test_a_wish_to_be_remembered_needs_no_word_where_google_remembers_anyway(
    model: str, cache: PromptCache, count: int
) -> None:
    """What Google does not do by itself is recorded."""
    _, adaptations = encoded(asked(model=model, prompt_cache=cache))
    assert [each.parameter for each in adaptations] == ["prompt_cache"] * count


@pytest.mark.parametrize(
    "message",
    [
        ChatMessage(Role.SYSTEM, (ImagePart(media_type="image/png", data=b"0"),)),
        ChatMessage(Role.USER, (ToolCallPart(call_id="c", name="n", arguments={}), TextPart("x"))),
    ],
    ids=["picture as instruction", "call of a user"],
)
def test_a_part_in_the_wrong_place_is_refused_by_its_place(message: ChatMessage) -> None:
    """Nothing is left out silently."""
    with pytest.raises(InvalidRequestError) as caught:
        encoded(asked(message, HELLO))
    assert caught.value.field == "messages[0].content[0]"


def sent_back(parts: tuple[Part, ...], *, model: str = OLD) -> list[dict[str, Any]]:
    """The parts of an answer as they go back in the next request."""
    calls = [part.call_id for part in parts if isinstance(part, ToolCallPart)]
    results = ChatMessage(Role.TOOL, tuple(ToolResultPart(call_id=each, content="") for each in calls))
    after = results if calls else HELLO
    body, _ = encoded(asked(HELLO, ChatMessage(Role.ASSISTANT, parts), after, model=model, is_strict=True))
    said: list[dict[str, Any]] = body["contents"][1]["parts"]
    return said
