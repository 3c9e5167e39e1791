"""Reading and checking a generateContent request."""

from __future__ import annotations

import re

from dipeo.testing.simulator.dialects._gemini_fields import check_fields, pick
from dipeo.testing.simulator.dialects._gemini_wishes import read_wishes
from dipeo.testing.simulator.dialects._reading import decode_object, is_missing_model
from dipeo.testing.simulator.exchange import Incoming, ParsedCall, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_count, as_list, as_object, as_text, as_texts
from dipeo.testing.simulator.request_log import SimulatedMessage

_PATH = re.compile(r"/(v1beta|v1)/models/([^/:]+):(generateContent|streamGenerateContent)")


def match_generation(path: str) -> re.Match[str] | None:
    """The path's version, model and method, or None for another path."""
    return _PATH.fullmatch(path)


def parse_generation(incoming: Incoming) -> ParsedCall:
    """Read the body; raises RefusalError in Gemini's words."""
    matched = match_generation(incoming.path)
    if matched is None:
        raise refuse(404, "Requested entity was not found.")
    _version, model, method = matched.groups()
    body = read_body(incoming)
    check_model(incoming, model, method)
    return read_generation(incoming, model, body, is_stream=method == "streamGenerateContent")


def read_body(incoming: Incoming) -> JsonObject:
    """The JSON object of a request."""
    body = decode_object(incoming.body)
    if body is None:
        raise refuse(400, "Invalid JSON payload received. Unexpected end of string.")
    return body


def check_model(incoming: Incoming, model: str, method: str) -> None:
    """Raise RefusalError for a model that says it is missing."""
    if is_missing_model(model):
        version = incoming.path.strip("/").partition("/")[0]
        message = (
            f"models/{model} is not found for API version {version}, or is not supported for {method}. "
            "Call ListModels to see the list of available models and their supported methods."
        )
        raise refuse(404, message)


def read_generation(incoming: Incoming, model: str, body: JsonObject, *, is_stream: bool) -> ParsedCall:
    """What a body of generateContent asks for."""
    check_fields(body)
    config = as_object(pick(body, "generationConfig"))
    return ParsedCall(
        incoming=incoming,
        model=model,
        is_stream=is_stream,
        messages=(*_parse_system(body), *_parse_contents(body)),
        body=body,
        max_output_tokens=_parse_limit(config),
        stop_sequences=as_texts(pick(config, "stopSequences")),
        wishes=read_wishes(body, model),
    )


def _parse_limit(config: JsonObject) -> int | None:
    given = pick(config, "maxOutputTokens")
    if given is None:
        return None
    limit = as_count(given)
    if limit is None:
        raise refuse(400, "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32)")
    if limit < 1:
        raise refuse(400, f"max_output_tokens must be positive, got {limit}.")
    return limit


def _parse_system(body: JsonObject) -> tuple[SimulatedMessage, ...]:
    instruction = pick(body, "systemInstruction")
    if instruction is None:
        return ()
    text = _join_parts(as_object(instruction).get("parts"))
    return (SimulatedMessage(role="system", name=None, text=text),)


def _parse_contents(body: JsonObject) -> tuple[SimulatedMessage, ...]:
    contents = as_list(body.get("contents"))
    if not contents:
        raise refuse(400, "* GenerateContentRequest.contents: contents is not specified\n")
    return tuple(_parse_content(as_object(content), index) for index, content in enumerate(contents))


def _parse_content(content: JsonObject, index: int) -> SimulatedMessage:
    role = as_text(content.get("role")) or "user"
    if role not in ("user", "model", "function"):
        raise refuse(400, "Please use a valid role: user, model.")
    location = f"* GenerateContentRequest.contents[{index}].parts"
    parts = content.get("parts")
    if not parts:
        raise refuse(400, f"{location}: contents.parts must not be empty.\n")
    for number, part in enumerate(as_list(parts) or [parts]):
        if not as_object(part):
            raise refuse(
                400, f"{location}[{number}].data: required oneof field 'data' must have one initialized field\n"
            )
    return SimulatedMessage(role=role, name=None, text=_join_parts(parts))


def _join_parts(parts: JsonValue) -> str:
    spoken = (as_object(part) for part in (as_list(parts) or [parts]))
    texts = (part.get("text") for part in spoken if part.get("thought") is not True)
    return "\n".join(text for text in texts if isinstance(text, str))
