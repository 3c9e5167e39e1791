"""Gemini's models, token counts and embeddings."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from dipeo.testing.simulator.answers import estimate_request_tokens
from dipeo.testing.simulator.dialects._gemini_fields import pick
from dipeo.testing.simulator.dialects._gemini_request import check_model, read_body, read_generation
from dipeo.testing.simulator.dialects._gemini_turns import parts_of
from dipeo.testing.simulator.exchange import Incoming, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_count, as_list, as_object, as_text
from dipeo.testing.simulator.vectors import embed_text

_MODELS = (
    ("gemini-3.5-flash", "Gemini 3.5 Flash"),
    ("gemini-3-pro-preview", "Gemini 3 Pro Preview"),
    ("gemini-2.5-flash", "Gemini 2.5 Flash"),
    ("gemini-embedding-001", "Gemini Embedding 001"),
)
_LIST = re.compile(r"/(?:v1beta|v1)/models")
_ONE = re.compile(r"/(?:v1beta|v1)/models/([^/:]+)")
_METHOD = re.compile(r"/(?:v1beta|v1)/models/([^/:]+):(countTokens|embedContent|batchEmbedContents)")
_DIMENSIONS = 3072


def find_errand(incoming: Incoming) -> Callable[[], JsonObject] | None:
    """What answers a request for anything but a completion."""
    if incoming.method in ("GET", "HEAD"):
        if _LIST.fullmatch(incoming.path):
            return partial(_list_models, incoming)
        one = _ONE.fullmatch(incoming.path)
        return partial(_describe_model, one.group(1)) if one else None
    matched = _METHOD.fullmatch(incoming.path) if incoming.method == "POST" else None
    if matched is None:
        return None
    answers = {"countTokens": _count_tokens, "embedContent": _embed_one, "batchEmbedContents": _embed_many}
    return partial(answers[matched.group(2)], incoming, matched.group(1))


def _list_models(incoming: Incoming) -> JsonObject:
    size, token = incoming.query.get("pageSize", ""), incoming.query.get("pageToken", "")
    start = int(token) if token.isdigit() else 0
    count = int(size) if size.isdigit() and int(size) else len(_MODELS)
    page: JsonObject = {"models": [_model(name, title) for name, title in _MODELS[start : start + count]]}
    return page if start + count >= len(_MODELS) else {**page, "nextPageToken": str(start + count)}


def _describe_model(name: str) -> JsonObject:
    titles = dict(_MODELS)
    if name not in titles:
        raise refuse(404, f"Model is not found: models/{name} for api version v1beta")
    return _model(name, titles[name])


def _model(name: str, title: str) -> JsonObject:
    is_embedding = "embedding" in name
    methods: list[JsonValue] = (
        ["embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent"]
        if is_embedding
        else ["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"]
    )
    generates: JsonObject = {} if is_embedding else {"temperature": 1, "topP": 0.95, "topK": 64, "thinking": True}
    return {
        "name": f"models/{name}",
        "version": name,
        "displayName": title,
        "description": f"The simulated {title}",
        "inputTokenLimit": 2048 if is_embedding else 1_048_576,
        "outputTokenLimit": 1 if is_embedding else 65_536,
        "supportedGenerationMethods": methods,
        **generates,
    }


def _count_tokens(incoming: Incoming, model: str) -> JsonObject:
    body = read_body(incoming)
    check_model(incoming, model, "countTokens")
    inner = as_object(pick(body, "generateContentRequest")) or body
    count = estimate_request_tokens(read_generation(incoming, model, inner, is_stream=False))
    return {"totalTokens": count, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": count}]}


def _embed_one(incoming: Incoming, model: str) -> JsonObject:
    body = read_body(incoming)
    check_model(incoming, model, "embedContent")
    return {"embedding": _embedding(body, "EmbedContentRequest")}


def _embed_many(incoming: Incoming, model: str) -> JsonObject:
    body = read_body(incoming)
    check_model(incoming, model, "batchEmbedContents")
    requests = [as_object(request) for request in as_list(body.get("requests"))]
    if not requests:
        raise refuse(400, "* BatchEmbedContentsRequest.requests: at least one request is required\n")
    embeddings: list[JsonValue] = []
    for index, request in enumerate(requests):
        if as_text(request.get("model")) != f"models/{model}":
            text = f"* BatchEmbedContentsRequest.requests[{index}].model: unexpected model name format\n"
            raise refuse(400, text)
        embeddings.append(_embedding(request, f"BatchEmbedContentsRequest.requests[{index}]"))
    return {"embeddings": embeddings}


def _embedding(request: JsonObject, place: str) -> JsonObject:
    parts = parts_of(as_object(request.get("content")))
    text = "\n".join(as_text(part.get("text")) for part in parts)
    if not text:
        raise refuse(400, f"* {place}.content: contents is not specified\n")
    given = pick(request, "outputDimensionality")
    wanted = _DIMENSIONS if given is None else as_count(given)
    if wanted is None or not 1 <= wanted <= _DIMENSIONS:
        raise refuse(400, f"* {place}.output_dimensionality: must be between 1 and {_DIMENSIONS}\n")
    return {"values": [*embed_text(text, wanted)]}
