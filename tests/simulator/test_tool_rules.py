"""When tools are called, how broken calls look, and what the vendors refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dipeo.testing.simulator import ProviderSimulator, Reply, SimulatedToolCall

from .conftest import RawClient
from .test_replies import RawDocument, events_of

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NAMES = ("get_weather", "find_book")
SERVICES = ("openai", "responses", "anthropic", "google", "ollama")
QUIET = "Good morning."


def openai_tools(*names: str) -> list[dict[str, Any]]:
    """Tools of chat completions and Ollama."""
    return [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]


def offer(service: str, question: str, choice: str | None = None) -> dict[str, Any]:
    """A body that asks a question and offers two tools; `choice` is auto, none, required, one or single."""
    if service == "anthropic":
        choices: dict[str | None, Any] = {
            "none": {"type": "none"},
            "required": {"type": "any"},
            "one": {"type": "tool", "name": "find_book"},
            "single": {"type": "auto", "disable_parallel_tool_use": True},
        }
        tools: list[Any] = [{"name": name, "input_schema": SCHEMA} for name in NAMES]
        body = {"messages": [{"role": "user", "content": question}], "tools": tools}
        return {**body, "tool_choice": choices.get(choice)}
    if service == "google":
        modes: dict[str | None, Any] = {
            "none": {"mode": "NONE"},
            "required": {"mode": "ANY"},
            "one": {"mode": "ANY", "allowedFunctionNames": ["find_book"]},
        }
        declared = [{"name": name, "parameters": SCHEMA} for name in NAMES]
        return {
            "contents": [{"role": "user", "parts": [{"text": question}]}],
            "tools": [{"functionDeclarations": declared}],
            "toolConfig": {"functionCallingConfig": modes[choice]} if choice in modes else None,
        }
    body = {"messages": [{"role": "user", "content": question}], "tools": openai_tools(*NAMES)}
    if service == "ollama":
        return body
    named = {"type": "function", "function": {"name": "find_book"}}
    return {
        **body,
        "tool_choice": {"none": "none", "required": "required", "one": named}.get(choice or ""),
        "parallel_tool_calls": False if choice == "single" else None,
    }


async def called(client: RawClient, service: str, body: dict[str, Any]) -> list[tuple[str, Any]]:
    """The names and arguments of the calls in an answer."""
    if service == "responses":
        return await _called_in_response(client, body)
    reply = await client.read(service, changes=body)
    assert reply.status == 200, reply.text
    document = reply.json
    if service == "anthropic":
        return [(block["name"], block["input"]) for block in document["content"] if block["type"] == "tool_use"]
    if service == "google":
        parts = document["candidates"][0]["content"].get("parts", [])
        return [
            (part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part
        ]
    message = document["message"] if service == "ollama" else document["choices"][0]["message"]
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return [
        (call["name"], call["arguments"] if service == "ollama" else json.loads(call["arguments"])) for call in calls
    ]


async def _called_in_response(client: RawClient, body: dict[str, Any]) -> list[tuple[str, Any]]:
    choice = body.get("tool_choice")
    asked = {
        "model": "gpt-5",
        "input": body["messages"],
        "tools": [{"type": "function", **tool["function"]} for tool in body["tools"]],
        "tool_choice": {"type": "function", "name": "find_book"} if isinstance(choice, dict) else choice,
        "parallel_tool_calls": body.get("parallel_tool_calls"),
    }
    url = f"{client.simulator.base_urls['openai']}/responses"
    async with client.session.post(url, json=asked, headers={"authorization": "Bearer k"}) as response:
        document = await response.json()
    assert response.status == 200, document
    items = [item for item in document["output"] if item["type"] == "function_call"]
    return [(item["name"], json.loads(item["arguments"])) for item in items]


@pytest.mark.parametrize("service", SERVICES)
async def test_auto_calls_what_the_question_names(client: RawClient, service: str) -> None:
    """A tool's name, or a telling word of it, calls it; anything else is just answered."""
    for question in ("Use get_weather for Rome.", "And the weather in Rome?", "Please get weather for Rome"):
        assert await called(client, service, offer(service, question)) == [("get_weather", {"city": "Rome"})]
    assert await called(client, service, offer(service, QUIET)) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_several_calls_come_in_parallel(client: RawClient, service: str) -> None:
    """Every named tool is called, or one tool as often as it is asked for."""
    both = await called(client, service, offer(service, "get_weather and find_book for Rome."))
    assert [name for name, _ in both] == list(NAMES)
    thrice = await called(client, service, offer(service, "Run get_weather 3 times, for Rome, Oslo, Bonn."))
    assert [arguments["city"] for _, arguments in thrice] == ["Rome", "Oslo", "Bonn"]
    if service not in ("ollama", "google"):
        single = await called(client, service, offer(service, "get_weather and find_book for Rome.", "single"))
        assert len(single) == 1


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "ollama"])
async def test_tool_choice_is_obeyed(client: RawClient, service: str) -> None:
    """None never calls, required always does, a named tool is the one that is called."""
    assert await called(client, service, offer(service, "Use get_weather.", "none")) == []
    assert len(await called(client, service, offer(service, QUIET, "required"))) == 1
    assert [name for name, _ in await called(client, service, offer(service, QUIET, "one"))] == ["find_book"]


