"""The official SDKs take the simulator for their vendor."""

from __future__ import annotations

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import errors, types

from dipeo.testing.simulator import Fault, ProviderSimulator, Reply

KEY = "sk-good-key"
REPLY = Reply("Plant peas early.", input_tokens=20, output_tokens=9, cached_tokens=5, reasoning_tokens=4)


def _google_client(simulator: ProviderSimulator, key: str = KEY) -> genai.Client:
    options = types.HttpOptions(
        base_url=simulator.base_urls["google"], retry_options=types.HttpRetryOptions(attempts=1)
    )
    return genai.Client(api_key=key, http_options=options)


@pytest.mark.parametrize("service", ["openai", "xai", "groq", "deepseek", "openrouter", "openai_compatible"])
async def test_openai_sdk_reads_replies_of_every_compatible_service(simulator: ProviderSimulator, service: str) -> None:
    """The OpenAI client gets text, finish reason and usage, unary and streamed."""
    simulator.script(service, REPLY, REPLY)
    async with openai.AsyncOpenAI(base_url=simulator.base_urls[service], api_key=KEY, max_retries=0) as client:
        completion = await client.chat.completions.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": "What now?"}]
        )
        assert completion.choices[0].message.content == REPLY.text
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage is not None
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (20, 9)
        stream = await client.chat.completions.create(
            model="gpt-5-mini",
            messages=[{"role": "user", "content": "What now?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == REPLY.text
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert usages[-1].total_tokens == 29


async def test_openai_sdk_gets_mistral_usage_without_asking(simulator: ProviderSimulator) -> None:
    """Mistral's last chunk carries the usage though nobody asked for it."""
    simulator.script("mistral", REPLY)
    async with openai.AsyncOpenAI(base_url=simulator.base_urls["mistral"], api_key=KEY, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="mistral-small-latest", messages=[{"role": "user", "content": "What now?"}], stream=True
        )
        chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 20


def test_openai_sync_sdk_talks_to_a_simulator_on_its_own_thread() -> None:
    """A synchronous client needs no event loop of the test's own."""
    with (
        ProviderSimulator(seed=7) as simulator,
        openai.OpenAI(base_url=simulator.base_urls["openai"], api_key=KEY, max_retries=0) as client,
    ):
        simulator.script("openai", REPLY)
        completion = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hi"}])
        assert completion.choices[0].message.content == REPLY.text
        assert completion.usage is not None
        assert completion.usage.prompt_tokens_details is not None
        assert completion.usage.prompt_tokens_details.cached_tokens == 5
        assert completion.usage.completion_tokens_details is not None
        assert completion.usage.completion_tokens_details.reasoning_tokens == 4
        models = [model.id for model in client.models.list()]
        assert "gpt-5-mini" in models


async def test_openai_sdk_raises_its_own_errors(simulator: ProviderSimulator) -> None:
    """Refusals and faults become the exceptions the client has for them."""
    messages = [{"role": "user", "content": "Hi"}]
    simulator.script("openai", Fault(status=429, headers={"retry-after": "2"}))
    base_url = simulator.base_urls["openai"]
    async with openai.AsyncOpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as limited:
            await client.chat.completions.create(model="gpt-5", messages=messages)  # type: ignore[arg-type]
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="missing-1", messages=messages)  # type: ignore[arg-type]
    assert limited.value.response.headers["retry-after"] == "2"
    assert limited.value.code == "rate_limit_exceeded"
    assert limited.value.request_id is not None
    assert missing.value.code == "model_not_found"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-wrong-1", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.chat.completions.create(model="gpt-5", messages=messages)  # type: ignore[arg-type]
    assert refused.value.code == "invalid_api_key"


async def test_anthropic_sdk_reads_replies(simulator: ProviderSimulator) -> None:
    """The Anthropic client gets text, stop reason and usage, unary and streamed."""
    simulator.script("anthropic", REPLY, REPLY)
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_urls["anthropic"], api_key=KEY, max_retries=0
    ) as client:
        message = await client.messages.create(
            model="claude-opus-5", max_tokens=100, messages=[{"role": "user", "content": "Hi"}], system="Be kind."
        )
        async with client.messages.stream(
            model="claude-opus-5", max_tokens=100, messages=[{"role": "user", "content": "Hi"}]
        ) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            streamed = await stream.get_final_message()
    assert text == REPLY.text
    for answered in (message, streamed):
        assert answered.content[0].type == "text"
        assert answered.content[0].text == REPLY.text
        assert answered.stop_reason == "end_turn"
        usage = answered.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (15, 5, 9)
    roles = [logged.role for logged in simulator.requests[0].messages]
    assert roles == ["system", "user"]


async def test_anthropic_sdk_raises_its_own_errors(simulator: ProviderSimulator) -> None:
    """Refusals and faults become the exceptions the client has for them."""
    simulator.script("anthropic", Fault(status=529))
    async with anthropic.AsyncAnthropic(
        base_url=simulator.base_urls["anthropic"], api_key=KEY, max_retries=0
    ) as client:
        with pytest.raises(anthropic.APIStatusError) as overloaded:
            await client.messages.create(
                model="claude-opus-5", max_tokens=10, messages=[{"role": "user", "content": "Hi"}]
            )
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(model="missing-1", max_tokens=10, messages=[{"role": "user", "content": "Hi"}])
        assert [model.id async for model in client.models.list()]
    assert overloaded.value.status_code == 529
    assert overloaded.value.type == "overloaded_error"
    assert overloaded.value.request_id is not None


async def test_google_sdk_reads_replies(simulator: ProviderSimulator) -> None:
    """The Gemini client gets text, finish reason and usage, unary and streamed."""
    simulator.script("google", REPLY, REPLY)
    client = _google_client(simulator)
    config = types.GenerateContentConfig(system_instruction="Be kind.", max_output_tokens=100)
    async with client.aio as models:
        whole = await models.models.generate_content(model="gemini-2.5-flash", contents="Hi", config=config)
        stream = await models.models.generate_content_stream(model="gemini-2.5-flash", contents="Hi")
        chunks = [chunk async for chunk in stream]
    client.close()
    assert whole.text == REPLY.text
    assert "".join(chunk.text or "" for chunk in chunks) == REPLY.text
    for answered in (whole, chunks[-1]):
        assert answered.candidates is not None
        assert answered.candidates[0].finish_reason == types.FinishReason.STOP
        usage = answered.usage_metadata
        assert usage is not None
        assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (20, 5, 4)
        assert usage.cached_content_token_count == 5
    assert [logged.role for logged in simulator.requests[0].messages] == ["system", "user"]


async def test_google_sdk_raises_its_own_errors(simulator: ProviderSimulator) -> None:
    """Refusals and faults become the exceptions the client has for them."""
    simulator.script("google", Fault(status=503))
    client = _google_client(simulator)
    async with client.aio as models:
        with pytest.raises(errors.ServerError) as overloaded:
            await models.models.generate_content(model="gemini-2.5-flash", contents="Hi")
    client.close()
    client = _google_client(simulator, key="wrong")
    async with client.aio as models:
        with pytest.raises(errors.ClientError) as refused:
            await models.models.generate_content(model="gemini-2.5-flash", contents="Hi")
    client.close()
    assert overloaded.value.status == "UNAVAILABLE"
    assert refused.value.code == 400
    assert "API_KEY_INVALID" in str(refused.value.details)


async def test_ollama_sdk_reads_replies(simulator: ProviderSimulator) -> None:
    """The Ollama client gets text, done reason and counts, unary and streamed."""
    simulator.script("ollama", REPLY, REPLY)
    client = ollama.AsyncClient(host=simulator.base_urls["ollama"])
    whole = await client.chat(model="llama3.2", messages=[{"role": "user", "content": "Hi"}])
    stream = await client.chat(model="llama3.2", messages=[{"role": "user", "content": "Hi"}], stream=True)
    chunks = [chunk async for chunk in stream]
    with pytest.raises(ollama.ResponseError) as missing:
        await client.chat(model="missing-1", messages=[{"role": "user", "content": "Hi"}])
    listed = await client.list()
    await client._client.aclose()
    assert whole.message.content == REPLY.text
    assert "".join(chunk.message.content or "" for chunk in chunks) == REPLY.text
    for answered in (whole, chunks[-1]):
        assert answered.done is True
        assert answered.done_reason == "stop"
        assert (answered.prompt_eval_count, answered.eval_count) == (20, 9)
    assert missing.value.status_code == 404
    assert listed.models
