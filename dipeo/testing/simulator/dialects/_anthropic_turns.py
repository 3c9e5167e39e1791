"""Which tool results answer which calls in a Messages request."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, as_list, as_object, as_text, join_texts
from dipeo.testing.simulator.wishes import ToolAnswer


def check_turns(messages: list[JsonObject]) -> None:
    """Raise RefusalError unless every call is answered in the next message, and nothing else is."""
    seen: set[str] = set()
    for index, message in enumerate(messages):
        before = _blocks(messages[index - 1], "tool_use") if index else []
        _check_results(message, index, {as_text(call.get("id")) for call in before})
        if message.get("role") != "assistant":
            continue
        _check_server_tools(message, index)
        calls = [as_text(call.get("id")) for call in _blocks(message, "tool_use")]
        if len(calls) != len(set(calls)) or seen & set(calls):
            raise refuse(400, "messages: `tool_use` ids must be unique")
        seen |= set(calls)
        if calls:
            _check_answered(messages, index, calls)


def check_thinking_first(messages: list[JsonObject]) -> None:
    """Raise RefusalError where a thinking model goes on after a call without the thinking before it."""
    if len(messages) < 2 or not _blocks(messages[-1], "tool_result"):
        return
    index = len(messages) - 2
    blocks = [as_object(block) for block in as_list(messages[index].get("content"))]
    kind = blocks[0].get("type") if blocks else None
    if kind not in ("thinking", "redacted_thinking"):
        text = (
            f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
            "lastmost set of `tool_use` and `tool_result` blocks). To avoid this requirement, disable `thinking`."
        )
        raise refuse(400, text)


def read_results(messages: list[JsonObject]) -> tuple[ToolAnswer, ...]:
    """The tool results in the last message, with the names of their tools."""
    if len(messages) < 2:
        return ()
    names = {as_text(call.get("id")): as_text(call.get("name")) for call in _blocks(messages[-2], "tool_use")}
    return tuple(
        ToolAnswer(
            name=names.get(as_text(block.get("tool_use_id")), ""),
            text=join_texts(block.get("content")),
            is_error=block.get("is_error") is True,
        )
        for block in _blocks(messages[-1], "tool_result")
    )


def _blocks(message: JsonObject, kind: str) -> list[JsonObject]:
    return [block for block in map(as_object, as_list(message.get("content"))) if block.get("type") == kind]


def _check_results(message: JsonObject, index: int, calls: set[str]) -> None:
    for number, block in enumerate(map(as_object, as_list(message.get("content")))):
        if block.get("type") == "tool_result" and block.get("tool_use_id") not in calls:
            text = (
                f"messages.{index}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{block.get('tool_use_id')}. Each `tool_result` block must have a corresponding `tool_use` block in "
                "the previous message."
            )
            raise refuse(400, text)


def _check_answered(messages: list[JsonObject], index: int, calls: list[str]) -> None:
    after = (
        [as_object(block) for block in as_list(messages[index + 1].get("content"))] if index + 1 < len(messages) else []
    )
    answered = set()
    for block in after:
        # Results count only where they come first.
        if block.get("type") != "tool_result":
            break
        answered.add(block.get("tool_use_id"))
    missing = [call for call in calls if call not in answered]
    if missing:
        text = (
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block "
            "in the next message."
        )
        raise refuse(400, text)


def _check_server_tools(message: JsonObject, index: int) -> None:
    blocks = [as_object(block) for block in as_list(message.get("content"))]
    answered = {block.get("tool_use_id") for block in blocks}
    for block in blocks:
        if block.get("type") == "server_tool_use" and block.get("id") not in answered:
            name = block.get("name")
            text = (
                f"messages.{index}: `{name}` tool use with id `{block.get('id')}` was found without a corresponding "
                f"`{name}_tool_result` block"
            )
            raise refuse(400, text)
