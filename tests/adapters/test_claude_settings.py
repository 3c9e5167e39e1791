"""What Anthropic is sent for tools, thinking, schemas and its cache, and what has to be adapted."""

import json
from typing import Any

import pytest

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.parts import (
    ProviderToolPart,
    TextPart,
)
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.tools import PromptCache, ProviderTool, ResponseSchema, SchemaMode, Tooling, ToolSpec, ToolUse
from tests.adapters.claude_requests import (
    BUDGETED,
    CALL,
    CLAUDE,
    HELLO,
    NEW,
    OLD,
    RESULT,
    THOUGHT,
    WEATHER,
    adapted,
    asking,
    assistant,
    body_of,
    encoded,
    offering,
    results,
)
from tests.adapters.replay import ReplayWire, adapter_over

# --- tools ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tooling", "choice"),
    [
        (offering(WEATHER), None),
        (offering(WEATHER, is_parallel=True), None),
        (offering(WEATHER, is_parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (offering(WEATHER, use=ToolUse.NONE, is_parallel=False), {"type": "none"}),
        (offering(WEATHER, use=ToolUse.REQUIRED), {"type": "any"}),
        (
            offering(WEATHER, use=ToolUse.NAMED, named_tool="weather", is_parallel=False),
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        ),
        (Tooling(is_parallel=False), None),
    ],
)
def test_how_tools_are_used_is_said_in_anthropics_words(tooling: Tooling, choice: dict[str, Any] | None) -> None:
    """Only what differs from the provider's own choice is sent, and nothing where there is no tool."""
    assert body_of(asking(tooling=tooling)).get("tool_choice") == choice


def test_a_tool_is_described_with_its_schema() -> None:
    """A strict one is closed, where the model holds itself to it."""
    shape: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    strict = ToolSpec(name="weather", parameters=shape, is_strict=True)
    loose = ToolSpec(name="tides", description="Tells the tides.", parameters=shape)
    assert body_of(asking(tooling=offering(strict, loose)))["tools"] == [
        {"name": "weather", "input_schema": {**shape, "additionalProperties": False}, "strict": True},
        {"name": "tides", "description": "Tells the tides.", "input_schema": shape},
    ]
    body, told = adapted(asking(tooling=offering(loose, strict), model=OLD))
    assert body["tools"][1] == {"name": "weather", "input_schema": shape}
    assert told == [("tools[1].is_strict", AdaptationAction.DROPPED)]
    open_one = ToolSpec(name="weather", parameters={"type": "object"}, is_strict=True)
    assert adapted(asking(tooling=offering(open_one)))[1] == [("tools[0].is_strict", AdaptationAction.DROPPED)]


def test_the_providers_own_tools_are_asked_for_by_their_versions() -> None:
    """A model that has none refuses them by name."""
    both = Tooling(provider_tools=(ProviderTool.WEB_SEARCH, ProviderTool.CODE_EXECUTION))
    assert body_of(asking(tooling=both))["tools"] == [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "code_execution_20250825", "name": "code_execution"},
    ]
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asking(tooling=both, model="claude-haiku-4-5"))
    assert caught.value.field == "provider_tools"


