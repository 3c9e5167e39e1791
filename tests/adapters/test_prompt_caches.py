"""A prompt cache is asked of OpenAI in words that its client's types know, alike over both interfaces."""

from types import NoneType
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints

import pytest
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as responses_params

from dipeo.domain.completion import AdaptationAction, ChatMessage, CompletionRequest, Role
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache
from tests.adapters import responses_body
from tests.adapters.chat_requests import encoded, request_of
from tests.adapters.replay import ReplayWire

REPLY = (
    b'{"object": "response", "status": "completed", "model": "m", "id": "resp_1",'
    b' "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]}'
)
OPENAI = LLMService.OPENAI
MODELS = (
    "gpt-4o", "gpt-4.1", "gpt-4.1-2025-04-14", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "gpt-5-codex", "gpt-5.1",
    "gpt-5.2-pro", "gpt-5.4-mini", "gpt-5.5", "gpt-5.5-2026-04-01", "gpt-5.6-terra", "gpt-5.10", "gpt-6", "o4-mini",
    "ft:gpt-4.1-2025-04-14:me",
)  # fmt: skip

Asked = tuple[dict[str, Any], list[AdaptationAction]]


def over_chat(model: str, wish: PromptCache) -> Asked:
    """What is said of the cache over chat completions."""
    exchange, adaptations = encoded(request_of(OPENAI, model=model, prompt_cache=wish))
    return _of_cache(exchange.body), [each.action for each in adaptations]


async def over_responses(model: str, wish: PromptCache) -> Asked:
    """What is said of the cache over responses."""
    wire = ReplayWire(status=200, headers={}, body=REPLY)
    messages = (ChatMessage.from_text(Role.USER, "Hello"),)
    request = CompletionRequest(service=OPENAI, model=model, messages=messages, prompt_cache=wish)
    completion = await responses_body.adapter_over(wire, OPENAI).complete(request)
    return _of_cache(wire.asked[0].body), [each.action for each in completion.adaptations]


def _of_cache(body: Any) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name.startswith("prompt_cache_") and "key" not in name}


@pytest.mark.parametrize("wish", [PromptCache.SHORT, PromptCache.LONG])
@pytest.mark.parametrize("model", MODELS)
async def test_both_interfaces_are_asked_alike(model: str, wish: PromptCache) -> None:
    """Where chat completions take less time than responses, they are asked for what they take, and that is recorded."""
    chat, responses = over_chat(model, wish), await over_responses(model, wish)
    if responses[0] == {"prompt_cache_options": {"ttl": "12h"}}:
        assert wish is PromptCache.LONG
        assert chat == ({"prompt_cache_options": {"ttl": "30m"}}, [AdaptationAction.CLAMPED])
    else:
        assert chat == responses


@pytest.mark.parametrize("wish", [PromptCache.SHORT, PromptCache.LONG])
@pytest.mark.parametrize("model", MODELS)
async def test_the_words_are_those_of_the_official_client(model: str, wish: PromptCache) -> None:
    """Fields and values of each interface are in the types of the official client."""
    for asked, params, body_type in (
        (over_chat(model, wish)[0], chat_params, chat_params.CompletionCreateParamsNonStreaming),
        ((await over_responses(model, wish))[0], responses_params, responses_params.ResponseCreateParamsNonStreaming),
    ):
        _check(asked, get_type_hints(body_type, vars(params)))


def _check(said: dict[str, Any], known: dict[str, Any]) -> None:
    for name, value in said.items():
        kind = _bare(known[name])
        if isinstance(value, dict):
            _check(value, get_type_hints(kind))
        else:
            assert get_origin(kind) is Literal
            assert value in get_args(kind), (name, value)


def _bare(kind: Any) -> Any:
    """The type without `Required` and `None`."""
    if get_origin(kind) is Required:
        return _bare(get_args(kind)[0])
    if get_origin(kind) is Union:
        return next(each for each in get_args(kind) if each is not NoneType)
    return kind
