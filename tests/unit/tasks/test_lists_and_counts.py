"""Listing models and counting tokens: what is read, how pages follow each other, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dipeo
from dipeo.domain.catalog import UNKNOWN, Modality, TokenPrice
from dipeo.domain.errors import (
    APIKeyRefusedError,
    MalformedResponseError,
    MissingAPIKeyError,
    UnsupportedParameterError,
    ValidationError,
)
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.service import LLMService
from dipeo.domain.tools import ResponseSchema, ToolSpec
from dipeo.facade import wired
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.infrastructure.llm.listing.reading import next_page, read_models
from dipeo.infrastructure.llm.listing.service import MAX_PAGES
from dipeo.testing import FakeKeys, FakeLedger, FakeModelLists, FakePromptSizes, ManualClock, ProviderSimulator


class AnsweringWire(Wire):
    """Answers each exchange with what a function makes of it; `asked` holds them."""

    def __init__(self, answer: Callable[[WireRequest], WireReply]) -> None:
        self.asked: list[WireRequest] = []
        self._answer = answer

    async def send(self, exchange: WireRequest) -> WireReply:
        self.asked.append(exchange)
        return self._answer(exchange)

    async def stream(self, exchange: WireRequest) -> WireStream:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


def container_over(wire: Wire, *, keys: FakeKeys | None = None, ledger: FakeLedger | None = None) -> Any:
    return wired(
        dipeo.Settings(max_attempts=2),
        open_wire=lambda _endpoint, _credentials: wire,
        keys=keys or FakeKeys(),
        ledger=ledger or FakeLedger(),
        clock=ManualClock(),
    )


def reply(body: JsonValue, status: int = 200) -> WireReply:
    return WireReply(status=status, headers={}, json=body)


@pytest.mark.parametrize(
    ("service", "first", "second", "pages"),
    [
        (
            LLMService.ANTHROPIC,
            {"data": [{"id": "b"}], "has_more": True, "last_id": "b/1"},
            {"data": [{"id": "a"}], "has_more": False, "last_id": "a"},
            ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=b%2F1"],
        ),
        (
            LLMService.GOOGLE,
            {"models": [{"name": "models/b"}], "nextPageToken": "t="},
            {"models": [{"name": "models/a"}]},
            ["/v1beta/models?pageSize=1000", "/v1beta/models?pageSize=1000&pageToken=t%3D"],
        ),
    ],
)
async def test_all_pages_are_fetched(service: LLMService, first: Any, second: Any, pages: list[str]) -> None:
    """Where a list comes in pages, they are asked for one after the other, and come out as one."""
    wire = AnsweringWire(lambda exchange: reply(first if len(wire.asked) == 1 else second))
    models = await container_over(wire).model_lists().list_models(service)
    assert [facts.model for facts in models] == ["a", "b"]
    assert [exchange.path for exchange in wire.asked] == pages
    assert {exchange.method for exchange in wire.asked} == {"GET"}


async def test_a_list_without_end_is_given_up() -> None:
    """A server whose pages lead round in circles is not followed for ever."""
    wire = AnsweringWire(lambda _: reply({"data": [{"id": "a"}], "has_more": True, "last_id": "a"}))
    with pytest.raises(MalformedResponseError, match="pages"):
        await container_over(wire).model_lists().list_models("anthropic")
    assert len(wire.asked) == MAX_PAGES


async def test_refusals_are_translated_and_name_no_model() -> None:
    """A key that is refused is told as everywhere; no model is named, for none was asked."""
    ledger = FakeLedger()
    container = container_over(AnsweringWire(lambda _: reply({"error": {"message": "no"}}, 401)), ledger=ledger)
    with pytest.raises(APIKeyRefusedError) as caught:
        await container.model_lists().list_models(LLMService.OPENAI)
    assert (caught.value.provider, caught.value.model, caught.value.status) == ("openai", None, 401)
    assert ledger.recorded == []
    keyless = container_over(AnsweringWire(lambda _: reply([])), keys=FakeKeys(services=()))
    with pytest.raises(MissingAPIKeyError):
        await keyless.model_lists().list_models("openai")


async def test_what_passes_is_tried_again() -> None:
    """A server that is busy is asked again."""
    wire = AnsweringWire(
        lambda _: reply({"error": {"message": "busy"}}, 503) if len(wire.asked) == 1 else reply({"data": ["a"]})
    )
    models = await container_over(wire).model_lists().list_models("groq")
    assert [facts.model for facts in models] == ["a"]


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]}, ["a", "b"]),
        ({"models": [{"name": "models/a"}]}, ["models/a"]),
        (["b", {"id": "a"}], ["a", "b"]),
        ({"data": [{"id": 1, "name": "a"}, {}, None, 3, {"id": "b\x1b[2J"}, {"id": "x" * 1000}]}, ["a"]),
        ({"data": None, "models": []}, []),
    ],
)
def test_lists_are_read_in_whatever_shape(document: Any, names: list[str]) -> None:
    """What is not understood in a list is left out."""
    assert [facts.model for facts in read_models(document, service=LLMService.GROQ)] == names


@pytest.mark.parametrize("document", [{"error": "no"}, {"data": "a"}, "a", None, 3, {}])
def test_what_is_no_list_is_refused(document: Any) -> None:
    """An answer without any list is malformed."""
    with pytest.raises(MalformedResponseError):
        read_models(document, service=LLMService.GROQ)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "created", "created_at", "pricing", "prompt", "capabilities", "deprecation", "vision"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(entries=st.lists(json_values, max_size=3), service=st.sampled_from(LLMService))
def test_any_list_is_read(entries: Any, service: LLMService) -> None:
    """Whatever stands in a list, reading it fails in no way."""
    for facts in read_models({"data": entries}, service=service):
        assert facts.service is service
    next_page({"data": entries}, service=service)


def test_what_services_say_of_their_models_is_kept() -> None:
    """Sizes, abilities and prices that a list tells are facts; what it does not tell is unknown."""
    (router,) = read_models(
        {
            "data": [
                {
                    "id": "x/y",
                    "created": 1_790_000_000,
                    "context_length": 1000,
                    "architecture": {"input_modalities": ["text", "file", "smell"]},
                    "supported_parameters": ["tools", "temperature"],
                    "pricing": {"prompt": "0.0000025", "completion": "-1", "input_cache_read": "0"},
                    "top_provider": {"max_completion_tokens": 10},
                }
            ]
        },
        service=LLMService.OPENROUTER,
    )
    assert (router.context_window_tokens, router.max_output_tokens) == (1000, 10)
    assert router.inputs == frozenset({Modality.TEXT, Modality.DOCUMENT})
    assert (router.takes_tools, router.takes_schema, router.takes_sampling) == (True, False, True)
    assert router.prices.input == TokenPrice(usd=Decimal("2.5"))
    assert router.prices.output is UNKNOWN
    assert router.prices.cached == TokenPrice(usd=Decimal(0))
    (mistral,) = read_models(
        {
            "data": [
                {
                    "id": "m",
                    "max_context_length": 5,
                    "capabilities": {"function_calling": True, "vision": False},
                    "deprecation": "2027-01-31T00:00:00Z",
                }
            ]
        },
        service=LLMService.MISTRAL,
    )
    assert (mistral.takes_tools, mistral.inputs, mistral.is_deprecated) == (True, frozenset({Modality.TEXT}), True)
    assert mistral.retires_on == date(2027, 1, 31)
    (plain,) = read_models(["a"], service=LLMService.MISTRAL)
    assert (plain.is_deprecated, plain.retires_on, plain.inputs) == (UNKNOWN, UNKNOWN, UNKNOWN)


async def test_every_simulated_service_lists_its_models() -> None:
    """Over the real wire, every service can be asked."""
    async with ProviderSimulator() as simulator:
        container = wired(dipeo.Settings(base_urls=simulator.base_urls), keys=FakeKeys())
        try:
            for service in LLMService:
                assert await container.model_lists().list_models(service)
        finally:
            await container.pool().aclose()


QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there, how are you?"}]


async def test_anthropic_google_and_openai_count() -> None:
    """They are sent what a completion would send, and nothing is completed or recorded."""
    ledger = FakeLedger()
    async with ProviderSimulator() as simulator:
        container = wired(dipeo.Settings(base_urls=simulator.base_urls), keys=FakeKeys(), ledger=ledger)
        try:
            for model in ("claude-sonnet-5", "gemini-3.5-flash", "gpt-5.4-mini"):
                assert await container.prompt_sizes().count_prompt(QUESTION, model, max_tokens=9) > 0
        finally:
            await container.pool().aclose()
        paths = [request.path for request in simulator.requests]
    assert paths == [
        "/v1/messages/count_tokens",
        "/v1beta/models/gemini-3.5-flash:countTokens",
        "/v1/responses/input_tokens",
    ]
    assert ledger.recorded == []


async def test_what_is_counted_is_what_would_be_sent() -> None:
    """System text counts; how the answer is drawn is no input, and is refused there."""
    wire = AnsweringWire(lambda _: reply({"input_tokens": 12}))
    sizes = container_over(wire).prompt_sizes()
    assert await sizes.count_prompt(QUESTION, "claude-haiku-4-5", max_tokens=9, temperature=0.5) == 12
    body = wire.asked[0].body
    assert {"model", "messages", "system"} <= set(body)
    assert not {"max_tokens", "temperature", "stream"} & set(body)


async def test_openai_counts_a_request_of_responses() -> None:
    """What is said, tools, the shape of the answer and how hard to think count; the rest is refused there."""
    wire = AnsweringWire(lambda _: reply({"object": "response.input_tokens", "input_tokens": 34}))
    schema: JsonObject = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    counted = (
        await container_over(wire)
        .prompt_sizes()
        .count_prompt(
            QUESTION,
            "gpt-5.4-mini",
            service="openai",
            tools=[ToolSpec(name="look", parameters=schema)],
            tool_choice="required",
            parallel_tool_calls=False,
            response_schema=ResponseSchema(name="shape", schema=schema),
            reasoning_effort="low",
            max_tokens=9,
            provider_options={"truncation": "auto", "metadata": {"a": "b"}, "reasoning": {"summary": "auto"}},
        )
    )
    assert counted == 34
    (asked,) = wire.asked
    assert (asked.method, asked.path) == ("POST", "/responses/input_tokens")
    assert set(asked.body) == {
        "model",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "truncation",
    }
    assert asked.body["reasoning"] == {"effort": "low", "summary": "auto"}


async def test_openai_counts_what_goes_on_from_an_answer() -> None:
    """The answer that a request goes on from counts as well."""
    wire = AnsweringWire(lambda _: reply({"input_tokens": 3}))
    sizes = container_over(wire).prompt_sizes()
    assert await sizes.count_prompt(QUESTION[1:], "gpt-5.4-mini", previous_response_id="resp_1") == 3
    assert wire.asked[0].body["previous_response_id"] == "resp_1"


@pytest.mark.parametrize("body", [{}, {"input_tokens": -1}, {"input_tokens": "3"}, [], "3"])
async def test_a_count_that_is_none_is_refused(body: Any) -> None:
    """An answer without a count is malformed."""
    with pytest.raises(MalformedResponseError):
        await container_over(AnsweringWire(lambda _: reply(body))).prompt_sizes().count_prompt(QUESTION, "claude")


async def test_services_that_do_not_count_say_so() -> None:
    """Nothing is sent to them; and what completions refuse is refused here as well."""
    wire = AnsweringWire(lambda _: reply({}))
    sizes = container_over(wire).prompt_sizes()
    with pytest.raises(UnsupportedParameterError, match="offers no counting"):
        await sizes.count_prompt(QUESTION, "grok-4.3")
    with pytest.raises(ValidationError):
        await sizes.count_prompt([], "claude")
    assert wire.asked == []


async def test_the_fakes_answer() -> None:
    """They list and count what they were given."""
    lists = FakeModelLists({LLMService.OPENAI: ["b", "a"]})
    assert [facts.model for facts in await lists.list_models("openai")] == ["a", "b"]
    assert await FakePromptSizes(7).count_prompt(QUESTION, "any") == 7