def test_tools_are_refused_for_a_model_without() -> None:
    """The first generations know none."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asking(tooling=offering(WEATHER), model="claude-2.1"))
    assert caught.value.field == "tools"


def test_an_answer_to_go_on_from_is_refused() -> None:
    """Anthropic keeps none, and without it half of the question would be missing."""
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(asking(previous_response_id="msg_1"))
    assert caught.value.field == "previous_response_id"


# --- thinking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "sampling", "thinking", "effort", "told"),
    [
        (NEW, Sampling(reasoning_effort=ReasoningEffort.HIGH), {"type": "adaptive"}, "high", None),
        (NEW, Sampling(reasoning_effort=ReasoningEffort.NONE), {"type": "disabled"}, None, None),
        (
            NEW,
            Sampling(reasoning_effort=ReasoningEffort.MINIMAL),
            {"type": "adaptive"},
            "low",
            ("reasoning_effort", AdaptationAction.SUBSTITUTED),
        ),
        (
            "claude-opus-4-6",
            Sampling(reasoning_effort=ReasoningEffort.XHIGH),
            {"type": "adaptive"},
            "max",
            ("reasoning_effort", AdaptationAction.SUBSTITUTED),
        ),
        (
            "claude-mythos-preview",
            Sampling(reasoning_effort=ReasoningEffort.NONE),
            {"type": "adaptive"},
            "low",
            ("reasoning_effort", AdaptationAction.SUBSTITUTED),
        ),
        (
            NEW,
            Sampling(reasoning_budget_tokens=2000),
            {"type": "adaptive"},
            None,
            ("reasoning_budget_tokens", AdaptationAction.SUBSTITUTED),
        ),
        ("claude-opus-4-5", Sampling(reasoning_effort=ReasoningEffort.LOW), None, "low", None),
        (BUDGETED, Sampling(reasoning_budget_tokens=2000), {"type": "enabled", "budget_tokens": 2000}, None, None),
        (
            BUDGETED,
            Sampling(reasoning_budget_tokens=10),
            {"type": "enabled", "budget_tokens": 1024},
            None,
            ("reasoning_budget_tokens", AdaptationAction.CLAMPED),
        ),
        (
            BUDGETED,
            Sampling(reasoning_budget_tokens=9000, max_tokens=5000),
            {"type": "enabled", "budget_tokens": 4999},
            None,
            ("reasoning_budget_tokens", AdaptationAction.CLAMPED),
        ),
        (
            BUDGETED,
            Sampling(reasoning_budget_tokens=9000, max_tokens=500),
            None,
            None,
            ("reasoning_budget_tokens", AdaptationAction.DROPPED),
        ),
        (
            BUDGETED,
            Sampling(reasoning_effort=ReasoningEffort.HIGH),
            None,
            None,
            ("reasoning_effort", AdaptationAction.DROPPED),
        ),
        (BUDGETED, Sampling(reasoning_effort=ReasoningEffort.NONE), None, None, None),
        (
            BUDGETED,
            Sampling(reasoning_effort=ReasoningEffort.NONE, reasoning_budget_tokens=2000),
            None,
            None,
            ("reasoning_budget_tokens", AdaptationAction.DROPPED),
        ),
        (
            OLD,
            Sampling(reasoning_budget_tokens=2000),
            None,
            None,
            ("reasoning_budget_tokens", AdaptationAction.DROPPED),
        ),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(
    model: str,
    sampling: Sampling,
    thinking: dict[str, Any] | None,
    effort: str | None,
    told: tuple[str, AdaptationAction] | None,
) -> None:
    """By effort, by a budget, or as the model sees fit; what is sent otherwise is told."""
    body, adaptations = adapted(asking(model=model, sampling=sampling))
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert adaptations == ([told] if told else [])
    assert sampling.max_tokens or body["max_tokens"] > (thinking or {}).get("budget_tokens", 0)
    if told:
        with pytest.raises(UnsupportedParameterError) as caught:
            encoded(asking(model=model, sampling=sampling, is_strict=True))
        assert caught.value.field == told[0]


def test_thoughts_count_within_the_bound_of_the_answer() -> None:
    """Unless the caller gives a bound there is room for both."""
    assert body_of(asking())["max_tokens"] == 4096
    assert body_of(asking(sampling=Sampling(reasoning_effort=ReasoningEffort.LOW)))["max_tokens"] == 16384
    assert body_of(asking(model=BUDGETED, sampling=Sampling(reasoning_budget_tokens=2000)))["max_tokens"] == 6096


@pytest.mark.parametrize(
    ("model", "sampling", "told"),
    [
        (
            BUDGETED,
            Sampling(reasoning_budget_tokens=2000),
            ("reasoning_budget_tokens", AdaptationAction.DROPPED),
        ),
        (NEW, Sampling(reasoning_effort=ReasoningEffort.LOW), ("reasoning_effort", AdaptationAction.SUBSTITUTED)),
    ],
)
def test_no_thought_goes_before_a_call_that_is_forced(
    model: str, sampling: Sampling, told: tuple[str, AdaptationAction]
) -> None:
    """Anthropic refuses both at once: the call is what was asked for, and that nothing is thought is told."""
    forced = offering(WEATHER, use=ToolUse.REQUIRED)
    body, adaptations = adapted(asking(model=model, sampling=sampling, tooling=forced))
    assert "thinking" not in body
    assert body["tool_choice"] == {"type": "any"}
    assert adaptations == [told]


def test_a_budget_waits_until_anothers_calls_are_answered() -> None:
    """A turn that was begun without thinking, by whichever model, is ended without."""
    sampling = Sampling(reasoning_budget_tokens=2000)
    asked: dict[str, Any] = {"model": BUDGETED, "sampling": sampling, "tooling": offering(WEATHER)}
    body, told = adapted(asking(HELLO, assistant(CALL), results(RESULT), **asked))
    assert "thinking" not in body
    assert told == [("reasoning_budget_tokens", AdaptationAction.DROPPED)]
    assert body_of(asking(HELLO, assistant(THOUGHT, CALL), results(RESULT), **asked))["thinking"]
    assert body_of(asking(HELLO, assistant(CALL), results(RESULT), assistant(TextPart("a")), HELLO, **asked))[
        "thinking"
    ]


def test_sampling_beside_thinking_is_what_the_interface_takes() -> None:
    """A temperature of 1 and a high top_p are taken; what else there is is dropped, and told."""
    body = body_of(asking(model=BUDGETED, sampling=Sampling(temperature=1, reasoning_budget_tokens=2000)))
    assert body["temperature"] == 1
    sampling = Sampling(temperature=0.5, top_p=0.5, reasoning_budget_tokens=2000)
    exchange, adaptations = encoded(asking(model=BUDGETED, sampling=sampling))
    assert not {"temperature", "top_p"} & exchange.body.keys()
    assert {each.parameter for each in adaptations} == {"temperature", "top_p"}
    assert exchange.headers["anthropic-version"] == "2026-10-21"


def test_an_open_end_is_not_left_where_the_model_thinks_or_keeps_to_a_schema() -> None:
    """Both are refused beside words to go on from; and those must not end in white space."""
    said = (HELLO, ChatMessage.from_text(Role.ASSISTANT, "It is "))
    body, told = adapted(asking(*said, model=BUDGETED))
    assert body["messages"][-1] == {"role": "assistant", "content": "It is"}
    assert told == [("messages", AdaptationAction.SUBSTITUTED)]
    body, told = adapted(asking(*said, model=BUDGETED, sampling=Sampling(reasoning_budget_tokens=2000)))
    assert body["messages"][-1]["role"] == "user"
    body, told = adapted(asking(*said, model=BUDGETED, response_schema=ResponseSchema(schema=PERSON)))
    assert body["messages"][-1]["role"] == "user"


# --- the shape of the answer ------------------------------------------------------------------------------------------

PERSON: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def test_a_schema_is_asked_for_natively_beside_the_effort() -> None:
    """Objects are closed, as the interface wants them."""
    sampling = Sampling(reasoning_effort=ReasoningEffort.LOW)
    body = body_of(asking(sampling=sampling, response_schema=ResponseSchema(schema=PERSON)))
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {**PERSON, "additionalProperties": False}},
    }


def test_bounds_are_told_in_words() -> None:
    """The interface refuses them in a schema: the description tells the model, and the completion the caller."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "In years."},
            "mail": {"type": "string", "format": "email"},
            "names": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "limbs": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "pet": {"oneOf": [{"type": "string", "format": "pet"}, {"type": "null"}]},
        },
    }
    body, told = adapted(asking(response_schema=ResponseSchema(schema=schema)))
    sent = body["output_config"]["format"]["schema"]["properties"]
    assert sent["age"] == {"type": "integer", "description": "In years. (maximum: 150; minimum: 0)"}
    assert sent["names"] == schema["properties"]["names"]
    assert sent["limbs"] == {"type": "array", "items": {"type": "string"}, "description": "(minItems: 2)"}
    assert sent["mail"] == {"type": "string", "format": "email"}
    assert sent["pet"] == {"anyOf": [{"type": "string", "description": "(format: pet)"}, {"type": "null"}]}
    assert told == [("response_schema", AdaptationAction.SUBSTITUTED)]


