"""Which tool results answer which calls in chat completions."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, as_list, as_object, as_text, join_texts
from dipeo.testing.simulator.wishes import ToolAnswer


def check_turns(messages: list[JsonObject]) -> None:
    """Raise RefusalError unless each call is answered right after it, and nothing else is."""
    open_calls: dict[str, None] = {}
    known_calls: set[str] = set()
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            _check_result(message, index, known_calls)
            open_calls.pop(as_text(message.get("tool_call_id")), None)
            continue
        _check_all_answered(open_calls, index)
        calls = _check_calls(message, index)
        open_calls = dict.fromkeys(calls)
        known_calls = set(calls)
    _check_all_answered(open_calls, len(messages))


def read_results(messages: list[JsonObject]) -> tuple[ToolAnswer, ...]:
    """The tool results after the last question, with the names of their tools."""
    names: dict[str, str] = {}
    found: list[ToolAnswer] = []
    for message in messages:
        for call in map(as_object, as_list(message.get("tool_calls"))):
            names[as_text(call.get("id"))] = as_text(as_object(call.get("function")).get("name"))
        if message.get("role") == "user":
            found = []
        elif message.get("role") == "tool":
            name = names.get(as_text(message.get("tool_call_id")), "")
            found.append(ToolAnswer(name=name, text=join_texts(message.get("content"))))
    return tuple(found)


def _check_calls(message: JsonObject, index: int) -> list[str]:
    calls = message.get("tool_calls")
    if calls is None:
        return []
    place = f"messages[{index}].tool_calls"
    if calls == []:
        text = (
            f"Invalid '{place}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise refuse(400, text, code="empty_array", param=place)
    ids = []
    for number, call in enumerate(map(as_object, as_list(calls))):
        function = as_object(call.get("function")) or as_object(call.get("custom"))
        for name, value in (("id", call.get("id")), ("function.name", function.get("name"))):
            if not isinstance(value, str) or not value:
                param = f"{place}[{number}].{name}"
                text = f"Missing required parameter: '{param}'."
                raise refuse(400, text, code="missing_required_parameter", param=param)
        if "custom" not in call and not isinstance(function.get("arguments"), str):
            param = f"{place}[{number}].function.arguments"
            text = f"Invalid type for '{param}': expected a string, but got an object instead."
            raise refuse(400, text, code="invalid_type", param=param)
        ids.append(as_text(call.get("id")))
    return ids


def _check_result(message: JsonObject, index: int, known_calls: set[str]) -> None:
    if not known_calls:
        text = (
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
        )
        raise refuse(400, text, param=f"messages.[{index}].role")
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        param = f"messages[{index}].tool_call_id"
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    if call_id not in known_calls:
        text = f"Invalid parameter: 'tool_call_id' of '{call_id}' not found in 'tool_calls' of previous message."
        raise refuse(400, text, param=f"messages.[{index}].tool_call_id")


def _check_all_answered(open_calls: dict[str, None], index: int) -> None:
    if open_calls:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}"
        )
        raise refuse(400, text, param=f"messages.[{index}].role")