async def test_broken_calls_look_as_the_vendors_let_them(client: RawClient, simulator: ProviderSimulator) -> None:
    """Arguments that cannot be read are passed on, told of, or left in the text."""
    broken = Reply(tool_calls=[SimulatedToolCall("get_weather", '{"city": "Ro')])
    for service in ("openai", "anthropic", "google", "ollama"):
        simulator.script(service, broken, broken)
    call = (await client.read("openai")).json["choices"][0]["message"]["tool_calls"][0]
    assert call["function"]["arguments"] == '{"city": "Ro'
    events = [RawDocument(event) for event in events_of(await client.read("anthropic", is_stream=True))]
    pieces = [event["delta"].get("partial_json", "") for event in events if event["type"] == "content_block_delta"]
    assert "".join(pieces) == '{"city": "Ro'
    candidate = (await client.read("google")).json["candidates"][0]
    assert candidate["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert "parts" not in candidate["content"]
    message = (await client.read("ollama")).json["message"]
    assert "tool_calls" not in message
    assert '{"city": "Ro' in message["content"]


async def test_limits_cut_calls_short(client: RawClient, simulator: ProviderSimulator) -> None:
    """A call that does not fit the limit is cut off, and the answer says that it is."""
    long = Reply(tool_calls=[SimulatedToolCall("get_weather", {"city": "x" * 200})])
    simulator.script("openai", long)
    simulator.script("anthropic", long)
    simulator.script("google", long)
    choice = (await client.read("openai", changes={"max_tokens": 5})).json["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["tool_calls"][0]["function"]["arguments"]) < 100
    message = (await client.read("anthropic", changes={"max_tokens": 5})).json
    assert (message["stop_reason"], message["content"][0]["input"]) == ("max_tokens", {})
    candidate = (await client.read("google", changes={"generationConfig": {"maxOutputTokens": 5}})).json["candidates"][
        0
    ]
    assert (candidate["finishReason"], candidate["content"]) == ("MAX_TOKENS", {"role": "model"})


def openai_history(*messages: dict[str, Any]) -> dict[str, Any]:
    """A question and what followed it."""
    return {"messages": [{"role": "user", "content": "Hi"}, *messages]}


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = {"role": "tool", "tool_call_id": "call_1", "content": "1"}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]}
USED = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"}]}
STRICT_OPEN = {"name": "f", "strict": True, "parameters": SCHEMA}


