"""What a request to chat completions can hold beside text: said as each provider wants it, or refused by name."""

import pytest
from attrs import evolve

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.parts import (
    AudioPart,
    CitationPart,
    DocumentPart,
    ImagePart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolResultPart,
)
from dipeo.domain.service import LLMService
from dipeo.domain.tools import ProviderTool, Tooling, ToolUse
from tests.adapters.chat_requests import (
    ALL,
    ANY_URL,
    CALL,
    DEEPSEEK,
    GROQ,
    HELLO,
    LOOP,
    MISTRAL,
    OPENAI,
    OPENROUTER,
    PDF,
    PNG,
    RESULT,
    WAV,
    WEATHER,
    XAI,
    adapted,
    body_of,
    messages_of,
    refused,
    request_of,
)

# --- tools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "choice"),
    [
        (ToolUse.AUTO, None),
        (ToolUse.NONE, "none"),
        (ToolUse.REQUIRED, "required"),
        (ToolUse.NAMED, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_a_tool_is_offered_with_how_it_may_be_used(use: ToolUse, choice: object) -> None:
    """The tool comes with its schema; that it may be called is not worth a word."""
    named = "weather" if use is ToolUse.NAMED else None
    body = body_of(request_of(OPENAI, tooling=Tooling(tools=(WEATHER,), use=use, named_tool=named)))
    function = {"name": "weather", "description": "Tells the weather.", "parameters": dict(WEATHER.parameters)}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body.get("tool_choice") == choice
    assert "parallel_tool_calls" not in body


def test_mistral_has_its_own_word_for_a_call_that_must_be() -> None:
    """It says 'any'."""
    tooling = Tooling(tools=(WEATHER,), use=ToolUse.REQUIRED)
    assert body_of(request_of(MISTRAL, tooling=tooling))["tool_choice"] == "any"


@pytest.mark.parametrize("is_parallel", [True, False])
def test_parallel_calls_are_switched_where_there_is_a_switch(*, is_parallel: bool) -> None:
    """Models that have no such switch get none, and that is recorded."""
    tooling = Tooling(tools=(WEATHER,), is_parallel=is_parallel)
    assert body_of(request_of(OPENAI, tooling=tooling))["parallel_tool_calls"] is is_parallel
    for request in (request_of(OPENAI, model="o3", tooling=tooling), request_of(DEEPSEEK, tooling=tooling)):
        assert "parallel_tool_calls" not in body_of(request)
        assert adapted(request) == [("parallel_tool_calls", AdaptationAction.DROPPED)]


def test_a_strict_tool_is_asked_for_where_it_can_be() -> None:
    """DeepSeek cannot be held to a schema there, and nobody to one that leaves something open; that is recorded."""
    closed = evolve(WEATHER, is_strict=True, parameters={**WEATHER.parameters, "additionalProperties": False})
    tooling = Tooling(tools=(closed,))
    assert body_of(request_of(OPENAI, tooling=tooling))["tools"][0]["function"]["strict"] is True
    open_one = Tooling(tools=(evolve(WEATHER, is_strict=True),))
    for request in (request_of(DEEPSEEK, tooling=tooling), request_of(OPENAI, tooling=open_one)):
        assert "strict" not in body_of(request)["tools"][0]["function"]
        assert adapted(request) == [("tools[0].is_strict", AdaptationAction.DROPPED)]


@pytest.mark.parametrize(
    ("service", "model"),
    [(OPENAI, "gpt-4o-search-preview"), (OPENAI, "o1-mini"), (GROQ, "groq/compound"), (GROQ, "llama-guard-4-12b")],
)
def test_a_model_without_tools_is_offered_none(service: LLMService, model: str) -> None:
    """The error names the parameter."""
    assert refused(request_of(service, model=model, tooling=Tooling(tools=(WEATHER,)))) == "tools"


SEARCH, CODE = ProviderTool.WEB_SEARCH, ProviderTool.CODE_EXECUTION
PROVIDER_TOOLS: list[tuple[LLMService, str, tuple[ProviderTool, ...], str, object]] = [
    (OPENAI, "gpt-4o-search-preview", (SEARCH,), "web_search_options", {}),
    (OPENROUTER, "openai/gpt-5.2", (SEARCH,), "tools", [{"type": "openrouter:web_search"}]),
    (
        GROQ,
        "openai/gpt-oss-20b",
        (SEARCH, CODE),
        "tools",
        [{"type": "browser_search"}, {"type": "code_interpreter"}],
    ),
    (
        GROQ,
        "groq/compound",
        (SEARCH, CODE),
        "compound_custom",
        {"tools": {"enabled_tools": ["web_search", "code_interpreter"]}},
    ),
]


@pytest.mark.parametrize(("service", "model", "tools", "name", "value"), PROVIDER_TOOLS)
def test_a_providers_own_tool_is_asked_for_in_its_words(
    service: LLMService, model: str, tools: tuple[ProviderTool, ...], name: str, value: object
) -> None:
    """Each has its own place for them."""
    assert body_of(request_of(service, model=model, tooling=Tooling(provider_tools=tools)))[name] == value


def test_own_and_provider_tools_stand_side_by_side() -> None:
    """The choice concerns the caller's."""
    tooling = Tooling(tools=(WEATHER,), provider_tools=(SEARCH,), use=ToolUse.REQUIRED)
    body = body_of(request_of(OPENROUTER, tooling=tooling))
    assert [tool["type"] for tool in body["tools"]] == ["function", "openrouter:web_search"]
    assert body["tool_choice"] == "required"


@pytest.mark.parametrize("service", [MISTRAL, DEEPSEEK, ANY_URL])
def test_a_tool_that_the_provider_does_not_have_is_refused(service: LLMService) -> None:
    """Nothing is sent that would be ignored."""
    assert refused(request_of(service, tooling=Tooling(provider_tools=(SEARCH,)))) == "provider_tools"


# --- calls and results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ALL)
def test_a_call_and_its_result_go_together(service: LLMService) -> None:
    """The result names the id of its call, whatever the provider makes of ids."""
    said = messages_of(request_of(service, *LOOP))
    (call,) = said[1]["tool_calls"]
    assert said[1]["content"] is None
    assert call["function"] == {"name": "weather", "arguments": '{"city":"Köln"}'}
    assert said[2] == {"role": "tool", "tool_call_id": call["id"], "content": "Rain"}
    assert (len(call["id"]) == 9) if service is MISTRAL else (call["id"] == "call_1")


def test_an_id_that_is_too_long_becomes_one_that_is_not() -> None:
    """OpenAI takes forty characters."""
    call = evolve(CALL, call_id="c" * 41)
    messages = (
        ChatMessage(Role.ASSISTANT, (call,)),
        ChatMessage(Role.TOOL, (evolve(RESULT, call_id=call.call_id),)),
    )
    said = messages_of(request_of(OPENAI, HELLO, *messages))
    assert said[1]["tool_calls"][0]["id"] == said[2]["tool_call_id"]
    assert len(said[2]["tool_call_id"]) <= 40


def test_several_results_are_several_messages() -> None:
    """One message of results becomes one for each; a failure says that it is one."""
    results = ChatMessage(Role.TOOL, (RESULT, ToolResultPart(call_id="call_2", content="no wind", is_error=True)))
    said = messages_of(request_of(OPENAI, HELLO, ChatMessage(Role.ASSISTANT, (CALL,)), results))
    assert [message["content"] for message in said[2:]] == ["Rain", "Error: no wind"]


def test_broken_arguments_go_back_as_they_came() -> None:
    """The model sees what it wrote."""
    broken = evolve(CALL, arguments={}, broken_arguments='{"city": "Kö')
    said = messages_of(request_of(OPENAI, HELLO, ChatMessage(Role.ASSISTANT, (broken,))))
    assert said[1]["tool_calls"][0]["function"]["arguments"] == '{"city": "Kö'


def test_mistral_hears_the_assistant_between_a_tool_and_a_user() -> None:
    """It refuses the one right after the other; what is put between is recorded."""
    request = request_of(MISTRAL, *LOOP, HELLO)
    assert [message["role"] for message in messages_of(request)] == ["user", "assistant", "tool", "assistant", "user"]
    assert adapted(request) == [("messages", AdaptationAction.INSERTED)]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (ChatMessage(Role.TOOL, (RESULT, TextPart("and more"))), "messages[1].content[1]"),
        (ChatMessage(Role.USER, (CALL,)), "messages[1].content[0]"),
        (ChatMessage(Role.ASSISTANT, (TextPart("See:"), PNG)), "messages[1].content[1]"),
        (ChatMessage(Role.SYSTEM, (TextPart("See:"), PNG)), "messages[1].content[1]"),
    ],
)
def test_a_part_in_the_wrong_message_is_refused_by_name(message: ChatMessage, field: str) -> None:
    """The error says which part of which message."""
    assert refused(request_of(OPENAI, HELLO, message)) == field


