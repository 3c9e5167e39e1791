"""Reading and checking a generateContent request."""

from __future__ import annotations

import re

from dipeo.testing.simulator.dialects._reading import decode_object, is_missing_model
from dipeo.testing.simulator.exchange import Incoming, ParsedCall, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_count, as_list, as_object, as_text, as_texts
from dipeo.testing.simulator.request_log import SimulatedMessage

_PATH = re.compile(r"/(v1beta|v1)/models/([^/:]+):(generateContent|streamGenerateContent)")
_CAPITAL = re.compile(r"[A-Z]")


def match_generation(path: str) -> re.Match[str] | None:
    """The path's version, model and method, or None for another path."""
    return _PATH.fullmatch(path)


def parse_generation(incoming: Incoming) -> ParsedCall:
    """Read the body; raises RefusalError in Gemini's words."""
    matched = match_generation(incoming.path)
    if matched is None:
        raise refuse(404, "Requested entity was not found.")
    version, model, method = matched.groups()
    body = decode_object(incoming.body)
    if body is None:
        raise refuse(400, "Invalid JSON payload received. Unexpected end of string.")
    if is_missing_model(model):
        message = (
            f"models/{model} is not found for API version {version}, or is not supported for {method}. "
            "Call ListModels to see the list of available models and their supported methods."
        )
        raise refuse(404, message)
    config = as_object(pick(body, "generationConfig"))
    return ParsedCall(
        incoming=incoming,
        model=model,
        is_stream=method == "streamGenerateContent",
        messages=(*_parse_system(body), *_parse_contents(body)),
        body=body,
        max_output_tokens=_parse_limit(config),
        stop_sequences=as_texts(pick(config, "stopSequences")),
    )


def pick(fields: JsonObject, camel: str) -> JsonValue:
    """A field by its camelCase name or by its snake_case one."""
    snake = _CAPITAL.sub(lambda letter: "_" + letter.group().lower(), camel)
    return fields[camel] if camel in fields else fields.get(snake)


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
    if role not in ("user", "model"):
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
    texts = (as_object(part).get("text") for part in (as_list(parts) or [parts]))
    return "\n".join(text for text in texts if isinstance(text, str))
