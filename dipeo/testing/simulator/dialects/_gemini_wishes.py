"""What a generateContent request asks for besides a text."""

from __future__ import annotations

import attrs

from dipeo.testing.simulator.dialects._gemini_fields import check_schema_fields, json_schema_of, pick
from dipeo.testing.simulator.dialects._gemini_tools import read_tools
from dipeo.testing.simulator.dialects._gemini_turns import check_turns, read_attachments, read_results
from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, as_list, as_object, as_text
from dipeo.testing.simulator.wishes import Wishes

_JSON = "application/json"


def read_wishes(body: JsonObject, model: str) -> Wishes:
    """Check tools, formats, thinking, parts and turns; raises RefusalError in Gemini's words."""
    contents = [as_object(content) for content in as_list(body.get("contents"))]
    wishes = read_tools(body, model)
    config = as_object(pick(body, "generationConfig"))
    schema, wants_json = _read_format(config)
    if wants_json and wishes.tools and not model.startswith("gemini-3"):
        raise refuse(400, "Function calling with a response mime type: 'application/json' is unsupported")
    check_turns(contents, model)
    return attrs.evolve(
        wishes,
        schema=schema,
        wants_json=wants_json,
        wants_reasoning=_read_thinking(as_object(pick(config, "thinkingConfig")), model),
        results=read_results(contents),
        attachments=read_attachments(contents),
    )


def shows_thoughts(body: JsonObject) -> bool:
    """Whether thoughts were asked for, not only thinking."""
    thinking = as_object(pick(as_object(pick(body, "generationConfig")), "thinkingConfig"))
    return pick(thinking, "includeThoughts") is True


def _read_format(config: JsonObject) -> tuple[JsonObject | None, bool]:
    own, free = pick(config, "responseSchema"), pick(config, "responseJsonSchema")
    wants_json = pick(config, "responseMimeType") == _JSON
    if (own is not None or free is not None) and not wants_json and pick(config, "responseMimeType") != "text/x.enum":
        raise refuse(
            400, f"GenerateContentRequest.generation_config.response_schema: response_mime_type must be {_JSON}"
        )
    if own is not None and free is not None:
        raise refuse(400, "Only one of response_schema and response_json_schema can be set.")
    if own is not None:
        check_schema_fields(own, "generation_config.response_schema")
        return as_object(json_schema_of(own)), wants_json
    return (as_object(free) if free is not None else None), wants_json


def _read_thinking(thinking: JsonObject, model: str) -> bool:
    budget, level = pick(thinking, "thinkingBudget"), pick(thinking, "thinkingLevel")
    if budget is not None and level is not None:
        raise refuse(400, "You can only set only one of thinking budget and thinking level.")
    if level is not None and model.startswith("gemini-2"):
        raise refuse(400, "Thinking level is not supported for this model.")
    if budget == 0 and "pro" in model:
        raise refuse(400, "Budget 0 is invalid. This model only works in thinking mode.")
    if as_text(level).lower() == "minimal" or budget == 0:
        return False
    return bool(thinking)
