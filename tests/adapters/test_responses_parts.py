"""What is said over OpenAI's responses: parts, tools, shapes, and what the provider is to keep."""

from typing import Any

import pytest

from dipeo.domain.completion import Adaptation, AdaptationAction, ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.errors import DipeoError, UnsupportedParameterError
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
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache, ProviderTool, ResponseSchema, Tooling, ToolSpec, ToolUse
from tests.adapters.replay import ReplayWire
from tests.adapters.responses_body import adapter_over

REPLY = (
    b'{"object": "response", "status": "completed", "model": "m", "id": "resp_1",'
    b' "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]}'
)
THINKER, PLAIN = "gpt-5.4-mini", "gpt-4o-mini"
WEATHER = ToolSpec(name="weather", description="The weather.", parameters={"type": "object", "properties": {}})
USER, ASSISTANT, TOOL = Role.USER, Role.ASSISTANT, Role.TOOL


def asking(*messages: ChatMessage, model: str = PLAIN, **fields: Any) -> CompletionRequest:
    given = messages or (ChatMessage.from_text(USER, "Hello"),)
    return CompletionRequest(**{"service": LLMService.OPENAI, "model": model, "messages": given, **fields})


async def said(request: CompletionRequest) -> tuple[dict[str, Any], Completion]:
    """The body that is sent for a request, and the completion that comes of it."""
    wire = ReplayWire(status=200, headers={}, body=REPLY)
    completion = await adapter_over(wire, request.service).complete(request)
    return dict(wire.asked[0].body), completion


async def items_of(*parts: Part, role: Role = USER, model: str = PLAIN, name: str | None = None) -> list[Any]:
    body, completion = await said(asking(ChatMessage(role, parts, name=name), model=model))
    assert completion.adaptations == ()
    items: list[Any] = body["input"]
    return items


# --- parts -----------------------------------------------------------------------------------------------------------