# --- pictures, documents, sounds -------------------------------------------------------------------------------------

DATA_URL = "data:image/png;base64,cG5n"
PIECES: list[tuple[LLMService, str, Part, object]] = [
    (OPENAI, "gpt-4o", PNG, {"type": "image_url", "image_url": {"url": DATA_URL}}),
    (
        XAI,
        "grok-4",
        ImagePart(media_type="image/png", url="https://a.test/b.png"),
        {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
    ),
    (
        OPENAI,
        "gpt-4.1",
        PDF,
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
    ),
    (
        OPENROUTER,
        "",
        DocumentPart(media_type="application/pdf", url="https://a.test/b.pdf", name="b.pdf"),
        {"type": "file", "file": {"filename": "b.pdf", "file_data": "https://a.test/b.pdf"}},
    ),
    (
        MISTRAL,
        "",
        DocumentPart(media_type="application/pdf", url="https://a.test/b.pdf", name="b.pdf"),
        {"type": "document_url", "document_url": "https://a.test/b.pdf", "document_name": "b.pdf"},
    ),
    (MISTRAL, "", PDF, {"type": "document_url", "document_url": "data:application/pdf;base64,cGRm"}),
    (OPENAI, "gpt-4o-audio-preview", WAV, {"type": "input_audio", "input_audio": {"data": "d2F2", "format": "wav"}}),
    (
        OPENROUTER,
        "",
        AudioPart(media_type="audio/x-flac", data=b"wav"),
        {"type": "input_audio", "input_audio": {"data": "d2F2", "format": "flac"}},
    ),
    (MISTRAL, "voxtral-small-latest", WAV, {"type": "input_audio", "input_audio": "d2F2"}),
]


@pytest.mark.parametrize(("service", "model", "part", "piece"), PIECES)
def test_media_are_sent_as_the_provider_wants_them(service: LLMService, model: str, part: Part, piece: object) -> None:
    """Bytes and addresses, each in its place beside the text."""
    message = ChatMessage(Role.USER, (TextPart("What is it?"), part))
    (said,) = messages_of(request_of(service, message, model=model))
    assert said == {"role": "user", "content": [{"type": "text", "text": "What is it?"}, piece]}


@pytest.mark.parametrize(
    ("service", "model", "part"),
    [
        (OPENAI, "gpt-3.5-turbo", PNG),
        (OPENAI, "o3-mini", PNG),
        (OPENAI, "gpt-4o", WAV),
        (OPENAI, "gpt-4-turbo", PDF),
        (OPENAI, "gpt-4o", DocumentPart(media_type="application/pdf", url="https://a.test/b.pdf")),
        (OPENAI, "gpt-audio", AudioPart(media_type="audio/flac", data=b"x")),
        (OPENAI, "gpt-audio", AudioPart(media_type="audio/wav", url="https://a.test/b.wav")),
        (XAI, "grok-3", PNG),
        (XAI, "grok-4", PDF),
        (GROQ, "llama-3.3-70b-versatile", PNG),
        (MISTRAL, "codestral-latest", PNG),
        (DEEPSEEK, "deepseek-v4-pro", PNG),
    ],
)
def test_media_that_a_model_does_not_take_are_refused_by_name(service: LLMService, model: str, part: Part) -> None:
    """The error comes before anything is sent, and names the part."""
    message = ChatMessage(Role.USER, (TextPart("What is it?"), part))
    assert refused(request_of(service, HELLO, message, model=model)) == "messages[1].content[1]"


def test_a_speakers_name_stands_before_the_first_text() -> None:
    """Where there is no field for it, and also where nothing but a picture is said."""
    ada = ChatMessage(Role.USER, (PNG, TextPart("Look!"), TextPart("There!")), name="Ada")
    assert [piece.get("text") for piece in messages_of(request_of(ANY_URL, ada))[0]["content"]] == [
        None,
        "Ada: Look!",
        "There!",
    ]
    (silent,) = messages_of(request_of(ANY_URL, ChatMessage(Role.USER, (PNG,), name="Ada")))
    assert silent["content"][0] == {"type": "text", "text": "Ada:"}
    (named,) = messages_of(request_of(OPENAI, ada))
    assert named["name"] == "Ada"
    assert named["content"][1] == {"type": "text", "text": "Look!"}


# --- what goes back, and what does not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "entry"),
    [
        (DEEPSEEK, {"content": "Yes.", "reasoning_content": "Hm."}),
        (GROQ, {"content": "Yes.", "reasoning": "Hm."}),
        (ANY_URL, {"content": "Yes.", "reasoning": "Hm.", "reasoning_content": "Hm."}),
        (OPENROUTER, {"content": "Yes.", "reasoning": "Hm."}),
        (
            MISTRAL,
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "Yes."},
                ]
            },
        ),
    ],
)
def test_a_vendors_own_reasoning_goes_back_to_it(service: LLMService, entry: dict[str, object]) -> None:
    """Each has its own place for it."""
    thought = ReasoningPart(text="Hm.", vendor=service.value)
    request = request_of(service, HELLO, ChatMessage(Role.ASSISTANT, (thought, TextPart("Yes."))), HELLO)
    assert messages_of(request)[1] == {"role": "assistant", **entry}
    assert adapted(request) == []


