"""Pictures, documents and sounds are seen, and refused in a wrong shape."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dipeo.testing.simulator import ProviderSimulator

from .conftest import RawClient
from .test_replies import text_of

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
PDF = b"%PDF-1.4\n%%EOF\n"
SOUND = b"RIFF\x24\x00\x00\x00WAVE"
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
SEEN = f"I see 1 image (image/png, {len(PNG)} bytes)"


def packed(content: bytes) -> str:
    """Base64."""
    return base64.b64encode(content).decode()


def openai_parts(*parts: dict[str, Any]) -> dict[str, Any]:
    """A question with parts in chat completions."""
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}]}


def gemini_parts(*parts: dict[str, Any]) -> dict[str, Any]:
    """The same for Gemini."""
    return {"contents": [{"role": "user", "parts": [{"text": "What is it?"}, *parts]}]}


def anthropic_source(kind: str, media_type: str, content: bytes) -> dict[str, Any]:
    """A block with base64."""
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": packed(content)}}


PICTURES = {
    "openai": openai_parts({"type": "image_url", "image_url": {"url": DATA_URL}}),
    "mistral": openai_parts({"type": "image_url", "image_url": DATA_URL}),
    "anthropic": openai_parts(anthropic_source("image", "image/png", PNG)),
    "google": gemini_parts({"inlineData": {"mimeType": "image/png", "data": packed(PNG)}}),
    "ollama": {"messages": [{"role": "user", "content": "What is it?", "images": [packed(PNG)]}]},
}
DOCUMENTS = {
    "openai": openai_parts(
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{packed(PDF)}"}}
    ),
    "anthropic": openai_parts(anthropic_source("document", "application/pdf", PDF)),
    "google": gemini_parts({"inline_data": {"mime_type": "application/pdf", "data": packed(PDF)}}),
}
SOUNDS = {
    "openai": openai_parts({"type": "input_audio", "input_audio": {"format": "wav", "data": packed(SOUND)}}),
    "google": gemini_parts({"inlineData": {"mimeType": "audio/wav", "data": packed(SOUND)}}),
}
EXPECTED = {
    "image": (PICTURES, SEEN),
    "document": (DOCUMENTS, f"I see 1 document (application/pdf, {len(PDF)} bytes)"),
    "audio": (SOUNDS, f"I see 1 audio (audio/wav, {len(SOUND)} bytes)"),
}


@pytest.mark.parametrize(
    ("kind", "service"), [(kind, service) for kind, (bodies, _words) in EXPECTED.items() for service in bodies]
)
async def test_attachments_are_described(client: RawClient, kind: str, service: str) -> None:
    """The answer counts them, with type and size."""
    bodies, words = EXPECTED[kind]
    reply = await client.read(service, changes=bodies[service])
    assert reply.status == 200, reply.text
    assert text_of(service, reply.json).startswith(words)


async def test_responses_see_attachments_too(client: RawClient, simulator: ProviderSimulator) -> None:
    """Pictures and files in one input."""
    content = [
        {"type": "input_text", "text": "What are they?"},
        {"type": "input_image", "image_url": DATA_URL},
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{packed(PDF)}"},
    ]
    body = {"model": "gpt-5", "input": [{"role": "user", "content": content}]}
    url = f"{simulator.base_urls['openai']}/responses"
    async with client.session.post(url, json=body, headers={"authorization": "Bearer k"}) as response:
        said = await response.json()
    assert said["output"][0]["content"][0]["text"].startswith("I see 1 image (image/png")
    assert "1 document" in said["output"][0]["content"][0]["text"]


async def test_addresses_are_not_fetched(client: RawClient) -> None:
    """A picture by its address is described by its address alone."""
    far = {"type": "image_url", "image_url": {"url": "https://example.invalid/cat.jpg"}}
    reply = await client.read("openai", changes=openai_parts(far))
    assert text_of("openai", reply.json).startswith("I see 1 image (image/jpeg, by address)")


@pytest.mark.parametrize(
    ("service", "part", "words"),
    [
        (
            "openrouter",
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://example.invalid/a.pdf"}},
            "I see 1 document (application/pdf, by address)",
        ),
        (
            "openrouter",
            {"type": "input_audio", "input_audio": {"format": "ogg", "data": packed(SOUND)}},
            f"I see 1 audio (audio/ogg, {len(SOUND)} bytes)",
        ),
        (
            "mistral",
            {"type": "input_audio", "input_audio": packed(SOUND)},
            f"I see 1 audio (audio, {len(SOUND)} bytes)",
        ),
        (
            "mistral",
            {"type": "input_audio", "input_audio": "https://example.invalid/a.mp3"},
            "I see 1 audio (audio, by address)",
        ),
    ],
)
async def test_what_openai_does_not_take_is_taken_by_others(
    client: RawClient, service: str, part: dict[str, Any], words: str
) -> None:
    """Documents by their address, sounds of other forms, and sounds without the object around them."""
    reply = await client.read(service, changes=openai_parts(part))
    assert reply.status == 200, reply.text
    assert text_of(service, reply.json).startswith(words)
    refused = await client.read("openai", changes=openai_parts(part))
    assert refused.status == 400


BAD_SOURCE = {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": packed(PNG)}}


@pytest.mark.parametrize(
    ("service", "changes", "words"),
    [
        ("openai", openai_parts({"type": "image_url", "image_url": {"url": "cat.png"}}), "content[1].image_url.url"),
        ("openai", openai_parts({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}), "base64"),
        ("openai", openai_parts({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,QUFB"}}), "webp"),
        ("openai", openai_parts({"type": "input_audio", "input_audio": {"format": "ogg", "data": "QUFB"}}), "'wav'"),
        ("openai", openai_parts({"type": "file", "file": {}}), "file.file_id"),
        ("openai", openai_parts({"type": "picture"}), "content[1].type"),
        (
            "openai",
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": DATA_URL}}]}]},
            "only allowed for messages with role 'user'",
        ),
        ("anthropic", openai_parts(BAD_SOURCE), "image.source.base64.media_type: Input should be 'image/jpeg'"),
        ("anthropic", openai_parts(anthropic_source("image", "image/jpeg", PNG)), "appears to be a image/png"),
        ("anthropic", openai_parts({"type": "image", "source": {"type": "path"}}), "Input tag 'path'"),
        ("anthropic", openai_parts({"type": "input_audio", "input_audio": {}}), "Input tag 'input_audio'"),
        ("google", gemini_parts({"inlineData": {"data": "QUFB"}}), "MIME type cannot be empty"),
        ("google", gemini_parts({"inlineData": {"mimeType": "image/gif", "data": "QUFB"}}), "Unsupported MIME type"),
        ("google", gemini_parts({"inlineData": {"mimeType": "image/png", "data": "%"}}), "Base64 decoding failed"),
        ("google", gemini_parts({"image": "QUFB"}), "Cannot find field"),
        ("ollama", {"messages": [{"role": "user", "content": "Hi", "images": ["%"]}]}, "illegal base64"),
    ],
)
async def test_wrong_shapes_are_refused(client: RawClient, service: str, changes: dict[str, Any], words: str) -> None:
    """400, and the words name the place or the reason."""
    reply = await client.read(service, changes=changes)
    assert reply.status == 400
    assert words in reply.text.replace('\\"', '"')
