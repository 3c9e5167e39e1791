"""Scripted and seeded answers, as a plain HTTP client reads them."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.testing.simulator import ProviderSimulator, Reply
from dipeo.testing.simulator.answers import split_evenly, split_words

from .conftest import OPENAI_LIKE, RawClient, RawReply

SERVICES = (*OPENAI_LIKE, "anthropic", "google", "ollama")


def events_of(reply: RawReply) -> list[dict[str, object]]:
    """The JSON documents of a stream, in whichever framing it came."""
    if "ndjson" in reply.headers["content-type"]:
        return [json.loads(line) for line in reply.text.splitlines()]
    lines = (line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: "))
    return [json.loads(line) for line in lines if line != "[DONE]"]


def text_of(service: str, document: dict[str, object]) -> str:
    """The text of a unary reply."""
    reply = RawDocument(document)
    if service == "anthropic":
        return "".join(block["text"] for block in reply["content"])
    if service == "google":
        return "".join(part["text"] for part in reply["candidates"][0]["content"].get("parts", []))
    if service == "ollama":
        return str(reply["message"]["content"])
    return str(reply["choices"][0]["message"]["content"])


class RawDocument(dict):  # type: ignore[type-arg]
    """A decoded document, untyped."""


def pieces_of(service: str, reply: RawReply) -> list[str]:
    """The pieces of text in a stream."""
    events = [RawDocument(event) for event in events_of(reply)]
    if service == "anthropic":
        return [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    if service == "google":
        return [event["candidates"][0]["content"]["parts"][0]["text"] for event in events]
    if service == "ollama":
        return [event["message"]["content"] for event in events if not event["done"]]
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


@pytest.mark.parametrize("service", SERVICES)
async def test_scripted_text_arrives_whole_and_in_pieces(
    client: RawClient, simulator: ProviderSimulator, service: str
) -> None:
    """Unary and streamed answers say the same, in as many pieces as were asked for."""
    text = "Grüße,  and\nthen 🌱 more"
    simulator.script(service, Reply(text), Reply(text), Reply(text, chunks=4), Reply(text, chunks=1))
    assert text_of(service, (await client.read(service)).json) == text
    by_words = pieces_of(service, await client.read(service, is_stream=True))
    in_four = pieces_of(service, await client.read(service, is_stream=True))
    in_one = pieces_of(service, await client.read(service, is_stream=True))
    assert ("".join(by_words), len(by_words)) == (text, 5)
    assert ("".join(in_four), len(in_four)) == (text, 4)
    assert in_one == [text]
    assert simulator.unused == ()


async def test_scripts_are_first_in_first_out_for_each_service(client: RawClient, simulator: ProviderSimulator) -> None:
    """Services do not take each other's answers, and a refused request takes none."""
    simulator.script("openai", Reply("first"), Reply("second"))
    simulator.script("groq", Reply("other"))
    assert (await client.read("openai", key="sk-wrong")).status == 401
    assert len(simulator.unused) == 3
    texts = [text_of("openai", (await client.read("openai")).json) for _ in range(3)]
    assert texts[:2] == ["first", "second"]
    assert texts[2] not in ("first", "second", "other")
    assert list(simulator.unused) == [Reply("other")]


@pytest.mark.parametrize("service", SERVICES)
async def test_seeded_answers_are_deterministic(client: RawClient, service: str) -> None:
    """The same seed and request give the same text, another seed or question another one."""
    first = text_of(service, (await client.read(service)).json)
    again = "".join(pieces_of(service, await client.read(service, is_stream=True)))
    assert first == again
    assert 3 < len(first.split()) < 60
    async with ProviderSimulator(seed=7) as twin, ProviderSimulator(seed=8) as stranger:
        same = await RawClient(twin, client.session).read(service)
        other = await RawClient(stranger, client.session).read(service, messages=[("user", "Tell me about ships.")])
    assert text_of(service, same.json) == first
    assert text_of(service, other.json) != first


