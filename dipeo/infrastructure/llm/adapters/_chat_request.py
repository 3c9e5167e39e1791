"""A request in the words of OpenAI's chat completions: the pure half that all who speak them share.

Source of the shapes: OpenAI's API reference, "Create chat completion"; each compatible provider's own reference.
"""

import hashlib
import json
from typing import Final

from dipeo.domain.completion import AdaptationAction, CompletionRequest
from dipeo.domain.errors import UnsupportedParameterError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import NO_SAMPLING, ReasoningEffort, Sampling
from dipeo.domain.tools import DEFAULT_CACHE, NO_TOOLS, PromptCache
from dipeo.infrastructure.llm.adapters._chat_dialect import CacheWish, ChatDialect
from dipeo.infrastructure.llm.adapters._chat_messages import encode_messages
from dipeo.infrastructure.llm.adapters._chat_tools import Body, encode_schema, encode_tooling
from dipeo.infrastructure.llm.adapters._prompt_cache import ask_for_cache
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.answer import EncodedRequest
from dipeo.infrastructure.llm.drivers.provider_options import with_provider_options
from dipeo.infrastructure.llm.drivers.wire import WireRequest, new_exchange

PATH: Final = "/chat/completions"
CACHE_KEY_CHARS: Final = 32


def encode_request(
    request: CompletionRequest, dialect: ChatDialect, capabilities: ModelCapabilities, *, is_stream: bool
) -> EncodedRequest:
    """The request body, and what had to be adapted."""
    adaptations = Adaptations(request)
    body: Body = {
        "model": request.model,
        "messages": encode_messages(request.messages, dialect, capabilities, adaptations),
    }
    if request.tooling is not NO_TOOLS:
        encode_tooling(body, request, dialect, adaptations)
    if request.response_schema is not None:
        encode_schema(body, request, request.response_schema, adaptations)
    if request.sampling is not NO_SAMPLING:
        encode_sampling(body, request, dialect, capabilities, adaptations)
    if request.previous_response_id is not None:
        raise UnsupportedParameterError(
            "Chat completions keep no answers to go on from.",
            field="previous_response_id",
            suggestion="Send the whole conversation.",
        )
    if is_stream:
        body["stream"] = True
        if dialect.asks_for_stream_usage:
            body["stream_options"] = {"include_usage": True}
    exchange = new_exchange(PATH, body)
    if request.prompt_cache is not DEFAULT_CACHE:
        encode_cache(exchange, body, request, dialect, adaptations)
    if request.provider_options:
        with_provider_options(body, request.provider_options)
    return exchange, adaptations.made


def encode_sampling(
    body: Body,
    request: CompletionRequest,
    dialect: ChatDialect,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    """Puts the sampling parameters into the body; what the model does not take is recorded."""
    sampling = request.sampling
    temperature = sampling.temperature
    if temperature is not None and temperature > capabilities.max_temperature and capabilities.takes_temperature:
        reason = f"{request.model} takes temperatures up to {capabilities.max_temperature:g}."
        adaptations.note("temperature", AdaptationAction.CLAMPED, reason)
        temperature = capabilities.max_temperature
    wanted: tuple[tuple[str, str, JsonValue, bool], ...] = (
        ("temperature", "temperature", temperature, capabilities.takes_temperature),
        ("top_p", "top_p", sampling.top_p, capabilities.takes_top_p),
        ("max_tokens", dialect.max_tokens_field, sampling.max_tokens, True),
        ("stop", "stop", list(sampling.stop) if sampling.stop else None, capabilities.takes_stop),
        ("seed", dialect.seed_field, sampling.seed, capabilities.takes_seed),
    )
    for parameter, name, value, is_taken in wanted:
        if value is not None and is_taken:
            body[name] = value
        elif value is not None:
            adaptations.dropped(parameter, f"{request.model} does not take it.")
    if sampling.reasoning_effort is not None or sampling.reasoning_budget_tokens is not None:
        encode_reasoning(body, request.model, sampling, dialect, capabilities, adaptations)


def encode_reasoning(
    body: Body,
    model: str,
    sampling: Sampling,
    dialect: ChatDialect,
    capabilities: ModelCapabilities,
    adaptations: Adaptations,
) -> None:
    """Puts the budget or the effort into the body, or the nearest level that the model takes; that is recorded."""
    effort, budget_tokens = sampling.reasoning_effort, sampling.reasoning_budget_tokens
    if budget_tokens is not None:
        if capabilities.takes_reasoning_budget:
            body["reasoning"] = {"max_tokens": budget_tokens}
            if effort is not None:
                adaptations.dropped("reasoning_effort", "the provider takes a budget or an effort, and not both.")
            return
        adaptations.dropped("reasoning_budget_tokens", f"{model} does not take it.")
    if effort is None:
        return
    level = capabilities.nearest_effort(effort)
    if level is None:
        if effort is not ReasoningEffort.NONE:
            adaptations.dropped("reasoning_effort", f"{model} does not take it.")
        return
    if level is ReasoningEffort.NONE and dialect.disables_thinking:
        body["thinking"] = {"type": "disabled"}
    else:
        body["reasoning_effort"] = level.value
    if level is not effort:
        reason = f"the nearest level that {model} takes is {level.value}."
        adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, reason)


def encode_cache(
    exchange: WireRequest, body: Body, request: CompletionRequest, dialect: ChatDialect, adaptations: Adaptations
) -> None:
    """Asks the provider to remember the beginning of the request; what it cannot be asked is recorded."""
    if dialect.cache is CacheWish.UNKNOWN:
        adaptations.dropped("prompt_cache", "it is not known how this server is asked for it.")
        return
    if dialect.cache is CacheWish.BODY_KEY:
        body["prompt_cache_key"] = cache_key(request)
        ask_for_cache(body, dialect.caches, request.model, request.prompt_cache, adaptations)
        return
    is_long = request.prompt_cache is PromptCache.LONG
    takes_long = dialect.long_cache.match(request.model) is not None
    if dialect.cache is CacheWish.HEADER_KEY:
        exchange.headers = {**exchange.headers, "x-grok-conv-id": cache_key(request)}
    elif dialect.cache is CacheWish.MARK and takes_long:
        # Models of other makers are remembered without a mark.
        body["cache_control"] = {"type": "ephemeral", "ttl": "1h"} if is_long else {"type": "ephemeral"}
    if is_long and not takes_long:
        reason = f"{request.model} is remembered as long as its provider likes."
        adaptations.note("prompt_cache", AdaptationAction.SUBSTITUTED, reason)


def cache_key(request: CompletionRequest) -> str:
    """A key that requests with the same beginning share: it tells nothing of what they say."""
    beginning = [message.text for message in request.messages if message.role.is_instruction]
    tools = [[tool.name, tool.description, tool.parameters] for tool in request.tooling.tools]
    told = json.dumps([request.model, request.person_id, beginning, tools], default=dict)
    return hashlib.sha256(told.encode()).hexdigest()[:CACHE_KEY_CHARS]
