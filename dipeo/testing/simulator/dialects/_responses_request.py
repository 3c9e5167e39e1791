"""Reading and checking a request of the Responses API."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._openai_tools import check_schema_format, check_tools, read_choice, read_function
from dipeo.testing.simulator.dialects._reading import decode_object
from dipeo.testing.simulator.dialects._responses_items import (
    check_calls,
    check_items,
    messages_of,
    read_attachments,
    read_items,
    read_results,
)
from dipeo.testing.simulator.dialects._responses_store import ResponseStore
from dipeo.testing.simulator.exchange import Incoming, ParsedCall, refuse
from dipeo.testing.simulator.json_value import JsonObject, as_count, as_object, as_text
from dipeo.testing.simulator.request_log import SimulatedMessage
from dipeo.testing.simulator.wishes import OfferedTool, Wishes

_FIELDS = frozenset(
    {
        "background", "conversation", "context_management", "include", "input", "instructions", "max_output_tokens",
        "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
        "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools",
        "top_logprobs", "top_p", "truncation", "user", "verbosity",
    }
)  # fmt: skip
_COUNTED_FIELDS = frozenset(
    {
        "conversation", "input", "instructions", "model", "parallel_tool_calls", "personality", "previous_response_id",
        "reasoning", "text", "tool_choice", "tools", "truncation",
    }
)  # fmt: skip
_LEAST_OUTPUT_TOKENS = 16
_PROVIDER_TOOLS = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "x_search": "web_search",
    "code_interpreter": "code_execution",
}
_OTHER_TOOLS = frozenset(
    {
        "file_search", "computer", "computer_use_preview", "mcp", "image_generation", "local_shell", "shell", "custom",
        "apply_patch", "namespace", "tool_search", "programmatic_tool_calling",
    }
)  # fmt: skip


def parse_count_request(incoming: Incoming, service: str, store: ResponseStore) -> ParsedCall:
    """Read the body of a request to count the tokens of another; raises RefusalError in OpenAI's words."""
    return _parse(incoming, service, store, _COUNTED_FIELDS)


def parse_response_request(incoming: Incoming, service: str, store: ResponseStore) -> ParsedCall:
    """Read the body; raises RefusalError in OpenAI's words."""
    return _parse(incoming, service, store, _FIELDS)


def _parse(incoming: Incoming, service: str, store: ResponseStore, fields: frozenset[str]) -> ParsedCall:
    body = decode_object(incoming.body)
    if body is None:
        raise refuse(400, "We could not parse the JSON body of your request.")
    for name in body:
        if name not in fields:
            raise refuse(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    model = as_text(body.get("model"))
    if not model:
        raise refuse(400, "Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
    new_items = read_items(body.get("input"))
    check_items(new_items, service, store)
    items = [*store.history(body.get("previous_response_id")), *new_items]
    check_calls(items)
    return ParsedCall(
        incoming=incoming,
        model=model,
        is_stream=body.get("stream") is True,
        messages=(*_instructions(body), *messages_of(items)),
        body=body,
        max_output_tokens=_read_limit(body),
        wishes=_read_wishes(body, new_items, items),
    )


def shows_summary(body: JsonObject) -> bool:
    """Whether a summary of the reasoning was asked for."""
    reasoning = as_object(body.get("reasoning"))
    return bool(reasoning.get("summary") or reasoning.get("generate_summary"))


def _instructions(body: JsonObject) -> tuple[SimulatedMessage, ...]:
    text = as_text(body.get("instructions"))
    return (SimulatedMessage(role="developer", name=None, text=text),) if text else ()


def _read_limit(body: JsonObject) -> int | None:
    given = body.get("max_output_tokens")
    if given is None:
        return None
    limit = as_count(given)
    param = "max_output_tokens"
    if limit is None:
        raise refuse(400, f"Invalid type for '{param}': expected an integer.", code="invalid_type", param=param)
    if limit < _LEAST_OUTPUT_TOKENS:
        text = (
            f"Invalid '{param}': integer below minimum value. "
            f"Expected a value >= {_LEAST_OUTPUT_TOKENS}, but got {limit} instead."
        )
        raise refuse(400, text, code="integer_below_min_value", param=param)
    return limit


def _read_wishes(body: JsonObject, new_items: list[JsonObject], items: list[JsonObject]) -> Wishes:
    tools, provider_tools = _read_tools(body)
    choice = read_choice(body.get("tool_choice"), frozenset(tool.name for tool in tools), _named_function)
    schema, wants_json = _read_format(body)
    reasoning = as_object(body.get("reasoning"))
    return Wishes(
        tools=tools if choice.provider_tool is None else (),
        may_call=choice.may_call,
        must_call=choice.must_call,
        allowed=choice.allowed,
        is_parallel=body.get("parallel_tool_calls") is not False,
        results=read_results(items),
        schema=schema,
        wants_json=wants_json,
        wants_reasoning=bool(reasoning) and reasoning.get("effort") != "none",
        attachments=read_attachments(new_items),
        provider_tools=provider_tools if choice.may_call and not choice.must_call else (),
    )


def _read_tools(body: JsonObject) -> tuple[tuple[OfferedTool, ...], tuple[str, ...]]:
    tools: list[OfferedTool] = []
    provider_tools: list[str] = []
    for index, tool in enumerate(check_tools(body)):
        kind = as_text(tool.get("type"))
        if kind == "function":
            tools.append(read_function(tool, f"tools[{index}]"))
        elif kind in _PROVIDER_TOOLS:
            provider_tools.append(_PROVIDER_TOOLS[kind])
        elif kind not in _OTHER_TOOLS:
            text = f"Invalid value: '{kind}'. Supported values are: 'function', 'web_search', and 'code_interpreter'."
            raise refuse(400, text, code="invalid_value", param=f"tools[{index}].type")
    return tuple(tools), tuple(provider_tools)


def _named_function(fields: JsonObject) -> str | None:
    return as_text(fields.get("name")) or None if fields.get("type") == "function" else None


def _read_format(body: JsonObject) -> tuple[JsonObject | None, bool]:
    fields = as_object(as_object(body.get("text")).get("format"))
    kind = as_text(fields.get("type")) or "text"
    if kind not in ("text", "json_object", "json_schema"):
        text = f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'."
        raise refuse(400, text, code="invalid_value", param="text.format.type")
    if kind == "json_schema":
        return check_schema_format(fields, "text.format"), False
    return None, kind == "json_object"
