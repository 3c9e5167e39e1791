"""Reasoning is shown, counted and signed as each vendor does, and comes back unchanged or is refused."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors, types

from dipeo.testing.simulator import ProviderSimulator, Reply, SimulatedToolCall

from .conftest import RawClient
from .test_replies import RawDocument, events_of
from .test_sdk_tools import ASKED, KEY, PARAMETERS, RESULT, google_client

THOUGHT = Reply("Peas.", reasoning="First I think. Then I answer.")


async def test_anthropic_thinking_is_signed_and_checked(simulator: ProviderSimulator) -> None:
    """Whole and streamed thinking have one signature; a changed text or signature is a 400."""
    tools: Any = [{"name": "get_weather", "input_schema": PARAMETERS}]
    options: Any = {"model": "claude-x", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    question: Any = {"role": "user", "content": ASKED}
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_urls["anthropic"], api_key=KEY, max_retries=0
    ) as client:
        whole = await client.messages.create(messages=[question], tools=tools, **options)
        async with client.messages.stream(messages=[question], tools=tools, **options) as stream:
            streamed = await stream.get_final_message()
        thinking, call = whole.content
        assert thinking.type == "thinking"
        assert call.type == "tool_use"
        assert streamed.content[0] == thinking
        result = {"type": "tool_result", "tool_use_id": call.id, "content": RESULT}
        history: list[Any] = [question, {"role": "assistant", "content": as_dicts(whole)}]
        history.append({"role": "user", "content": [result]})
        answered = await client.messages.create(messages=history, tools=tools, **options)
        assert answered.usage.output_tokens_details
        assert answered.usage.output_tokens_details.thinking_tokens > 0
        for field in ("thinking", "signature"):
            changed = json.loads(json.dumps(history))
            changed[1]["content"][0][field] = "A" + changed[1]["content"][0][field][1:]
            if changed == history:
                continue
            with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
                await client.messages.create(messages=changed, tools=tools, **options)
        del history[1]["content"][0]
        with pytest.raises(anthropic.BadRequestError, match="must start with a thinking block"):
            await client.messages.create(messages=history, tools=tools, **options)


def as_dicts(message: anthropic.types.Message) -> list[Any]:
    """The blocks of a message as they go over the wire."""
    return [block.model_dump(exclude_none=True) for block in message.content]


async def test_anthropic_thinking_may_be_hidden(client: RawClient, simulator: ProviderSimulator) -> None:
    """Under `display: omitted` the signature comes alone, and is taken back alone."""
    simulator.script("anthropic", THOUGHT)
    hidden = {"thinking": {"type": "adaptive", "display": "omitted"}, "max_tokens": 4000}
    reply = await client.read("anthropic", changes=hidden)
    block = reply.json["content"][0]
    assert (block["type"], block["thinking"]) == ("thinking", "")
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": reply.json["content"]},
        {"role": "user", "content": "And?"},
    ]
    assert (await client.read("anthropic", changes={**hidden, "messages": history})).status == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "`max_tokens` must be greater"),
        ({"thinking": {"type": "loud"}}, "does not match any of the expected tags"),
        ({"thinking": {"type": "adaptive"}, "temperature": 0.3}, "`temperature` may only be set to 1"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}, "model": "claude-opus-5", "max_tokens": 4000},
            "not supported for this model",
        ),
    ],
)
async def test_anthropic_refuses_impossible_thinking(client: RawClient, changes: dict[str, Any], words: str) -> None:
    """Budgets, kinds and sampling have their rules."""
    reply = await client.read("anthropic", changes=changes)
    assert reply.status == 400
    assert words in reply.json["error"]["message"]


async def test_gemini_thoughts_are_signed_and_checked(simulator: ProviderSimulator) -> None:
    """Thoughts come where asked for; a call of Gemini 3 must bring its signature back unchanged."""
    declared = types.FunctionDeclaration(name="get_weather", parameters_json_schema=PARAMETERS)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(include_thoughts=True),
    )
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=ASKED)])]
    client = google_client(simulator)
    async with client.aio as api:
        whole = await api.models.generate_content(model="gemini-3-pro-preview", contents=contents, config=config)
        assert whole.candidates
        content = whole.candidates[0].content
        assert content
        assert content.parts
        assert content.parts[0].thought
        assert whole.usage_metadata
        assert whole.usage_metadata.thoughts_token_count
        call = content.parts[-1]
        response = types.Part.from_function_response(name="get_weather", response={"result": RESULT})
        contents += [content, types.Content(role="user", parts=[response])]
        answered = await api.models.generate_content(model="gemini-3-pro-preview", contents=contents, config=config)
        assert RESULT in (answered.text or "")
        call.thought_signature = b"somebody else's"
        with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
            await api.models.generate_content(model="gemini-3-pro-preview", contents=contents, config=config)
        call.thought_signature = None
        with pytest.raises(errors.ClientError, match="missing a thought_signature"):
            await api.models.generate_content(model="gemini-3-pro-preview", contents=contents, config=config)
        call.thought_signature = b"skip_thought_signature_validator"
        await api.models.generate_content(model="gemini-3-pro-preview", contents=contents, config=config)
    client.close()


@pytest.mark.parametrize(
    ("thinking", "words"),
    [
        ({"thinkingBudget": 10, "thinkingLevel": "low"}, "only set only one"),
        ({"thinkingLevel": "low"}, "not supported for this model"),
    ],
)
async def test_gemini_refuses_impossible_thinking(client: RawClient, thinking: dict[str, Any], words: str) -> None:
    """Budget and level exclude each other, and old models know no level."""
    changes = {"generationConfig": {"thinkingConfig": thinking}}
    reply = await client.read("google", model="gemini-2.5-flash", changes=changes)
    assert reply.status == 400
    assert words in reply.json["error"]["message"]


async def test_compatible_services_show_reasoning_where_they_do(
    client: RawClient, simulator: ProviderSimulator
) -> None:
    """A field of its own, a chunk of the content, a signed detail, or nothing but a count."""
    fields = {"deepseek": "reasoning_content", "xai": "reasoning_content", "groq": "reasoning"}
    for service, field in {**fields, "openrouter": "reasoning"}.items():
        simulator.script(service, THOUGHT, THOUGHT)
        message = (await client.read(service)).json["choices"][0]["message"]
        assert (message[field], message["content"]) == (THOUGHT.reasoning, "Peas.")
        events = [RawDocument(event) for event in events_of(await client.read(service, is_stream=True))]
        deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
        assert "".join(delta.get(field) or "" for delta in deltas) == THOUGHT.reasoning
    simulator.script("mistral", THOUGHT)
    chunks = (await client.read("mistral")).json["choices"][0]["message"]["content"]
    assert [chunk["type"] for chunk in chunks] == ["thinking", "text"]
    simulator.script("openai", THOUGHT)
    reply = (await client.read("openai")).json
    assert THOUGHT.reasoning not in json.dumps(reply)
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] == 6


async def test_openrouter_checks_what_it_signed(client: RawClient, simulator: ProviderSimulator) -> None:
    """Reasoning details come back unchanged or are refused."""
    simulator.script("openrouter", THOUGHT)
    message = (await client.read("openrouter")).json["choices"][0]["message"]
    history = [{"role": "user", "content": "Hi"}, message, {"role": "user", "content": "And?"}]
    assert (await client.read("openrouter", changes={"messages": history})).status == 200
    message["reasoning_details"][0]["text"] = "I never thought."
    refused = await client.read("openrouter", changes={"messages": history})
    assert (refused.status, "signature" in refused.text) == (400, True)


async def test_deepseek_wants_its_reasoning_back_in_a_tool_loop(
    client: RawClient, simulator: ProviderSimulator
) -> None:
    """A call of a thinking model without the reasoning before it is a 400."""
    simulator.script("deepseek", Reply(reasoning="Hm.", tool_calls=[SimulatedToolCall("f", {})]))
    options: dict[str, Any] = {"thinking": {"type": "enabled"}}
    message = (await client.read("deepseek", changes=options)).json["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
    history = [{"role": "user", "content": "Hi"}, message, result]
    assert (await client.read("deepseek", changes={**options, "messages": history})).status == 200
    del message["reasoning_content"]
    refused = await client.read("deepseek", changes={**options, "messages": history})
    assert (refused.status, "reasoning_content" in refused.text) == (400, True)


async def test_ollama_thinks_where_asked(client: RawClient) -> None:
    """`think` gives thinking before the answer; a model that cannot think refuses it."""
    events = [
        RawDocument(event)
        for event in events_of(await client.read("ollama", model="qwen3:8b", is_stream=True, changes={"think": True}))
    ]
    kinds = ["thinking" if event["message"].get("thinking") else "content" for event in events]
    assert kinds == sorted(kinds, reverse=True)
    assert kinds[0] == "thinking"
    refused = await client.read("ollama", model="llama3.2", changes={"think": True})
    assert (refused.status, refused.json["error"]) == (400, '"llama3.2" does not support thinking')


async def test_openai_counts_reasoning_tokens(simulator: ProviderSimulator) -> None:
    """`reasoning_effort` makes the model think, which only the usage tells."""
    async with openai.AsyncOpenAI(base_url=simulator.base_urls["openai"], api_key=KEY, max_retries=0) as client:
        completion = await client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "Hi"}], reasoning_effort="low"
        )
    assert completion.usage
    assert completion.usage.completion_tokens_details
    assert completion.usage.completion_tokens_details.reasoning_tokens