async def test_same_calls_give_the_same_bytes() -> None:
    """Ids, times and counts come from the seed and the order of the calls, too."""
    bodies = []
    for _ in range(2):
        async with ProviderSimulator(seed=3) as simulator, aiohttp.ClientSession() as session:
            client = RawClient(simulator, session)
            bodies.append([(await client.read(service, is_stream=True)).body for service in SERVICES])
    assert bodies[0] == bodies[1]


async def test_seeded_answers_keep_secrets(client: RawClient) -> None:
    """At most two plain words of the last question are repeated; the system prompt and older messages are not."""
    messages = [
        ("system", "You are Ada. The password is swordfish-77 and the treasure lies beneath the chapel."),
        ("user", "Privately: Bertrand embezzled everything from the orphanage."),
        ("assistant", "Understood."),
        ("user", "Does the XK-42 codeword concern harvest festivals or Klondike?"),
    ]
    text = text_of("openai", (await client.read("openai", messages=messages)).json)
    assert "Ada" in text
    assert not text.startswith("Ada:")
    for secret in ("swordfish", "treasure", "chapel", "Bertrand", "embezzled", "orphanage", "XK", "Klondike"):
        assert secret.lower() not in text.lower()


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "mistral"])
async def test_token_limit_truncates(client: RawClient, simulator: ProviderSimulator, service: str) -> None:
    """An answer longer than the limit ends with the vendor's word for that."""
    simulator.script(service, Reply("one two three four"), Reply("one two three four"))
    limits = {"google": {"generationConfig": {"maxOutputTokens": 2}}, "ollama": {"options": {"num_predict": 2}}}
    changes = limits.get(service, {"max_tokens": 2})
    words = {"anthropic": '"max_tokens"', "google": '"MAX_TOKENS"'}
    whole = await client.read(service, changes=changes)
    assert text_of(service, whole.json) == "one two"
    streamed = await client.read(service, is_stream=True, changes=changes)
    assert "".join(pieces_of(service, streamed)) == "one two"
    for reply in (whole, streamed):
        assert words.get(service, '"length"') in reply.text


async def test_stop_sequences_are_honoured(client: RawClient, simulator: ProviderSimulator) -> None:
    """The text ends before the first stop sequence; Anthropic names it."""
    for service in ("openai", "anthropic", "google", "ollama"):
        simulator.script(service, Reply("one two STOP three"))
    openai_reply = await client.read("openai", changes={"stop": "STOP"})
    assert text_of("openai", openai_reply.json) == "one two "
    anthropic_reply = await client.read("anthropic", changes={"stop_sequences": ["never", "STOP"]})
    assert text_of("anthropic", anthropic_reply.json) == "one two "
    assert anthropic_reply.json["stop_reason"] == "stop_sequence"
    assert anthropic_reply.json["stop_sequence"] == "STOP"
    # The Gemini wire mixes both spellings; both are understood.
    google_reply = await client.read("google", changes={"generation_config": {"stop_sequences": ["STOP"]}})
    assert text_of("google", google_reply.json) == "one two "
    ollama_reply = await client.read("ollama", changes={"options": {"stop": ["STOP"]}})
    assert text_of("ollama", ollama_reply.json) == "one two "


async def test_filtered_answers_look_as_the_vendors_do(client: RawClient, simulator: ProviderSimulator) -> None:
    """Each vendor has its own word for a filtered answer, and its own way to leave the text out."""
    for service in ("openai", "anthropic", "google"):
        simulator.script(service, Reply("", finish="content_filter"))
    choice = (await client.read("openai")).json["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", None)
    message = (await client.read("anthropic")).json
    assert (message["stop_reason"], message["content"]) == ("refusal", [])
    candidate = (await client.read("google")).json["candidates"][0]
    assert candidate == {"finishReason": "SAFETY", "index": 0}


@pytest.mark.parametrize("service", SERVICES)
async def test_empty_text_streams_to_its_end(client: RawClient, simulator: ProviderSimulator, service: str) -> None:
    """An answer without text still has a beginning and an end."""
    simulator.script(service, Reply(""))
    reply = await client.read(service, is_stream=True)
    assert events_of(reply)


