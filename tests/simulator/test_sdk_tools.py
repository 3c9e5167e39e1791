"""The official SDKs call tools and get answers in the asked shape."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import types

from dipeo.testing.simulator import ProviderSimulator
from dipeo.testing.simulator.schema import find_violation

from .conftest import OPENAI_LIKE

KEY = "sk-good-key"
ASKED = "Call get_weather for Paris, please."
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "mood": {"enum": ["calm", "cross"]},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/friend"}},
    },
    "required": ["name", "age", "mood", "friends"],
    "additionalProperties": False,
    "$defs": {
        "friend": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}
RESULT = "21 degrees and sunny"


def as_json(value: object) -> Any:
    """A value as it would be in JSON."""
    return json.loads(json.dumps(value))


def google_client(simulator: ProviderSimulator) -> genai.Client:
    """A Gemini client of the simulator that never tries again."""
    options = types.HttpOptions(
        base_url=simulator.base_urls["google"], retry_options=types.HttpRetryOptions(attempts=1)
    )
    return genai.Client(api_key=KEY, http_options=options)


@pytest.mark.parametrize("service", OPENAI_LIKE)
async def test_openai_sdk_runs_a_tool_loop(simulator: ProviderSimulator, service: str) -> None:
    """Call, result, answer: whole and streamed, with arguments that satisfy the schema."""
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    async with openai.AsyncOpenAI(base_url=simulator.base_urls[service], api_key=KEY, max_retries=0) as client:
        completion = await client.chat.completions.create(model="model-1", messages=messages, tools=tools)
        choice = completion.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls
        call = choice.message.tool_calls[0]
        assert call.type == "function"
        assert find_violation(json.loads(call.function.arguments), PARAMETERS) is None
        assert json.loads(call.function.arguments)["city"] == "Paris"
        stream = await client.chat.completions.create(model="model-1", messages=messages, tools=tools, stream=True)
        pieces = [
            piece.function.arguments or ""
            async for chunk in stream
            if chunk.choices
            for piece in chunk.choices[0].delta.tool_calls or ()
            if piece.function
        ]
        assert "".join(pieces) == call.function.arguments
        messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": RESULT}]
        answered = await client.chat.completions.create(model="model-1", messages=messages, tools=tools)
    assert RESULT in (answered.choices[0].message.content or "")
    assert answered.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("service", OPENAI_LIKE)
async def test_openai_sdk_gets_the_asked_shape(simulator: ProviderSimulator, service: str) -> None:
    """A JSON schema as `response_format` is satisfied."""
    asked: Any = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    async with openai.AsyncOpenAI(base_url=simulator.base_urls[service], api_key=KEY, max_retries=0) as client:
        completion = await client.chat.completions.create(
            model="model-1", messages=[{"role": "user", "content": "Who?"}], response_format=asked
        )
        loose = await client.chat.completions.create(
            model="model-1",
            messages=[{"role": "user", "content": "Say it in JSON."}],
            response_format={"type": "json_object"},
        )
    assert find_violation(json.loads(completion.choices[0].message.content or ""), PERSON) is None
    assert isinstance(json.loads(loose.choices[0].message.content or ""), dict)


async def test_anthropic_sdk_runs_a_tool_loop(simulator: ProviderSimulator) -> None:
    """Call, result, answer: whole and streamed."""
    tools: Any = [{"name": "get_weather", "input_schema": PARAMETERS}]
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_urls["anthropic"], api_key=KEY, max_retries=0
    ) as client:
        message = await client.messages.create(model="claude-x", max_tokens=500, messages=messages, tools=tools)
        async with client.messages.stream(model="claude-x", max_tokens=500, messages=messages, tools=tools) as stream:
            streamed = await stream.get_final_message()
        call = message.content[-1]
        assert call.type == "tool_use"
        assert message.stop_reason == streamed.stop_reason == "tool_use"
        assert find_violation(as_json(call.input), PARAMETERS) is None
        last = streamed.content[-1]
        assert last.type == "tool_use"
        assert last.input == call.input
        result = {"type": "tool_result", "tool_use_id": call.id, "content": RESULT}
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
        answered = await client.messages.create(model="claude-x", max_tokens=500, messages=messages, tools=tools)
    assert answered.content[0].type == "text"
    assert RESULT in answered.content[0].text


async def test_anthropic_sdk_gets_the_asked_shape(simulator: ProviderSimulator) -> None:
    """A JSON schema in `output_config` is satisfied, and a named tool is called."""
    output: Any = {"format": {"type": "json_schema", "schema": PERSON}}
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_urls["anthropic"], api_key=KEY, max_retries=0
    ) as client:
        message = await client.messages.create(
            model="claude-x", max_tokens=500, messages=[{"role": "user", "content": "Who?"}], output_config=output
        )
        forced = await client.messages.create(
            model="claude-x",
            max_tokens=500,
            messages=[{"role": "user", "content": "Who?"}],
            tools=[{"name": "person", "input_schema": PERSON}],
            tool_choice={"type": "tool", "name": "person"},
        )
    assert message.content[0].type == "text"
    assert find_violation(json.loads(message.content[0].text), PERSON) is None
    assert forced.content[0].type == "tool_use"
    assert find_violation(as_json(forced.content[0].input), PERSON) is None


async def test_google_sdk_runs_a_tool_loop(simulator: ProviderSimulator) -> None:
    """Call, response, answer: whole and streamed, with the signature of a model that thinks."""
    declared = types.FunctionDeclaration(name="get_weather", parameters_json_schema=PARAMETERS)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=ASKED)])]
    client = google_client(simulator)
    async with client.aio as models:
        whole = await models.models.generate_content(model="gemini-3-pro-preview", contents=contents, config=config)
        stream = await models.models.generate_content_stream(
            model="gemini-3-pro-preview", contents=contents, config=config
        )
        chunks = [chunk async for chunk in stream]
        assert whole.function_calls
        assert whole.candidates
        call = whole.function_calls[0]
        assert find_violation(call.args, PARAMETERS) is None
        assert [one.args for chunk in chunks for one in chunk.function_calls or ()] == [call.args]
        response = types.Part.from_function_response(name="get_weather", response={"result": RESULT})
        contents += [whole.candidates[0].content, types.Content(role="user", parts=[response])]
        answered = await models.models.generate_content(model="gemini-3-pro-preview", contents=contents, config=config)
    client.close()
    assert RESULT in (answered.text or "")


async def test_google_sdk_gets_the_asked_shape(simulator: ProviderSimulator) -> None:
    """JSON schema and Gemini's own schema are satisfied, and ANY calls."""
    own = types.Schema(
        type=types.Type.OBJECT,
        properties={"name": types.Schema(type=types.Type.STRING, max_length=5)},
        required=["name"],
    )
    client = google_client(simulator)
    async with client.aio as models:
        free = await models.models.generate_content(
            model="gemini-2.5-flash",
            contents="Who?",
            config=types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=PERSON),
        )
        told = await models.models.generate_content(
            model="gemini-2.5-flash",
            contents="Who?",
            config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=own),
        )
        forced = await models.models.generate_content(
            model="gemini-2.5-flash",
            contents="Who?",
            config=types.GenerateContentConfig(
                tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="person", parameters=own)])],
                tool_config=types.ToolConfig(
                    function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
                ),
                automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            ),
        )
    client.close()
    assert find_violation(json.loads(free.text or ""), PERSON) is None
    assert len(json.loads(told.text or "")["name"]) <= 5
    assert forced.function_calls
    assert forced.function_calls[0].name == "person"


