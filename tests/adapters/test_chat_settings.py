"""How chat completions are asked for an answer's shape, for thinking, and to remember; each provider in its own way."""

import pytest
from attrs import evolve

from dipeo.domain.completion import AdaptationAction, ChatMessage, Role
from dipeo.domain.errors import ProviderError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.sampling import Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache, ResponseSchema, SchemaMode, Tooling
from tests.adapters.chat_requests import (
    ANY_URL,
    DEEPSEEK,
    GROQ,
    HELLO,
    MISTRAL,
    OPENAI,
    OPENROUTER,
    WEATHER,
    XAI,
    adapted,
    body_of,
    encoded,
    messages_of,
    refused,
    request_of,
)
from tests.adapters.replay import ReplayWire, adapter_over

# --- the shape of the answer -----------------------------------------------------------------------------------------

CLOSED: JsonObject = {
    "type": "object",
    "properties": {"tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}},
    "required": ["tags"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "object", "properties": {}, "required": [], "additionalProperties": False}},
}
OPEN: JsonObject = {**CLOSED, "$defs": {"tag": {"type": "object", "properties": {"name": {"type": "string"}}}}}


def test_a_schema_is_kept_to_the_letter_where_it_can_be() -> None:
    """One that leaves something open is asked for as well as possible, and that is recorded."""
    body = body_of(
        request_of(OPENAI, response_schema=ResponseSchema(schema=CLOSED, name="page", description="A page."))
    )
    shape = {"name": "page", "description": "A page.", "schema": CLOSED, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": shape}
    request = request_of(OPENAI, response_schema=ResponseSchema(schema=OPEN))
    assert body_of(request)["response_format"]["json_schema"]["strict"] is False
    assert adapted(request) == [("response_schema.is_strict", AdaptationAction.SUBSTITUTED)]
    assert adapted(request_of(OPENAI, response_schema=ResponseSchema(schema=OPEN, is_strict=False))) == []


def test_any_json_object_is_asked_for_with_the_word_that_providers_insist_on() -> None:
    """The messages must speak of JSON; where they do not, one that does is put in front."""
    anything = ResponseSchema(schema=None)
    request = request_of(OPENAI, response_schema=anything)
    assert body_of(request)["response_format"] == {"type": "json_object"}
    assert "JSON" in messages_of(request)[0]["content"]
    assert adapted(request) == [("messages", AdaptationAction.INSERTED)]
    spoken = request_of(OPENAI, ChatMessage.from_text(Role.USER, "Say it in json."), response_schema=anything)
    assert len(messages_of(spoken)) == 1


@pytest.mark.parametrize(
    ("service", "model", "mode"),
    [
        (OPENAI, "gpt-5.4-mini", SchemaMode.NATIVE),
        (OPENAI, "gpt-4o-2024-05-13", SchemaMode.TOOL),
        (OPENAI, "gpt-3.5-turbo", SchemaMode.TOOL),
        (OPENAI, "o1-mini", SchemaMode.PROMPT),
        (XAI, "grok-4", SchemaMode.NATIVE),
        (MISTRAL, "mistral-small-latest", SchemaMode.NATIVE),
        (GROQ, "openai/gpt-oss-120b", SchemaMode.TOOL),
        (GROQ, "groq/compound", SchemaMode.PROMPT),
        (DEEPSEEK, "deepseek-chat", SchemaMode.TOOL),
        (DEEPSEEK, "deepseek-v4-pro", SchemaMode.PROMPT),
        (OPENROUTER, "openai/gpt-5.2", SchemaMode.NATIVE),
        (OPENROUTER, "deepseek/deepseek-chat-v3-0324", SchemaMode.TOOL),
        (OPENROUTER, "nobody/knows-it", SchemaMode.PROMPT),
        (ANY_URL, "some-model", SchemaMode.PROMPT),
    ],
)
def test_a_shape_is_asked_for_in_the_best_way_the_model_is_known_to_take(
    service: LLMService, model: str, mode: SchemaMode
) -> None:
    """Natively, as the only tool, or in words."""
    request = request_of(service, model=model, response_schema=ResponseSchema(schema=CLOSED))
    body = body_of(request)
    assert ("response_format" in body) == (mode is SchemaMode.NATIVE)
    assert ("tools" in body) == (mode is SchemaMode.TOOL)
    assert ("JSON schema" in body["messages"][0]["content"]) == (mode is SchemaMode.PROMPT)


# --- thinking, remembering, going on ---------------------------------------------------------------------------------


def test_a_budget_for_thinking_is_sent_where_it_can_be() -> None:
    """OpenRouter takes a budget or an effort; the others no budget, and that is recorded."""
    assert body_of(request_of(OPENROUTER, sampling=Sampling(reasoning_budget_tokens=2000)))["reasoning"] == {
        "max_tokens": 2000
    }
    both = request_of(OPENROUTER, sampling=Sampling(reasoning_budget_tokens=2000, reasoning_effort="high"))
    assert "reasoning_effort" not in body_of(both)
    assert adapted(both) == [("reasoning_effort", AdaptationAction.DROPPED)]
    other = request_of(GROQ, sampling=Sampling(reasoning_budget_tokens=2000, reasoning_effort="low"))
    assert body_of(other)["reasoning_effort"] == "low"
    assert adapted(other) == [("reasoning_budget_tokens", AdaptationAction.DROPPED)]


def test_deepseek_is_told_not_to_think_in_a_field_of_its_own() -> None:
    """Its efforts begin at 'low'."""
    body = body_of(request_of(DEEPSEEK, sampling=Sampling(reasoning_effort="none")))
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in body


@pytest.mark.parametrize(
    ("service", "model", "cache", "fields", "actions"),
    [
        (OPENAI, "gpt-4o", PromptCache.SHORT, {}, []),
        (OPENAI, "gpt-5.1", PromptCache.LONG, {"prompt_cache_retention": "24h"}, []),
        (OPENAI, "gpt-4o", PromptCache.LONG, {}, [AdaptationAction.SUBSTITUTED]),
        (OPENAI, "gpt-5.6-terra", PromptCache.SHORT, {"prompt_cache_options": {"ttl": "30m"}}, []),
        (
            OPENAI,
            "gpt-5.6-terra",
            PromptCache.LONG,
            {"prompt_cache_options": {"ttl": "30m"}},
            [AdaptationAction.CLAMPED],
        ),
        (OPENROUTER, "anthropic/claude-haiku-4.5", PromptCache.SHORT, {"cache_control": {"type": "ephemeral"}}, []),
        (
            OPENROUTER,
            "anthropic/claude-haiku-4.5",
            PromptCache.LONG,
            {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
            [],
        ),
        (OPENROUTER, "openai/gpt-5.2", PromptCache.SHORT, {}, []),
        (OPENROUTER, "openai/gpt-5.2", PromptCache.LONG, {}, [AdaptationAction.SUBSTITUTED]),
        (GROQ, "", PromptCache.SHORT, {}, []),
        (DEEPSEEK, "", PromptCache.LONG, {}, [AdaptationAction.SUBSTITUTED]),
        (MISTRAL, "", PromptCache.SHORT, {}, []),
        (ANY_URL, "", PromptCache.SHORT, {}, [AdaptationAction.DROPPED]),
    ],
)
def test_a_provider_is_asked_to_remember_in_its_own_way(
    service: LLMService, model: str, cache: PromptCache, fields: dict[str, object], actions: list[AdaptationAction]
) -> None:
    """With a key, with a mark, or not at all because it does so by itself; what cannot be asked is recorded."""
    request = request_of(service, model=model, prompt_cache=cache)
    plain, body = body_of(evolve(request, prompt_cache=PromptCache.DEFAULT)), body_of(request)
    key = body.pop("prompt_cache_key", None)
    assert (key is not None) == (service in (OPENAI, MISTRAL))
    assert body == {**plain, **fields}
    assert [made.action for made in encoded(request)[1]] == actions


def test_requests_that_begin_alike_share_a_key() -> None:
    """What comes later makes no difference; xAI wants the key in a header."""
    brief, other = (ChatMessage.from_text(Role.SYSTEM, text) for text in ("Be brief.", "Be kind."))
    requests = [
        request_of(XAI, brief, HELLO, prompt_cache=PromptCache.SHORT),
        request_of(XAI, brief, HELLO, HELLO, prompt_cache=PromptCache.SHORT),
        request_of(XAI, other, HELLO, prompt_cache=PromptCache.SHORT),
    ]
    one, two, three = (encoded(request)[0].headers["x-grok-conv-id"] for request in requests)
    assert one == two != three
    assert "brief" not in one


@pytest.mark.parametrize("service", [GROQ, MISTRAL, DEEPSEEK, OPENROUTER])
def test_nothing_is_gone_on_from_where_nothing_is_kept(service: LLMService) -> None:
    """The error names the parameter."""
    assert refused(request_of(service, previous_response_id="resp_1")) == "previous_response_id"


def test_a_model_that_searches_is_not_told_how_to_draw() -> None:
    """It takes no such settings, and that is recorded."""
    request = request_of(OPENAI, model="gpt-4o-search-preview", sampling=Sampling(temperature=0.5, seed=7))
    assert set(body_of(request)) == {"model", "messages"}
    assert [name for name, _ in adapted(request)] == ["temperature", "seed"]


@pytest.mark.parametrize(
    ("model", "effort", "path"),
    [
        ("gpt-5.4-mini", None, "/chat/completions"),
        ("gpt-5.4-mini", "low", "/responses"),
        ("gpt-5.4-mini", "none", "/chat/completions"),
        ("gpt-5.6", None, "/responses"),
        ("gpt-5.6", "none", "/chat/completions"),
        ("gpt-5-mini", "low", "/chat/completions"),
        ("gpt-4o", None, "/chat/completions"),
    ],
)
async def test_openais_newer_models_call_and_think_over_responses_alone(
    model: str, effort: str | None, path: str
) -> None:
    """Chat completions would refuse the two together."""
    wire = ReplayWire(status=500, headers={}, body=b"{}")
    sampling = Sampling(reasoning_effort=effort)
    with pytest.raises(ProviderError):
        await adapter_over(wire, OPENAI).complete(
            request_of(OPENAI, model=model, sampling=sampling, tooling=Tooling(tools=(WEATHER,)))
        )
    assert wire.asked[0].path == path