async def test_openai_usage_chunk_only_when_asked_for(client: RawClient) -> None:
    """Without `include_usage` no usage is sent, with it as a last chunk without choices."""
    silent = events_of(await client.read("openai", is_stream=True))
    assert not any("usage" in event for event in silent)
    options = {"stream_options": {"include_usage": True}}
    reply = await client.read("openai", is_stream=True, changes=options)
    asked = events_of(reply)
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]
    assert all(event["usage"] is None for event in asked[:-1])
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_compatible_services_have_their_accents(client: RawClient, simulator: ProviderSimulator) -> None:
    """Comments, padding, cache counts and usage are where each service puts them."""
    openrouter = await client.read("openrouter", is_stream=True)
    assert openrouter.text.startswith(": OPENROUTER PROCESSING\n\n")
    assert (await client.read("openrouter")).body.startswith(b"\n")
    groq = events_of(await client.read("groq", is_stream=True))
    assert "usage" in RawDocument(groq[-1])["x_groq"]
    simulator.script("deepseek", Reply("x", input_tokens=10, cached_tokens=4))
    usage = (await client.read("deepseek")).json["usage"]
    assert (usage["prompt_cache_hit_tokens"], usage["prompt_cache_miss_tokens"]) == (4, 6)


async def test_gemini_without_sse_is_one_growing_array(client: RawClient, simulator: ProviderSimulator) -> None:
    """Without `alt=sse` the whole stream is a JSON array."""
    simulator.script("google", Reply("one two three"), Reply("one"))
    url, body, headers = client.request_parts("google", [("user", "Hi")], "gemini-2.5-flash", "k", is_stream=True)
    for expected in ("one two three", "one"):
        async with client.session.post(url.removesuffix("?alt=sse"), json=body, headers=headers) as response:
            responses = json.loads(await response.text())
        texts = [part["candidates"][0]["content"]["parts"][0]["text"] for part in responses]
        assert "".join(texts) == expected


async def test_delays_pass_where_they_are_asked_for(client: RawClient, simulator: ProviderSimulator) -> None:
    """`delay_s` comes before the status line, `chunk_delay_s` between the pieces."""
    simulator.script("openai", Reply("a b c", delay_s=0.1, chunk_delay_s=0.05))
    simulator.script("google", Reply("a b c", chunk_delay_s=0.05))
    for service, least_s in (("openai", 0.2), ("google", 0.1)):
        started = time.monotonic()
        await client.read(service, is_stream=True)
        assert least_s <= time.monotonic() - started < least_s + 0.5


async def test_reply_headers_and_model_are_the_given_ones(client: RawClient, simulator: ProviderSimulator) -> None:
    """`headers` are added, `model` replaces the one that was asked for."""
    reply = Reply("x", headers={"X-Extra": "1"}, model="gpt-5-2026-01-01")
    simulator.script("openai", reply, reply)
    whole = await client.read("openai")
    assert (whole.headers["x-extra"], whole.json["model"]) == ("1", "gpt-5-2026-01-01")
    assert (await client.read("openai", is_stream=True)).headers["x-extra"] == "1"


async def test_hundred_calls_at_once(client: RawClient) -> None:
    """Many calls at once are all answered, and none gets another's answer."""
    questions = [f"Tell me about topic{chr(97 + index % 26)}{chr(97 + index // 26)}" for index in range(100)]
    replies = await asyncio.gather(*(client.read("groq", messages=[("user", question)]) for question in questions))
    again = await asyncio.gather(*(client.read("groq", messages=[("user", question)]) for question in questions))
    assert [text_of("groq", reply.json) for reply in replies] == [text_of("groq", reply.json) for reply in again]


@given(st.text(max_size=60), st.integers(min_value=1, max_value=20))
def test_pieces_make_up_the_text(text: str, count: int) -> None:
    """However a text is split, nothing is lost."""
    assert "".join(split_words(text)) == text
    assert "".join(split_evenly(text, count)) == text
    assert all(split_evenly(text, count))
