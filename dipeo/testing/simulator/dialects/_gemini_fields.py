"""Field names in Gemini's JSON: both spellings are understood, unknown ones are refused."""

from __future__ import annotations

import re

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object

_CAPITAL = re.compile(r"[A-Z]")
_BODY = frozenset(
    {
        "contents", "tools", "tool_config", "safety_settings", "system_instruction", "generation_config",
        "cached_content", "model", "service_tier", "store", "labels",
    }
)  # fmt: skip
_CONFIG = frozenset(
    {
        "stop_sequences", "response_mime_type", "response_schema", "response_json_schema", "response_format",
        "_response_json_schema", "response_modalities", "candidate_count", "max_output_tokens", "temperature", "top_p",
        "top_k", "seed", "presence_penalty", "frequency_penalty", "response_logprobs", "logprobs", "thinking_config",
        "enable_enhanced_civic_answers", "speech_config", "image_config", "media_resolution", "audio_timestamp",
        "routing_config", "model_selection_config", "translation_config",
    }
)  # fmt: skip
_PART = frozenset(
    {
        "text", "inline_data", "file_data", "function_call", "function_response", "executable_code",
        "code_execution_result", "thought", "thought_signature", "video_metadata", "part_metadata", "media_resolution",
        "tool_call", "tool_response",
    }
)  # fmt: skip
_SCHEMA = frozenset(
    {
        "type", "format", "title", "description", "nullable", "enum", "max_items", "min_items", "properties",
        "required", "min_properties", "max_properties", "min_length", "max_length", "pattern", "example", "any_of",
        "property_ordering", "default", "items", "minimum", "maximum",
    }
)  # fmt: skip


def snake_case(name: str) -> str:
    """`maxItems` as `max_items`."""
    return _CAPITAL.sub(lambda letter: "_" + letter.group().lower(), name)


def pick(fields: JsonObject, camel: str) -> JsonValue:
    """A field by its camelCase name or by its snake_case one."""
    return fields[camel] if camel in fields else fields.get(snake_case(camel))


def check_fields(body: JsonObject) -> None:
    """Raise RefusalError for a field that Gemini does not know."""
    _check_names(body, _BODY, "")
    _check_names(as_object(pick(body, "generationConfig")), _CONFIG, "generation_config")
    for index, content in enumerate(map(as_object, as_list(body.get("contents")))):
        for number, part in enumerate(map(as_object, as_list(content.get("parts")))):
            _check_names(part, _PART, f"contents[{index}].parts[{number}]")


def check_schema_fields(schema: JsonValue, place: str) -> None:
    """Raise RefusalError for a keyword that is not among those of Gemini's own schemas."""
    fields = as_object(schema)
    if not fields:
        return
    _check_names(fields, _SCHEMA, place)
    for index, name in enumerate(as_object(fields.get("properties"))):
        check_schema_fields(as_object(fields["properties"])[name], f"{place}.properties[{index}].value")
    check_schema_fields(fields.get("items"), f"{place}.items")
    for index, part in enumerate(as_list(pick(fields, "anyOf"))):
        check_schema_fields(part, f"{place}.any_of[{index}]")


def json_schema_of(schema: JsonValue) -> JsonValue:
    """Gemini's own schema with the names of JSON schema."""
    if isinstance(schema, list):
        return [json_schema_of(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = {_CAMEL.get(name, name): part for name, part in schema.items()}
    for name in ("items", "anyOf"):
        if name in named:
            named[name] = json_schema_of(named[name])
    properties = as_object(named.get("properties"))
    if properties:
        named["properties"] = {name: json_schema_of(part) for name, part in properties.items()}
    if named.get("format") == "enum":
        del named["format"]
    return named


_CAMEL = {
    snake: snake.split("_")[0] + "".join(word.capitalize() for word in snake.split("_")[1:])
    for snake in _SCHEMA
    if "_" in snake
}


def _check_names(fields: JsonObject, known: frozenset[str], place: str) -> None:
    for name in fields:
        if snake_case(name) not in known:
            at = f" at '{place}'" if place else ""
            raise refuse(400, f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')
