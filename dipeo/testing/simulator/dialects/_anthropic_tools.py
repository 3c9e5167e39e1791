"""Tools, tool choice, thinking and answer formats of a Messages request."""

from __future__ import annotations

import re

import attrs

from dipeo.testing.simulator.dialects._anthropic_schema import find_schema_problem
from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, as_count, as_list, as_object, as_text
from dipeo.testing.simulator.wishes import OfferedTool, Wishes

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SERVER_TOOL = re.compile(r"(web_search|web_fetch|code_execution)_\d{8}")
_CLIENT_TOOL = re.compile(r"(bash|text_editor|computer|memory|tool_search_tool_\w+|mcp_toolset|advisor)(_\d{8})?")
_CHOICES = ("auto", "any", "tool", "none")
_THINKING = ("enabled", "disabled", "adaptive", "between_tools")
_MIN_BUDGET_TOKENS = 1024


def read_tool_wishes(body: JsonObject) -> Wishes:
    """What the request asks for, but for its messages; raises RefusalError in Anthropic's words."""
    tools, provider_tools = _read_tools(body)
    wishes = Wishes(
        tools=tools,
        provider_tools=provider_tools,
        schema=_read_format(body),
        wants_reasoning=_read_thinking(body),
    )
    return _with_choice(body, wishes)


def _read_tools(body: JsonObject) -> tuple[tuple[OfferedTool, ...], tuple[str, ...]]:
    tools: list[OfferedTool] = []
    provider_tools: list[str] = []
    names: set[str] = set()
    for index, tool in enumerate(map(as_object, as_list(body.get("tools")))):
        kind = as_text(tool.get("type")) or "custom"
        server_tool = _SERVER_TOOL.fullmatch(kind)
        if server_tool is not None:
            provider_tools.append(server_tool.group(1))
        elif kind == "custom":
            tools.append(_read_custom(tool, f"tools.{index}.custom"))
        elif _CLIENT_TOOL.fullmatch(kind) is None:
            raise refuse(
                400,
                f"tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
                "'bash_20250124', 'custom', 'text_editor_20250728', 'web_search_20250305'",
            )
        name = as_text(tool.get("name"))
        if name in names:
            raise refuse(400, "tools: Tool names must be unique.")
        names.add(name)
    return tuple(tools), tuple(provider_tools)


def _read_custom(tool: JsonObject, place: str) -> OfferedTool:
    name = tool.get("name")
    if not isinstance(name, str):
        raise refuse(400, f"{place}.name: Field required")
    if _NAME.fullmatch(name) is None:
        raise refuse(400, f"{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    schema = tool.get("input_schema")
    if schema is None:
        raise refuse(400, f"{place}.input_schema: Field required")
    fields = as_object(schema)
    if fields.get("type") != "object":
        complaint = "Field required" if fields.get("type") is None else "Input should be 'object'"
        raise refuse(400, f"{place}.input_schema.type: {complaint}")
    for keyword in ("oneOf", "allOf", "anyOf"):
        if keyword in fields:
            raise refuse(
                400, f"{place}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
            )
    complaint_about = find_schema_problem(fields) if tool.get("strict") is True else None
    if complaint_about is not None:
        raise refuse(400, f"{place}.input_schema: {complaint_about}")
    return OfferedTool(name=name, description=as_text(tool.get("description")), parameters=fields)


def _with_choice(body: JsonObject, wishes: Wishes) -> Wishes:
    if body.get("tool_choice") is None:
        return wishes
    choice = as_object(body["tool_choice"])
    kind = as_text(choice.get("type"))
    if kind not in _CHOICES:
        raise refuse(
            400,
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'auto', 'any', 'tool', 'none'",
        )
    if not body.get("tools"):
        raise refuse(400, "tool_choice: tool_choice may only be specified while providing tools")
    if kind in ("any", "tool") and wishes.wants_reasoning:
        raise refuse(400, "Thinking may not be enabled when tool_choice forces tool use.")
    allowed = None
    if kind == "tool":
        name = as_text(choice.get("name"))
        if not name:
            raise refuse(400, "tool_choice.tool.name: Field required")
        if name not in {as_text(as_object(tool).get("name")) for tool in as_list(body.get("tools"))}:
            raise refuse(400, f"Tool '{name}' not found in provided tools")
        allowed = (name,)
    return attrs.evolve(
        wishes,
        may_call=kind != "none",
        must_call=kind in ("any", "tool"),
        allowed=allowed,
        is_parallel=choice.get("disable_parallel_tool_use") is not True,
        provider_tools=() if kind in ("none", "tool") else wishes.provider_tools,
    )


def _read_thinking(body: JsonObject) -> bool:
    thinking = body.get("thinking")
    if thinking is None:
        return False
    fields = as_object(thinking)
    kind = as_text(fields.get("type"))
    if kind not in _THINKING:
        raise refuse(
            400,
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'adaptive', 'disabled', 'enabled'",
        )
    if kind == "enabled":
        _check_budget(body, as_count(fields.get("budget_tokens")))
    if kind != "disabled" and body.get("temperature") not in (None, 1):
        raise refuse(400, "`temperature` may only be set to 1 when thinking is enabled.")
    if kind != "disabled" and body.get("top_k") is not None:
        raise refuse(400, "`top_k` must be unset when thinking is enabled.")
    return kind != "disabled"


def _check_budget(body: JsonObject, budget_tokens: int | None) -> None:
    if budget_tokens is None:
        raise refuse(400, "thinking.enabled.budget_tokens: Field required")
    if budget_tokens < _MIN_BUDGET_TOKENS:
        text = f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_MIN_BUDGET_TOKENS}"
        raise refuse(400, text)
    limit = as_count(body.get("max_tokens"))
    if limit is not None and limit <= budget_tokens:
        raise refuse(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")


def _read_format(body: JsonObject) -> JsonObject | None:
    place, given = "output_config.format", as_object(body.get("output_config")).get("format")
    if given is None and body.get("output_format") is not None:
        place, given = "output_format", body["output_format"]
    if given is None:
        return None
    fields = as_object(given)
    if fields.get("type") != "json_schema":
        raise refuse(400, f"{place}.type: Input should be 'json_schema'")
    schema = fields.get("schema")
    if not isinstance(schema, dict):
        raise refuse(400, f"{place}.schema: Field required")
    complaint = find_schema_problem(schema)
    if complaint is not None:
        raise refuse(400, f"{place}.schema: {complaint}")
    return schema