OPEN = {"type": "object", "additionalProperties": {"type": "integer"}}
TREE = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/node"}},
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
}
SCHEMA_MODES: dict[str, tuple[str, dict[str, Any] | None, SchemaMode]] = {
    "closed": (NEW, PERSON, SchemaMode.NATIVE),
    "open": (NEW, OPEN, SchemaMode.TOOL),
    "recursive": (NEW, TREE, SchemaMode.TOOL),
    "unheard-of words": (NEW, {**PERSON, "patternProperties": {}}, SchemaMode.TOOL),
    "a list of anything": (NEW, {"type": "array", "items": {}}, SchemaMode.PROMPT),
    "any object": (NEW, None, SchemaMode.PROMPT),
    "an older model": ("claude-sonnet-4-0", PERSON, SchemaMode.TOOL),
}


@pytest.mark.parametrize("name", SCHEMA_MODES)
def test_a_schema_is_asked_for_in_the_best_way_that_can_be(name: str) -> None:
    """Anthropic's own way is for closed schemas; what does not fit is a forced tool's, or said in words."""
    model, schema, mode = SCHEMA_MODES[name]
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=b""), CLAUDE)
    asked, chosen = adapter.as_taken(asking(model=model, response_schema=ResponseSchema(schema=schema)))
    body = adapter.encode(asked, is_stream=False)[0].body
    assert chosen is mode
    assert ("output_config" in body) is (mode is SchemaMode.NATIVE)
    assert ("tool_choice" in body) is (mode is SchemaMode.TOOL)