PNG = ImagePart(media_type="image/png", data=b"\x89PNG")
PDF = DocumentPart(media_type="application/pdf", data=b"%PDF")
CONTENT: dict[str, tuple[Part, dict[str, Any]]] = {
    "a picture": (PNG, {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="}),
    "a picture elsewhere": (
        ImagePart(media_type="image/png", url="https://a.example/b.png"),
        {"type": "input_image", "image_url": "https://a.example/b.png"},
    ),
    "a document": (
        PDF,
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
    ),
    "a named document": (
        DocumentPart(media_type="application/pdf", data=b"%PDF", name="apples.pdf"),
        {"type": "input_file", "filename": "apples.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
    ),
    "a document elsewhere": (
        DocumentPart(media_type="application/pdf", url="https://a.example/b.pdf"),
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
    ),
}


@pytest.mark.parametrize("name", CONTENT)
async def test_a_part_is_sent_as_the_provider_wants_it(name: str) -> None:
    """Pictures and documents go as data URLs or addresses, beside the text of their message."""
    part, encoded = CONTENT[name]
    (message,) = await items_of(TextPart("Look."), part)
    assert message == {"role": "user", "content": [{"type": "input_text", "text": "Look."}, encoded]}


async def test_names_stand_in_front_of_the_text() -> None:
    """There is no field for names, so that one stands before the first text, or alone before a picture."""
    (named,) = await items_of(TextPart("Look."), PNG, name="ada")
    assert named["content"][0]["text"] == "ada: Look."
    (silent,) = await items_of(PNG, name="ada")
    assert silent["content"][0]["text"] == "ada:"
    (plain,) = await items_of(TextPart("Look."), name="ada")
    assert plain == {"role": "user", "content": "ada: Look."}


async def test_results_of_tools_are_items_of_their_own() -> None:
    """Each result is an item, and one of a tool that failed says so in words."""
    good, bad = (
        ToolResultPart(call_id="c1", content="4"),
        ToolResultPart(call_id="c2", content="No net.", is_error=True),
    )
    assert await items_of(good, bad, role=TOOL) == [
        {"type": "function_call_output", "call_id": "c1", "output": "4"},
        {"type": "function_call_output", "call_id": "c2", "output": "Error: No net."},
    ]


async def test_an_answer_goes_back_item_by_item() -> None:
    """Thoughts, text and calls keep their order; neighbouring texts are one message, and citations are not sent."""
    items = await items_of(
        ReasoningPart(text="One.", vendor="openai", id="rs_1", signature="sig"),
        ReasoningPart(text="Two.", vendor="openai", id="rs_1"),
        ReasoningPart(text="", vendor="openai", id="rs_2", signature="other", is_redacted=True),
        ProviderToolPart(vendor="openai", name="web_search", data={"type": "web_search_call", "id": "ws_1"}),
        TextPart("It is "),
        CitationPart(url="https://a.example"),
        TextPart("sunny."),
        ToolCallPart(call_id="c1", name="weather", arguments={"town": "Köln"}),
        ToolCallPart(call_id="c2", name="weather", arguments={}, broken_arguments='{"town": "K'),
        role=ASSISTANT,
    )
    one = [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}]
    assert items == [
        {"type": "reasoning", "id": "rs_1", "summary": one, "encrypted_content": "sig"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "other"},
        {"type": "web_search_call", "id": "ws_1"},
        {"role": "assistant", "content": "It is sunny."},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"town":"Köln"}'},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": '{"town": "K'},
    ]


LEFT_OUT: dict[str, tuple[Part, ...]] = {
    "another vendor's thought": (ReasoningPart(text="Hm.", vendor="anthropic", signature="s"), TextPart("Hi")),
    "a thought without proof": (ReasoningPart(text="Hm.", vendor="openai"), TextPart("Hi")),
    "another vendor's tool": (ProviderToolPart(vendor="google", name="web_search", data={}), TextPart("Hi")),
    "a thought that nothing came of": (TextPart("Hi"), ReasoningPart(text="Hm.", vendor="openai", id="rs_1")),
}


@pytest.mark.parametrize("name", LEFT_OUT)
async def test_what_the_provider_cannot_use_is_left_out_and_said(name: str) -> None:
    """It is recorded on the completion, and an error where the call is strict."""
    request = asking(ChatMessage(ASSISTANT, LEFT_OUT[name]), ChatMessage.from_text(USER, "Go on."))
    body, completion = await said(request)
    assert body["input"] == [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Go on."}]
    (adaptation,) = completion.adaptations
    assert adaptation.parameter.startswith("messages[0].content")
    assert adaptation.action is AdaptationAction.DROPPED
    with pytest.raises(UnsupportedParameterError) as caught:
        await said(asking(*request.messages, is_strict=True))
    assert caught.value.field == adaptation.parameter


REFUSED: dict[str, tuple[Role, Part, str]] = {
    "a sound": (USER, AudioPart(media_type="audio/wav", data=b"RIFF"), THINKER),
    "a picture for a blind model": (USER, PNG, "gpt-3.5-turbo"),
    "a document for a blind model": (USER, PDF, "o3-mini"),
    "a kind of picture that is not taken": (USER, ImagePart(media_type="image/tiff", data=b"II"), THINKER),
    "a picture in instructions": (Role.SYSTEM, PNG, THINKER),
    "a picture of a tool's": (TOOL, PNG, THINKER),
    "text of a tool's": (TOOL, TextPart("4"), THINKER),
    "a call of the user's": (USER, ToolCallPart(call_id="c", name="weather", arguments={}), THINKER),
    "a picture of the model's": (ASSISTANT, PNG, THINKER),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_part_that_cannot_be_sent_is_named(name: str) -> None:
    """It is refused before anything is sent, by its place."""
    role, part, model = REFUSED[name]
    wire = ReplayWire(status=200, headers={}, body=REPLY)
    hello, message = ChatMessage.from_text(USER, "Hello"), ChatMessage(role, (part,))
    with pytest.raises(UnsupportedParameterError) as caught:
        await adapter_over(wire).complete(asking(hello, message, model=model))
    assert caught.value.field == "messages[1].content[0]"
    assert wire.asked == []


async def test_developers_are_called_what_the_model_knows() -> None:
    """The role `developer` goes to the models that know it, and as `system` to others, which is recorded."""
    message = ChatMessage.from_text(Role.DEVELOPER, "Be brief.")
    body, completion = await said(asking(message))
    assert body["input"] == [{"role": "developer", "content": "Be brief."}]
    body, completion = await said(asking(message, model="grok-4.3", service=LLMService.XAI))
    assert body["input"] == [{"role": "system", "content": "Be brief."}]
    assert [each.parameter for each in completion.adaptations] == ["messages[0].role"]


# --- tools and shapes ------------------------------------------------------------------------------------------------

USES: dict[str, tuple[Tooling, dict[str, Any]]] = {
    "as it likes": (Tooling(tools=(WEATHER,)), {}),
    "not at all": (Tooling(tools=(WEATHER,), use=ToolUse.NONE), {"tool_choice": "none"}),
    "one at least": (Tooling(tools=(WEATHER,), use=ToolUse.REQUIRED), {"tool_choice": "required"}),
    "this one": (
        Tooling(tools=(WEATHER,), use=ToolUse.NAMED, named_tool="weather"),
        {"tool_choice": {"type": "function", "name": "weather"}},
    ),
    "one at a time": (Tooling(tools=(WEATHER,), is_parallel=False), {"parallel_tool_calls": False}),
}


@pytest.mark.parametrize("name", USES)
async def test_tools_are_offered_with_their_use(name: str) -> None:
    """A tool always says whether it is strict, because the interface takes silence for a yes."""
    tooling, use = USES[name]
    body, _ = await said(asking(tooling=tooling))
    assert body["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ]
    assert {name: body[name] for name in ("tool_choice", "parallel_tool_calls") if name in body} == use


async def test_a_use_without_tools_says_nothing() -> None:
    """Where no tool is offered there is nothing to choose from."""
    body, _ = await said(asking(tooling=Tooling(use=ToolUse.NONE, is_parallel=True)))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()


async def test_the_providers_own_tools_are_asked_for() -> None:
    """Searching and running code; what the code gave back is to come along."""
    tooling = Tooling(provider_tools=(ProviderTool.WEB_SEARCH, ProviderTool.CODE_EXECUTION))
    body, _ = await said(asking(tooling=tooling))
    assert body["tools"] == [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]
    assert body["include"] == ["code_interpreter_call.outputs"]
    body, _ = await said(asking(model="grok-4.3", service=LLMService.XAI, tooling=tooling))
    assert body["tools"] == [{"type": "web_search"}, {"type": "code_interpreter"}]


async def test_the_shape_of_the_answer_is_asked_for() -> None:
    """A schema goes with its name and strictness, and any JSON object as just that."""
    schema = ResponseSchema(schema={"type": "object"}, name="person", description="Who.", is_strict=False)
    body, completion = await said(asking(response_schema=schema))
    assert body["text"] == {
        "format": {
            "type": "json_schema",
            "name": "person",
            "description": "Who.",
            "schema": {"type": "object"},
            "strict": False,
        }
    }
    assert completion.schema_mode == "native"


async def test_what_strictness_needs_is_seen_to() -> None:
    """A schema that leaves something open is not asked for to the letter, and that is recorded."""
    body, completion = await said(asking(response_schema=ResponseSchema(schema={"type": "object"})))
    assert body["text"]["format"]["strict"] is False
    assert [each.parameter for each in completion.adaptations] == ["response_schema.is_strict"]


async def test_any_object_is_asked_for_in_words_too() -> None:
    """The provider insists that the messages speak of JSON: where none does, one is put in front and recorded."""
    anything = ResponseSchema(schema=None)
    body, completion = await said(asking(response_schema=anything))
    assert body["text"] == {"format": {"type": "json_object"}}
    assert [item["role"] for item in body["input"]] == ["system", "user"]
    assert [each.action for each in completion.adaptations] == [AdaptationAction.INSERTED]
    body, completion = await said(asking(ChatMessage.from_text(USER, "Some JSON, please."), response_schema=anything))
    assert len(body["input"]) == 1
    assert completion.adaptations == ()


async def test_long_ids_of_calls_are_shortened_alike() -> None:
    """An id of another provider's that is too long here is replaced, for the call and its result by the same."""
    long = "c" * 65
    body, completion = await said(
        asking(
            ChatMessage(
                ASSISTANT, (ToolCallPart(call_id=long, name="weather", arguments={}, vendor="v", signature="s"),)
            ),
            ChatMessage(TOOL, (ToolResultPart(call_id=long, content="4"),)),
        )
    )
    call, result = body["input"]
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) == 64
    assert call["call_id"] != long[:64]
    assert [each.parameter for each in completion.adaptations] == ["messages[0].content[0].signature"]


# --- what the provider keeps -----------------------------------------------------------------------------------------


async def test_nothing_is_kept_unless_it_is_wanted() -> None:
    """Without a word the provider keeps no answer, and a model that thinks gives its thoughts encrypted."""
    body, _ = await said(asking())
    assert body["store"] is False
    assert "include" not in body
    body, _ = await said(asking(model=THINKER))
    assert body["include"] == ["reasoning.encrypted_content"]


async def test_an_answer_that_is_gone_on_from_is_kept() -> None:
    """A request that goes on from a kept answer is kept too, so that the next can go on from it."""
    body, _ = await said(asking(previous_response_id="resp_0"))
    assert (body["store"], body["previous_response_id"]) == (True, "resp_0")


async def test_provider_options_have_the_last_word() -> None:
    """They decide what is kept; what they want included comes beside what is needed."""
    options = {
        "store": True,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
        "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}],
    }
    body, _ = await said(
        asking(
            model=THINKER,
            provider_options=options,
            sampling=Sampling(reasoning_effort=ReasoningEffort.LOW),
            tooling=Tooling(provider_tools=(ProviderTool.WEB_SEARCH,)),
        )
    )
    assert body["store"] is True
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert [tool["type"] for tool in body["tools"]] == ["web_search", "file_search"]


CACHES: dict[str, tuple[str, PromptCache, dict[str, Any] | None]] = {
    "unasked": ("gpt-5.6-terra", PromptCache.DEFAULT, {}),
    "newest, short": ("gpt-5.6-terra", PromptCache.SHORT, {"prompt_cache_options": {"ttl": "30m"}}),
    "newest, long": ("gpt-5.6-terra", PromptCache.LONG, {"prompt_cache_options": {"ttl": "12h"}}),
    "5.5, short": ("gpt-5.5", PromptCache.SHORT, {}),
    "5.5, long": ("gpt-5.5", PromptCache.LONG, {"prompt_cache_retention": "24h"}),
    "older, short": ("gpt-5.1", PromptCache.SHORT, {"prompt_cache_retention": "in_memory"}),
    "older, long": ("gpt-4.1", PromptCache.LONG, {"prompt_cache_retention": "24h"}),
    "oldest, short": ("gpt-4o", PromptCache.SHORT, {}),
    "oldest, long": ("gpt-4o", PromptCache.LONG, None),
    "small, short": ("gpt-4.1-mini", PromptCache.SHORT, {}),
    "small, long": ("gpt-5-mini", PromptCache.LONG, None),
}


@pytest.mark.parametrize("name", CACHES)
async def test_a_prompt_cache_is_asked_for_as_the_model_takes_it(name: str) -> None:
    """Each generation has its own words; what cannot be said is recorded. The person's name is not given away."""
    model, wish, fields = CACHES[name]
    body, completion = await said(asking(model=model, prompt_cache=wish, person_id="ada"))
    asked = {key: value for key, value in body.items() if key.startswith("prompt_cache")}
    key = asked.pop("prompt_cache_key", "")
    assert asked == (fields or {})
    assert bool(key) is (wish is not PromptCache.DEFAULT)
    assert "ada" not in key
    assert [each.parameter for each in completion.adaptations] == (["prompt_cache"] if fields is None else [])


async def test_sampling_is_sent_as_far_as_it_is_taken() -> None:
    """Stop words, seed and thinking budget have no place here, and the models that think take no temperature."""
    sampling = Sampling(
        temperature=1, top_p=0.5, max_tokens=9, stop="x", seed=1, reasoning_effort="max", reasoning_budget_tokens=5
    )
    body, completion = await said(asking(sampling=sampling))
    assert (body["temperature"], body["top_p"], body["max_output_tokens"]) == (1, 0.5, 9)
    assert {each.parameter for each in completion.adaptations} == {
        "stop",
        "seed",
        "reasoning_effort",
        "reasoning_budget_tokens",
    }
    body, completion = await said(asking(model=THINKER, sampling=sampling))
    assert body["reasoning"] == {"effort": "xhigh"}
    assert {"temperature", "top_p"} <= {each.parameter for each in completion.adaptations}
    assert not {"temperature", "top_p"} & body.keys()


# --- which interface is spoken ---------------------------------------------------------------------------------------

CHOICES: dict[str, tuple[LLMService, str, dict[str, Any], str]] = {
    "the usual way": (LLMService.OPENAI, "chat", {}, "/chat/completions"),
    "by setting": (LLMService.OPENAI, "responses", {}, "/responses"),
    "a model that has no other": (LLMService.OPENAI, "chat", {"model": "o3-pro"}, "/responses"),
    "a model that writes code": (LLMService.OPENAI, "chat", {"model": "gpt-5.1-codex-mini"}, "/responses"),
    "a model that researches": (LLMService.OPENAI, "chat", {"model": "o4-mini-deep-research"}, "/responses"),
    "a model that has chat alone": (
        LLMService.OPENAI,
        "responses",
        {"model": "gpt-4o-search-preview"},
        "/chat/completions",
    ),
    "a model of another maker behind a gateway": (
        LLMService.OPENAI,
        "chat",
        {"model": "gemini-3-pro"},
        "/chat/completions",
    ),
    "a dated model that has no other": (
        LLMService.OPENAI,
        "chat",
        {"model": "gpt-5.4-pro-2026-03-05"},
        "/responses",
    ),
    "an answer to go on from": (LLMService.OPENAI, "chat", {"previous_response_id": "resp_1"}, "/responses"),
    "a tool that chat lacks": (
        LLMService.OPENAI,
        "chat",
        {"tooling": Tooling(provider_tools=(ProviderTool.CODE_EXECUTION,))},
        "/responses",
    ),
    "xai, the usual way": (LLMService.XAI, "chat", {}, "/chat/completions"),
    "xai, by setting": (LLMService.XAI, "responses", {}, "/responses"),
    "xai, an answer to go on from": (LLMService.XAI, "chat", {"previous_response_id": "resp_1"}, "/responses"),
    "any server, by setting": (LLMService.OPENAI_COMPATIBLE, "responses", {}, "/responses"),
    "a provider without responses": (LLMService.GROQ, "chat", {}, "/chat/completions"),
}


@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("name", CHOICES)
async def test_the_interface_is_chosen_by_setting_model_or_request(name: str, is_stream: bool) -> None:
    """The setting decides, unless the model or the request leaves no choice."""
    service, api, fields, path = CHOICES[name]
    wire = ReplayWire(status=500, headers={}, body=b"{}")
    adapter = adapter_over(wire, service, api=api)
    request = asking(**{"service": service, **fields})
    with pytest.raises(DipeoError):
        await (adapter.stream(request).collect() if is_stream else adapter.complete(request))
    assert [exchange.path for exchange in wire.asked] == [path]
    await adapter.aclose()
    assert wire.is_closed


async def test_an_adaptation_says_what_and_why() -> None:
    """What cannot be sent is recorded in words that a reader understands."""
    _, completion = await said(asking(sampling=Sampling(seed=1)))
    assert completion.adaptations == (
        Adaptation(
            parameter="seed",
            action=AdaptationAction.DROPPED,
            reason="OpenAI's responses have no such parameter.",
        ),
    )