@pytest.mark.parametrize("service", ALL)
def test_anothers_reasoning_is_left_out_and_that_is_told(service: LLMService) -> None:
    """It is of no use to anybody else; who is strict gets an error instead."""
    thought = ReasoningPart(text="Hm.", vendor="anthropic", signature="proof")
    request = request_of(service, HELLO, ChatMessage(Role.ASSISTANT, (thought, TextPart("Yes."))), HELLO)
    assert messages_of(request)[1] == {"role": "assistant", "content": "Yes."}
    assert adapted(request) == [("messages[1].content[0]", AdaptationAction.DROPPED)]
    assert refused(evolve(request, is_strict=True)) == "messages[1].content[0]"


@pytest.mark.parametrize("service", [OPENAI, XAI])
def test_who_takes_no_reasoning_back_gets_none(service: LLMService) -> None:
    """Their chat completions have no place for it, and that is told."""
    thought = ReasoningPart(text="Hm.", vendor=service.value)
    request = request_of(service, HELLO, ChatMessage(Role.ASSISTANT, (thought, TextPart("Yes."))), HELLO)
    assert adapted(request) == [("messages[1].content[0]", AdaptationAction.DROPPED)]


def test_citations_are_never_sent_and_a_providers_work_is_not_taken_back() -> None:
    """The first says nothing to a model; the second is told."""
    did = ProviderToolPart(vendor="groq", name="search", data={"output": "..."})
    message = ChatMessage(Role.ASSISTANT, (did, TextPart("Yes."), CitationPart(url="https://a.test")))
    request = request_of(GROQ, HELLO, message, HELLO)
    assert messages_of(request)[1] == {"role": "assistant", "content": "Yes."}
    assert adapted(request) == [("messages[1].content[0]", AdaptationAction.DROPPED)]


