"""The vendors' own tools find something, and say where."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from google.genai import types
from openai.types.responses import ResponseFunctionWebSearch, ResponseOutputMessage

from dipeo.testing.simulator import ProviderSimulator, Reply, SimulatedCitation, SimulatedProviderTool

from .conftest import RawClient
from .test_sdk_tools import KEY, google_client

QUESTION = "When do apples ripen?"
PAGE = SimulatedCitation(url="https://a.example.com/x", title="A", cited_text="In autumn.", start=6, end=15)
SCRIPTED = Reply(
    "Well, in Märzen.", citations=[PAGE], provider_tools=[SimulatedProviderTool(query="apples", pages=[PAGE])]
)


async def test_anthropic_search_has_results_and_citations(simulator: ProviderSimulator) -> None:
    """A use, its result and a cited text; they go back unchanged or are refused."""
    tools: Any = [{"type": "web_search_20250305", "name": "web_search"}]
    question: Any = {"role": "user", "content": QUESTION}
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_urls["anthropic"], api_key=KEY, max_retries=0
    ) as client:
        options: Any = {"model": "claude-x", "max_tokens": 400, "tools": tools}
        whole = await client.messages.create(messages=[question], **options)
        async with client.messages.stream(messages=[question], **options) as stream:
            streamed = await stream.get_final_message()
        kinds = [block.type for block in whole.content]
        assert kinds[:2] == ["server_tool_use", "web_search_tool_result"]
        cited = whole.content[-1]
        assert cited.type == "text"
        assert cited.citations
        last = streamed.content[-1]
        assert last.type == "text"
        assert last.citations == cited.citations
        assert whole.usage.server_tool_use
        assert whole.usage.server_tool_use.web_search_requests == 1
        blocks: Any = [block.model_dump(exclude_none=True) for block in whole.content]
        history: list[Any] = [question, {"role": "assistant", "content": blocks}, question]
        await client.messages.create(messages=history, **options)
        blocks[1]["content"][0]["encrypted_content"] = "AAAA"
        with pytest.raises(anthropic.BadRequestError, match="Invalid `encrypted_content`"):
            await client.messages.create(messages=history, **options)


async def test_openai_search_has_calls_and_annotations(simulator: ProviderSimulator) -> None:
    """A search item and a message with url_citations that point into its text, whole and streamed."""
    async with openai.AsyncOpenAI(base_url=simulator.base_urls["openai"], api_key=KEY, max_retries=0) as client:
        tools: Any = [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]
        whole = await client.responses.create(model="gpt-5", input=QUESTION, tools=tools)
        async with client.responses.stream(model="gpt-5", input=QUESTION, tools=tools) as stream:
            kinds = [event.type async for event in stream]
        searched = await client.chat.completions.create(
            model="gpt-5-search-api", messages=[{"role": "user", "content": QUESTION}], web_search_options={}
        )
    search, message = whole.output[0], whole.output[-1]
    assert isinstance(search, ResponseFunctionWebSearch)
    assert isinstance(message, ResponseOutputMessage)
    part = message.content[0]
    assert part.type == "output_text"
    annotation = part.annotations[0]
    assert annotation.type == "url_citation"
    assert part.text[annotation.start_index : annotation.end_index].startswith("According to")
    assert "response.web_search_call.completed" in kinds
    assert "response.code_interpreter_call.completed" in kinds
    assert "response.output_text.annotation.added" in kinds
    assert searched.choices[0].message.annotations


async def test_google_search_grounds_the_answer(simulator: ProviderSimulator) -> None:
    """Chunks, supports counted in bytes, queries; code comes as parts."""
    simulator.script("google", SCRIPTED)
    client = google_client(simulator)
    config = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    running = types.GenerateContentConfig(tools=[types.Tool(code_execution=types.ToolCodeExecution())])
    async with client.aio as api:
        found = await api.models.generate_content(model="gemini-2.5-flash", contents=QUESTION, config=config)
        ran = await api.models.generate_content(model="gemini-2.5-flash", contents=QUESTION, config=running)
        stream = await api.models.generate_content_stream(model="gemini-2.5-flash", contents=QUESTION, config=config)
        chunks = [chunk async for chunk in stream]
    client.close()
    assert found.candidates
    grounding = found.candidates[0].grounding_metadata
    assert grounding
    assert grounding.web_search_queries == ["apples"]
    assert grounding.grounding_supports
    segment = grounding.grounding_supports[0].segment
    assert segment
    assert SCRIPTED.text.encode()[segment.start_index : segment.end_index].decode() == segment.text == "in Märzen"
    assert "6 * 7" in (ran.executable_code or "")
    assert "42" in (ran.code_execution_result or "")
    assert chunks[-1].candidates
    assert chunks[-1].candidates[0].grounding_metadata


async def test_openrouter_search_annotates(client: RawClient) -> None:
    """A server tool of OpenRouter's own."""
    reply = await client.read("openrouter", changes={"tools": [{"type": "openrouter:web_search"}]})
    annotation = reply.json["choices"][0]["message"]["annotations"][0]
    assert annotation["type"] == "url_citation"
    assert annotation["url_citation"]["url"].startswith("https://")
