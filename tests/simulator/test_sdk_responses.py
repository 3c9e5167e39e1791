"""The OpenAI SDK's Responses API, embeddings, models and counts of every vendor's SDK."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import ollama
import openai
import pytest
from google.genai import types
from openai.types.responses import ResponseFunctionToolCall, ResponseReasoningItem

from dipeo.testing.simulator import ProviderSimulator, Reply, SimulatedToolCall
from dipeo.testing.simulator.schema import find_violation

from .test_sdk_tools import ASKED, KEY, PARAMETERS, PERSON, RESULT, google_client

TOOLS: Any = [{"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": None}]
WITH_RESPONSES = ("openai", "xai", "groq", "openrouter", "openai_compatible")


@pytest.mark.parametrize("service", WITH_RESPONSES)
async def test_responses_remember_what_was_said(simulator: ProviderSimulator, service: str) -> None:
    """A call, its output under `previous_response_id`, and an answer that tells the result."""
    async with openai.AsyncOpenAI(base_url=simulator.base_urls[service], api_key=KEY, max_retries=0) as client:
        first = await client.responses.create(model="model-1", input=ASKED, tools=TOOLS)
        call = first.output[0]
        assert isinstance(call, ResponseFunctionToolCall)
        assert find_violation(json.loads(call.arguments), PARAMETERS) is None
        output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": RESULT}]
        second = await client.responses.create(
            model="model-1", input=output, previous_response_id=first.id, tools=TOOLS
        )
        assert RESULT in second.output_text
        assert (await client.responses.retrieve(first.id)).id == first.id
        await client.responses.delete(first.id)
        with pytest.raises(openai.BadRequestError) as forgotten:
            await client.responses.create(model="model-1", input=output, previous_response_id=first.id, tools=TOOLS)
    assert forgotten.value.status_code == 400


async def test_responses_stream_typed_events(simulator: ProviderSimulator) -> None:
    """The SDK's own accumulator ends with the same response as a whole answer."""
    async with openai.AsyncOpenAI(base_url=simulator.base_urls["openai"], api_key=KEY, max_retries=0) as client:
        text_format: Any = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
        reasoning: Any = {"effort": "low", "summary": "auto"}
        whole = await client.responses.create(
            model="gpt-5", input="Who?", text=text_format, reasoning=reasoning, include=["reasoning.encrypted_content"]
        )
        async with client.responses.stream(
            model="gpt-5", input="Who?", text=text_format, reasoning=reasoning, include=["reasoning.encrypted_content"]
        ) as stream:
            kinds = [event.type async for event in stream]
            streamed = await stream.get_final_response()
        async with client.responses.stream(model="gpt-5", input=ASKED, tools=TOOLS) as stream:
            called = [event async for event in stream if event.type == "response.function_call_arguments.done"]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert "response.reasoning_summary_text.delta" in kinds
    assert kinds[-1] == "response.completed"
    assert whole.output_text == streamed.output_text
    assert find_violation(json.loads(whole.output_text), PERSON) is None
    assert whole.usage
    assert whole.usage.output_tokens_details.reasoning_tokens > 0
    assert find_violation(json.loads(called[0].arguments), PARAMETERS) is None


async def test_responses_check_encrypted_reasoning(simulator: ProviderSimulator) -> None:
    """Reasoning comes back unchanged or not at all."""
    async with openai.AsyncOpenAI(base_url=simulator.base_urls["openai"], api_key=KEY, max_retries=0) as client:
        options: Any = {
            "model": "gpt-5",
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "low"},
            "tools": TOOLS,
        }
        first = await client.responses.create(input=ASKED, **options)
        reasoning, call = first.output
        assert isinstance(reasoning, ResponseReasoningItem)
        assert isinstance(call, ResponseFunctionToolCall)
        assert reasoning.encrypted_content
        items: list[Any] = [
            {"role": "user", "content": ASKED},
            {**reasoning.model_dump(exclude_none=True)},
            {**call.model_dump(exclude_none=True)},
            {"type": "function_call_output", "call_id": call.call_id, "output": RESULT},
        ]
        assert RESULT in (await client.responses.create(input=items, **options)).output_text
        items[1]["encrypted_content"] = items[1]["encrypted_content"][:-8] + "AAAAAAAA"
        with pytest.raises(openai.BadRequestError) as changed:
            await client.responses.create(input=items, **options)
        del items[1]["encrypted_content"]
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(input=items, **options)
    assert changed.value.code == "invalid_encrypted_content"


