"""What every dialect sends as it is given, or says that it does not: descriptions of tools, details of pictures."""

import json
import re
from typing import Any

import pytest

from dipeo.application.tool import tool
from dipeo.domain.completion import Adaptation, AdaptationAction, ChatMessage, CompletionRequest, Role
from dipeo.domain.errors import DipeoError, UnsupportedParameterError
from dipeo.domain.parts import AudioPart, DocumentPart, ImageDetail, ImagePart, Part, TextPart
from dipeo.domain.service import LLMService
from dipeo.domain.tools import Tooling
from tests.adapters import responses_body
from tests.adapters.chat_requests import MODELS
from tests.adapters.replay import ReplayWire, adapter_over

SEES = {
    **MODELS,
    LLMService.GROQ: "meta-llama/llama-4-scout",
    LLMService.ANTHROPIC: "claude-sonnet-5",
    LLMService.GOOGLE: "gemini-3.5-flash",
    LLMService.OLLAMA: "qwen3-vl:8b",
}
BY_RESPONSES = (LLMService.OPENAI, LLMService.XAI, LLMService.OPENAI_COMPATIBLE)
SPEAKERS = [(service, "chat") for service in SEES] + [(service, "responses") for service in BY_RESPONSES]

TAKES_ALL = {LLMService.OPENAI, LLMService.OPENAI_COMPATIBLE}
TAKES_NONE = {LLMService.DEEPSEEK, LLMService.ANTHROPIC, LLMService.GOOGLE, LLMService.OLLAMA}

each_speaker = pytest.mark.parametrize(("service", "api"), SPEAKERS)


REPLY = (
    b'{"object": "response", "status": "completed", "model": "m", "id": "resp_1",'
    b' "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]}'
)


async def sent(
    service: LLMService, api: str, *parts: Part, role: Role = Role.USER, **given: Any
) -> tuple[Any, tuple[Adaptation, ...]]:
    """The body that goes to the provider, and what had to be adapted."""
    messages = (ChatMessage(role, parts),)
    request = CompletionRequest(service=service, model=SEES[service], messages=messages, **given)
    wire = ReplayWire(status=200, headers={}, body=REPLY)
    if api == "responses":
        completion = await responses_body.adapter_over(wire, service).complete(request)
        return wire.asked[0].body, completion.adaptations
    adapter = adapter_over(wire, service)
    asked, _ = adapter.as_taken(request)
    exchange, adaptations = adapter.encode(asked, is_stream=False)
    return exchange.body, adaptations


@each_speaker
async def test_a_long_description_of_a_tool_is_sent_whole(service: LLMService, api: str) -> None:
    """No provider's reference has a limit; a server that has one says so itself."""
    text = f"Tells the weather. {'Rain is told in millimetres. ' * 200}And no more."

    def weather(city: str) -> str:
        raise NotImplementedError

    weather.__doc__ = text
    tooling = Tooling(tools=(tool(weather).spec, tool(weather, name="again", description=text).spec))
    body, adaptations = await sent(service, api, TextPart("Well?"), tooling=tooling)
    assert adaptations == ()
    assert json.dumps(body).count(json.dumps(text)) == 2


@each_speaker
@pytest.mark.parametrize("detail", [None, *ImageDetail])
async def test_a_detail_is_sent_where_it_is_known(service: LLMService, api: str, detail: ImageDetail | None) -> None:
    """The nearest level where that one is not known; left out where none is; recorded, unless nothing is lost."""
    picture = ImagePart(media_type="image/png", data=b"png", detail=detail)
    body, adaptations = await sent(service, api, TextPart("Look:"), picture)
    level, told = detail, None
    if detail is ImageDetail.ORIGINAL and service not in TAKES_ALL:
        level, told = ImageDetail.HIGH, AdaptationAction.SUBSTITUTED
    if service in TAKES_NONE:
        level, told = None, None if detail in (None, ImageDetail.AUTO) else AdaptationAction.DROPPED
    said = json.dumps(body)
    assert said.count('"detail"') == (level is not None)
    assert level is None or f'"detail": "{level}"' in said
    expected = [] if told is None else [("messages[0].content[1].detail", told)]
    assert [(each.parameter, each.action) for each in adaptations] == expected
    if told is not None:
        with pytest.raises(UnsupportedParameterError) as caught:
            await sent(service, api, TextPart("Look:"), picture, is_strict=True)
        assert caught.value.field == "messages[0].content[1].detail"


async def test_a_detail_stands_beside_the_address() -> None:
    """In chat completions within the picture's own object, in responses beside it."""
    picture = ImagePart(media_type="image/png", url="https://a.invalid/b.png", detail="high")
    chat, _ = await sent(LLMService.OPENAI, "chat", picture)
    address = {"url": "https://a.invalid/b.png", "detail": "high"}
    assert chat["messages"][0]["content"] == [{"type": "image_url", "image_url": address}]
    responses, _ = await sent(LLMService.OPENAI, "responses", picture)
    said = {"type": "input_image", "image_url": "https://a.invalid/b.png", "detail": "high"}
    assert responses["input"][0]["content"] == [said]


@each_speaker
@pytest.mark.parametrize("role", [Role.SYSTEM, Role.ASSISTANT, Role.USER])
async def test_a_part_that_is_not_taken_is_named_in_good_english(service: LLMService, api: str, role: Role) -> None:
    """The message names the part by its place and kind, whatever the kind begins with."""
    kinds = (ImagePart, AudioPart, DocumentPart)
    refusals = []
    for part in (kind(media_type="a/b", data=b"?") for kind in kinds):
        try:
            await sent(service, api, part, role=role)
        except DipeoError as error:
            refusals.append(error.message)
    assert refusals or role is not Role.SYSTEM
    for message in refusals:
        assert "messages[0].content[0]" in message
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", message, re.IGNORECASE), message
