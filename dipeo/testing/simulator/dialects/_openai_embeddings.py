"""Embeddings as OpenAI and the services compatible with it give them."""

from __future__ import annotations

import base64
import struct

from dipeo.testing.simulator.dialects._reading import decode_object, is_missing_model
from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.exchange import Incoming, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_count, as_list, as_text
from dipeo.testing.simulator.vectors import embed_text

_MAX_INPUTS = 2048
_USUAL_DIMENSIONS = 768


def answer_embeddings(incoming: Incoming, flavour: Flavour) -> JsonObject:
    """The list of vectors; raises RefusalError in OpenAI's words."""
    body = decode_object(incoming.body)
    if body is None:
        raise refuse(400, "We could not parse the JSON body of your request.")
    model = as_text(body.get("model"))
    if not model:
        raise refuse(400, "you must provide a model parameter")
    if is_missing_model(model):
        raise refuse(404, flavour.missing_model_message(model), code="model_not_found")
    texts = _read_input(body.get("input"))
    dimensions = _read_dimensions(body, flavour.embedding_models.get(model, _USUAL_DIMENSIONS))
    is_packed = body.get("encoding_format") == "base64"
    data: list[JsonValue] = []
    for index, text in enumerate(texts):
        vector = embed_text(text, dimensions)
        packed: JsonValue = _pack(vector) if is_packed else [*vector]
        data.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = sum(len(text.encode("utf-8", "replace")) // 4 + 1 for text in texts)
    usage: JsonObject = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _read_input(given: JsonValue) -> list[str]:
    if given is None:
        text = "Missing required parameter: 'input'."
        raise refuse(400, text, code="missing_required_parameter", param="input")
    if isinstance(given, str):
        entries: list[JsonValue] = [given]
    elif given and all(isinstance(entry, int) for entry in as_list(given)):
        entries = [given]
    else:
        entries = as_list(given)
    texts = [entry if isinstance(entry, str) else " ".join(map(str, as_list(entry))) for entry in entries]
    if not texts or not all(texts):
        raise refuse(400, "Invalid 'input': input cannot be an empty string.", param="input")
    if len(texts) > _MAX_INPUTS:
        text = (
            f"Invalid 'input': array too long. Expected an array with maximum length {_MAX_INPUTS}, "
            f"but got an array with length {len(texts)} instead."
        )
        raise refuse(400, text, code="array_above_max_length", param="input")
    return texts


def _read_dimensions(body: JsonObject, most: int) -> int:
    given = body.get("dimensions", body.get("output_dimension"))
    if given is None:
        return most
    wanted = as_count(given)
    if wanted is None or not 1 <= wanted <= most:
        text = f"Invalid value for 'dimensions' = {given}. Must be less than or equal to {most}."
        raise refuse(400, text, param="dimensions")
    return wanted


def _pack(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
