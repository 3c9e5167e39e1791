"""dipeo and llama.cpp's server over OpenAI's responses: what one writes, the other has to read."""

from collections.abc import AsyncIterator

import pytest

import dipeo
from dipeo import FinishReason, LLMService, LLMServicePort, Settings
from dipeo.domain.completion import CompletionOptions
from dipeo.domain.stream import TextDelta
from dipeo.domain.tools import ToolSpec
from tests.foreign_server.running import ForeignServer

MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello there."}]
SURE = CompletionOptions(temperature=0.0, max_tokens=12)
SERVICE = LLMService.OPENAI_COMPATIBLE
MODEL = "whatever-it-is-called"


@pytest.fixture
async def llm(server: ForeignServer) -> AsyncIterator[LLMServicePort]:
    """The wired service, asking the server over responses. Nothing is tried twice."""
    settings = Settings(
        base_urls={SERVICE: f"{server.address}/v1"}, apis={SERVICE: "responses"}, max_attempts=1, timeout_s=20.0
    )
    async with dipeo.connect(settings) as connected:
        yield connected


async def test_it_answers_over_responses(llm: LLMServicePort) -> None:
    """Text, usage, finish reason and id come back; this server says `completed` of an answer that it cut."""
    completion = await llm.complete(MESSAGES, MODEL, service=SERVICE, **SURE)
    assert completion.text
    assert completion.usage.output_tokens == 12
    assert (completion.finish_reason, completion.raw_finish_reason) == (FinishReason.STOP, "completed")
    assert completion.response_id
    assert completion.raw is not None
    assert completion.raw["object"] == "response"
    assert completion.adaptations == ()


async def test_its_typed_events_are_the_whole_answer_in_pieces(llm: LLMServicePort) -> None:
    """At temperature 0 a stream has the text and usage of the whole answer, with a tool on offer too."""
    options = CompletionOptions(**SURE, tools=[ToolSpec(name="weather")])
    whole = await llm.complete(MESSAGES, MODEL, service=SERVICE, **options)
    async with llm.stream(MESSAGES, MODEL, service=SERVICE, **options) as stream:
        pieces = [event.text async for event in stream if isinstance(event, TextDelta)]
    assert len(pieces) > 1
    assert "".join(pieces) == stream.completion.text == whole.text
    assert stream.completion.usage.output_tokens == whole.usage.output_tokens