def gemini_history(*contents: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A question and what followed it."""
    question = {"role": "user", "parts": [{"text": "Hi"}]}
    return {"contents": [question, *({"role": role, "parts": [part]} for role, part in contents)]}


@pytest.mark.parametrize(
    ("service", "changes", "words"),
    [
        ("openai", openai_history(CALLING), "did not have response messages: call_1"),
        ("openai", openai_history(CALLING, {"role": "user", "content": "And?"}), "must be followed by tool messages"),
        ("openai", openai_history(ANSWER), "must be a response to a preceeding message"),
        ("openai", openai_history(CALLING, {**ANSWER, "tool_call_id": "call_2"}), "not found in 'tool_calls'"),
        ("openai", openai_history(CALLING, {"role": "tool", "content": "1"}), "messages[2].tool_call_id"),
        (
            "openai",
            openai_history({**CALLING, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}, ANSWER),
            "expected a string, but got an object",
        ),
        ("openai", {"tools": []}, "empty array"),
        ("openai", {"tools": openai_tools("no good")}, "does not match pattern"),
        ("openai", {"tools": openai_tools("f"), "tool_choice": "always"}, "Supported values are: 'none'"),
        ("openai", {"tool_choice": "required"}, "only allowed when 'tools' are specified"),
        ("openai", {"parallel_tool_calls": True}, "only allowed when 'tools' are specified"),
        (
            "openai",
            {"tools": openai_tools("f"), "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "'g' not found in 'tools'",
        ),
        ("openai", {"tools": [{"type": "function", "function": STRICT_OPEN}]}, "'additionalProperties' is required"),
        ("openai", {"response_format": {"type": "json_object"}}, "must contain the word 'json'"),
        ("openai", {"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        ("anthropic", openai_history(USE), "without `tool_result` blocks immediately after: toolu_1"),
        ("anthropic", openai_history(USE, {"role": "user", "content": "And?"}), "immediately after: toolu_1"),
        ("anthropic", openai_history(USED), "unexpected `tool_use_id`"),
        (
            "anthropic",
            openai_history(USE, {"role": "user", "content": [{"type": "text", "text": "So"}, *USED["content"]]}),
            "immediately after: toolu_1",
        ),
        ("anthropic", {"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
        ("anthropic", {"tools": [{"name": "f g", "input_schema": SCHEMA}]}, "String should match pattern"),
        ("anthropic", {"tools": [{"name": "f", "input_schema": SCHEMA}] * 2}, "Tool names must be unique"),
        ("anthropic", {"tools": [{"type": "web_surf_20250101", "name": "f"}]}, "Input tag 'web_surf_20250101'"),
        ("anthropic", {"tool_choice": {"type": "any"}}, "only be specified while providing tools"),
        (
            "anthropic",
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            "'additionalProperties' must be explicitly set to false",
        ),
        (
            "google",
            gemini_history(("model", {"functionCall": {"name": "f", "args": {}}})),
            "comes immediately after a function call turn",
        ),
        (
            "google",
            gemini_history(("user", {"functionResponse": {"name": "f", "response": {}}})),
            "comes immediately after a function call turn",
        ),
        ("google", {"tools": [{"functionDeclarations": [{"name": "1f"}]}]}, "Invalid function name"),
        (
            "google",
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {**SCHEMA, "$defs": {}}}]}]},
            'Unknown name \\"$defs\\"',
        ),
        ("google", {"generationConfig": {"maxTokens": 1}}, 'Unknown name \\"maxTokens\\"'),
        (
            "google",
            {"tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]},
            "cannot be combined",
        ),
        (
            "google",
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "generationConfig": {"responseMimeType": "application/json"},
            },
            "is unsupported",
        ),
        ("mistral", openai_history(CALLING, ANSWER), "with a length of 9"),
        ("mistral", openai_history({"role": "assistant", "content": "Hi"}), "Expected last role User or Tool"),
    ],
)
async def test_vendors_rules_are_enforced(client: RawClient, service: str, changes: dict[str, Any], words: str) -> None:
    """400, in the vendor's own words."""
    reply = await client.read(service, changes=changes)
    assert reply.status == 400, reply.text
    assert words in reply.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"messages": []}, "Unknown parameter: 'messages'"),
        ({"input": [{"role": "user", "name": "ada", "content": "Hi"}]}, "Unknown parameter: 'input[0].name'"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "Hi"}]}]}, "'output_text'"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]}, "No tool call found"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}, "No tool output"),
        ({"previous_response_id": "resp_1"}, "previous_response_not_found"),
        ({"max_output_tokens": 5}, "integer_below_min_value"),
        ({"input": None}, "missing_required_parameter"),
    ],
)
async def test_responses_rules_are_enforced(client: RawClient, changes: dict[str, Any], words: str) -> None:
    """The Responses API has rules of its own."""
    body = {"model": "gpt-5", "input": "Hi", **changes}
    url = f"{client.simulator.base_urls['openai']}/responses"
    async with client.session.post(url, json=body, headers={"authorization": "Bearer k"}) as response:
        said = await response.text()
    assert response.status == 400
    assert words in said