def test_the_proof_of_a_call_goes_back_to_its_vendor_alone() -> None:
    """Behind a compatible address may be a model that wants one."""
    own = evolve(CALL, vendor="openai_compatible", signature='{"google": {"thought_signature": "proof"}}')
    said = messages_of(request_of(ANY_URL, HELLO, ChatMessage(Role.ASSISTANT, (own,))))
    assert said[1]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "proof"}}
    request = request_of(OPENAI, HELLO, ChatMessage(Role.ASSISTANT, (own,)))
    assert "extra_content" not in messages_of(request)[1]["tool_calls"][0]
    assert adapted(request) == [("messages[1].content[0].signature", AdaptationAction.DROPPED)]


def test_a_message_of_which_nothing_is_left_is_left_out() -> None:
    """An empty one would be refused."""
    thought = ReasoningPart(text="Hm.", vendor="anthropic")
    request = request_of(MISTRAL, HELLO, ChatMessage(Role.ASSISTANT, (thought,)))
    assert messages_of(request) == [{"role": "user", "content": "Hello"}]
    assert [name for name, _ in adapted(request)] == ["messages[1].content[0]", "messages[1]"]
    no_result = request_of(OPENAI, HELLO, ChatMessage(Role.TOOL, (thought,)))
    assert len(messages_of(no_result)) == 1
