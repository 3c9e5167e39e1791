"""What a chat completions request asks for besides a text."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._openai_content import read_parts
from dipeo.testing.simulator.dialects._openai_tools import check_schema_format, check_tools, read_choice, read_function
from dipeo.testing.simulator.dialects._openai_turns import check_turns, read_results
from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text, join_texts
from dipeo.testing.simulator.wishes import Attachment, OfferedTool, Wishes

_FORMATS = ("text", "json_object", "json_schema")


def read_wishes(body: JsonObject, *, is_openai: bool) -> Wishes:
    """Check tools, formats, parts and turns; raises RefusalError in OpenAI's words."""
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    attachments = _read_attachments(messages, is_openai=is_openai)
    check_turns(messages)
    tools, provider_tools = _read_tools(body)
    if is_openai and body.get("tools") == []:
        text = "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
        raise refuse(400, text, code="empty_array", param="tools")
    choice = read_choice(body.get("tool_choice"), frozenset(tool.name for tool in tools), _named_function)
    schema, wants_json = _read_format(body, messages, is_openai=is_openai)
    return Wishes(
        tools=tools,
        may_call=choice.may_call,
        must_call=choice.must_call,
        allowed=choice.allowed,
        is_parallel=_read_parallel(body, tools),
        results=read_results(messages),
        schema=schema,
        wants_json=wants_json,
        wants_reasoning=_wants_reasoning(body),
        attachments=attachments,
        provider_tools=provider_tools,
    )


def _read_attachments(messages: list[JsonObject], *, is_openai: bool) -> tuple[Attachment, ...]:
    last: tuple[Attachment, ...] = ()
    for index, message in enumerate(messages):
        attachments = read_parts(message, f"messages[{index}]", is_openai=is_openai)
        if message.get("role") == "user":
            last = attachments
    return last


def _read_tools(body: JsonObject) -> tuple[tuple[OfferedTool, ...], tuple[str, ...]]:
    tools: list[OfferedTool] = []
    provider_tools = ["web_search"] if isinstance(body.get("web_search_options"), dict) else []
    provider_tools += ["web_search" for plugin in as_list(body.get("plugins")) if as_object(plugin).get("id") == "web"]
    for index, tool in enumerate(check_tools(body)):
        kind = as_text(tool.get("type"))
        if kind == "function":
            tools.append(read_function(as_object(tool.get("function")), f"tools[{index}].function"))
        elif ":" in kind or "search" in kind:
            provider_tools.append(kind.rpartition(":")[2])
        elif kind != "custom":
            text = f"Invalid value: '{kind}'. Supported values are: 'function' and 'custom'."
            raise refuse(400, text, code="invalid_value", param=f"tools[{index}].type")
    return tuple(tools), tuple(provider_tools)


def _named_function(fields: JsonObject) -> str | None:
    return as_text(as_object(fields.get("function")).get("name")) or None


def _read_parallel(body: JsonObject, tools: tuple[OfferedTool, ...]) -> bool:
    if body.get("parallel_tool_calls") is not None and not tools:
        text = (
            "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified."
        )
        raise refuse(400, text, param="parallel_tool_calls")
    return body.get("parallel_tool_calls") is not False


def _read_format(body: JsonObject, messages: list[JsonObject], *, is_openai: bool) -> tuple[JsonObject | None, bool]:
    given: JsonValue = body.get("response_format")
    if given is None:
        return None, False
    fields = as_object(given)
    kind = as_text(fields.get("type"))
    if kind not in _FORMATS:
        text = f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'."
        raise refuse(400, text, code="invalid_value", param="response_format.type")
    if kind == "json_schema":
        return check_schema_format(as_object(fields.get("json_schema")), "response_format.json_schema"), False
    is_asked_for = any("json" in join_texts(message.get("content")).lower() for message in messages)
    if kind == "json_object" and is_openai and not is_asked_for:
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        raise refuse(400, text, param="messages")
    return None, kind == "json_object"


def _wants_reasoning(body: JsonObject) -> bool:
    asked = as_object(body.get("reasoning"))
    if asked:
        return asked.get("enabled") is not False and asked.get("effort") != "none"
    thinking = as_object(body.get("thinking")).get("type")
    if thinking is not None:
        return thinking == "enabled"
    effort = body.get("reasoning_effort")
    if effort is not None:
        return effort != "none"
    return "reasoner" in as_text(body.get("model")) or body.get("reasoning_format") == "parsed"