async def test_responses_end_incomplete(simulator: ProviderSimulator) -> None:
    """A limit cuts the text or the arguments, and the response says so."""
    simulator.script("openai", Reply("word " * 40), Reply(tool_calls=[SimulatedToolCall("f", {"a": "x" * 400})]))
    async with openai.AsyncOpenAI(base_url=simulator.base_urls["openai"], api_key=KEY, max_retries=0) as client:
        for _ in range(2):
            response = await client.responses.create(model="gpt-5", input="Hi", max_output_tokens=16)
            assert response.status == "incomplete"
            assert response.incomplete_details
            assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("service", ["openai", "mistral", "openrouter", "openai_compatible"])
async def test_openai_sdk_gets_embeddings(simulator: ProviderSimulator, service: str) -> None:
    """Packed and plain vectors are the same; near texts have near vectors."""
    async with openai.AsyncOpenAI(base_url=simulator.base_urls[service], api_key=KEY, max_retries=0) as client:
        packed = await client.embeddings.create(model="m", input=["a red fox", "the red fox", "tax law"], dimensions=64)
        plain = await client.embeddings.create(model="m", input="a red fox", dimensions=64, encoding_format="float")
    fox, other_fox, law = (entry.embedding for entry in packed.data)
    assert fox == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert dot(fox, other_fox) > dot(fox, law)
    assert dot(fox, fox) == pytest.approx(1, abs=1e-4)
    assert packed.usage.prompt_tokens > 0


def dot(first: list[float], second: list[float]) -> float:
    """The inner product."""
    return sum(a * b for a, b in zip(first, second, strict=True))


async def test_google_sdk_embeds_counts_and_lists(simulator: ProviderSimulator) -> None:
    """embedContent, countTokens and the models."""
    client = google_client(simulator)
    async with client.aio as api:
        embedded = await api.models.embed_content(
            model="gemini-embedding-001",
            contents=["one", "two"],
            config=types.EmbedContentConfig(output_dimensionality=32),
        )
        counted = await api.models.count_tokens(model="gemini-2.5-flash", contents="one two three")
        listed = [model.name async for model in await api.models.list()]
        one = await api.models.get(model="gemini-2.5-flash")
    client.close()
    assert embedded.embeddings
    assert [len(entry.values or ()) for entry in embedded.embeddings] == [32, 32]
    assert counted.total_tokens
    assert "models/gemini-2.5-flash" in listed
    assert one.input_token_limit


async def test_openai_sdk_counts(simulator: ProviderSimulator) -> None:
    """Instructions, tools and shapes count; what is no input and a model that is not there are refused."""
    async with openai.AsyncOpenAI(base_url=simulator.base_urls["openai"], api_key=KEY, max_retries=0) as client:
        count = client.responses.input_tokens.count
        short = await count(model="gpt-5", input="Hi")
        told = await count(model="gpt-5", input="Hi", instructions="Be kind to everybody who asks.")
        offered = await count(model="gpt-5", input="Hi", tools=TOOLS, reasoning={"effort": "low"})
        with pytest.raises(openai.BadRequestError) as refused:
            await count(model="gpt-5", input="Hi", extra_body={"store": False})
        with pytest.raises(openai.NotFoundError):
            await count(model="missing-model", input="Hi")
    assert short.object == "response.input_tokens"
    assert 0 < short.input_tokens < min(told.input_tokens, offered.input_tokens)
    assert refused.value.code == "unknown_parameter"


async def test_anthropic_sdk_counts_and_lists(simulator: ProviderSimulator) -> None:
    """count_tokens needs no limit; the models come in pages."""
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_urls["anthropic"], api_key=KEY, max_retries=0
    ) as client:
        short = await client.messages.count_tokens(model="claude-x", messages=[{"role": "user", "content": "Hi"}])
        long = await client.messages.count_tokens(
            model="claude-x", messages=[{"role": "user", "content": "Hi " * 99}], system="Be kind."
        )
        listed = [model.id async for model in client.models.list(limit=2)]
        one = await client.models.retrieve("claude-opus-5")
    assert 0 < short.input_tokens < long.input_tokens
    assert len(listed) == len(set(listed)) > 2
    assert one.id == "claude-opus-5"


async def test_ollama_sdk_embeds_lists_and_shows(simulator: ProviderSimulator) -> None:
    """/api/embed, /api/tags and /api/show."""
    client = ollama.AsyncClient(host=simulator.base_urls["ollama"])
    embedded = await client.embed(model="nomic-embed-text", input=["one", "two"])
    listed = await client.list()
    shown = await client.show("qwen3:8b")
    await client._client.aclose()
    assert [len(vector) for vector in embedded.embeddings] == [768, 768]
    assert "qwen3:8b" in [model.model for model in listed.models]
    assert "tools" in (shown.capabilities or ())