# --- the provider's memory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cache", "ttl"), [(PromptCache.SHORT, "5m"), (PromptCache.LONG, "1h")])
def test_the_end_of_tools_instructions_and_conversation_is_remembered(cache: PromptCache, ttl: str) -> None:
    """Each is marked at its last block, for as long as is asked."""
    other = ToolSpec(name="tides")
    said = (ChatMessage.from_text(Role.SYSTEM, "Be brief."), HELLO, assistant(CALL), results(RESULT))
    body = body_of(asking(*said, tooling=offering(WEATHER, other), prompt_cache=cache))
    mark = {"type": "ephemeral", "ttl": ttl}
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, mark]
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": mark}]
    assert body["messages"][-1]["content"][-1]["cache_control"] == mark
    assert json.dumps(body).count("cache_control") == 3


def test_what_cannot_be_marked_is_not() -> None:
    """In a paused turn the mark stands on the last block that can bear one."""
    asked: dict[str, Any] = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    part = ProviderToolPart(vendor="anthropic", name="web_search", data=asked)
    body = body_of(asking(HELLO, assistant(TextPart("I look."), part), prompt_cache=PromptCache.SHORT))
    assert ["cache_control" in block for block in body["messages"][-1]["content"]] == [True, False]
    body = body_of(asking(HELLO, assistant(part), prompt_cache=PromptCache.SHORT))
    assert "cache_control" not in json.dumps(body)
    assert "cache_control" not in json.dumps(body_of(asking()))