async def test_ollama_sdk_runs_a_tool_loop_and_gets_the_asked_shape(simulator: ProviderSimulator) -> None:
    """Call, result, answer: whole and streamed; `format` is satisfied."""
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    client = ollama.AsyncClient(host=simulator.base_urls["ollama"])
    whole = await client.chat(model="qwen3:8b", messages=messages, tools=tools)
    stream = await client.chat(model="qwen3:8b", messages=messages, tools=tools, stream=True)
    streamed = [one async for chunk in stream for one in chunk.message.tool_calls or ()]
    assert whole.message.tool_calls
    call = whole.message.tool_calls[0]
    # The SDK sends no bounds of numbers.
    assert call.function.arguments["city"] == "Paris"
    assert isinstance(call.function.arguments["days"], int)
    assert [one.function.arguments for one in streamed] == [call.function.arguments]
    messages += [whole.message, {"role": "tool", "tool_name": "get_weather", "content": RESULT}]
    answered = await client.chat(model="qwen3:8b", messages=messages, tools=tools)
    shaped = await client.chat(model="qwen3:8b", messages=[{"role": "user", "content": "Who?"}], format=PERSON)
    await client._client.aclose()
    assert RESULT in (answered.message.content or "")
    assert find_violation(json.loads(shaped.message.content or ""), PERSON) is None
