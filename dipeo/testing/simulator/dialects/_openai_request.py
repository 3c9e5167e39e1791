"""Reading and checking a chat completions request."""

from __future__ import annotations

import re

from dipeo.testing.simulator.dialects._openai_wishes import read_wishes
from dipeo.testing.simulator.dialects._reading import decode_object
from dipeo.testing.simulator.exchange import Incoming, ParsedCall, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_count, as_object, as_text, as_texts, join_texts
from dipeo.testing.simulator.request_log import SimulatedMessage

_ROLES = frozenset({"system", "assistant", "user", "tool", "developer"})
_NAME_PATTERN = r"^[^\s<|\\/>]+$"
_NAME = re.compile(r"[^\s<|\\/>]+")
_NAME_MAX_LENGTH = 64
_BROKEN_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
)


def parse_chat_request(incoming: Incoming, *, is_openai: bool = True) -> ParsedCall:
    """Read the body; raises RefusalError in OpenAI's words."""
    body = decode_object(incoming.body)
    if body is None:
        raise refuse(400, _BROKEN_JSON)
    model = as_text(body.get("model"))
    if not model:
        raise refuse(400, "you must provide a model parameter")
    messages = _parse_messages(body)
    is_stream = body.get("stream") is True
    if not is_stream and body.get("stream_options") is not None:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise refuse(400, message, param="stream_options")
    return ParsedCall(
        incoming=incoming,
        model=model,
        is_stream=is_stream,
        messages=messages,
        body=body,
        max_output_tokens=_parse_limit(body),
        stop_sequences=as_texts(body.get("stop")),
        wishes=read_wishes(body, is_openai=is_openai),
    )


def _parse_messages(body: JsonObject) -> tuple[SimulatedMessage, ...]:
    messages = body.get("messages")
    if messages is None:
        message = "Missing required parameter: 'messages'."
        raise refuse(400, message, code="missing_required_parameter", param="messages")
    if not isinstance(messages, list):
        message = "Invalid type for 'messages': expected an array of objects."
        raise refuse(400, message, code="invalid_type", param="messages")
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise refuse(400, message, code="empty_array", param="messages")
    return tuple(_parse_message(as_object(message), index) for index, message in enumerate(messages))


def _parse_message(message: JsonObject, index: int) -> SimulatedMessage:
    role = as_text(message.get("role"))
    if role not in _ROLES:
        expected = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
        text = f"Invalid value: '{role}'. Supported values are: {expected}."
        raise refuse(400, text, code="invalid_value", param=f"messages[{index}].role")
    content = message.get("content")
    if not isinstance(content, (str, list)) and not (role == "assistant" and content is None):
        text = f"Invalid value for 'content': expected a string, got {_type_word(content)}."
        raise refuse(400, text, param=f"messages.[{index}].content")
    return SimulatedMessage(role=role, name=_parse_name(message, index), text=join_texts(content))


def _parse_name(message: JsonObject, index: int) -> str | None:
    name = message.get("name")
    if name is None:
        return None
    param = f"messages[{index}].name"
    if not isinstance(name, str):
        text = f"Invalid type for '{param}': expected a string, but got {_type_word(name)} instead."
        raise refuse(400, text, code="invalid_type", param=param)
    if len(name) > _NAME_MAX_LENGTH:
        text = (
            f"Invalid '{param}': string too long. Expected a string with maximum length {_NAME_MAX_LENGTH}, "
            f"but got a string with length {len(name)} instead."
        )
        raise refuse(400, text, code="string_above_max_length", param=param)
    if _NAME.fullmatch(name) is None:
        text = (
            f"Invalid '{param}': string does not match pattern. "
            f"Expected a string that matches the pattern '{_NAME_PATTERN}'."
        )
        raise refuse(400, text, code="invalid_value", param=param)
    return name


def _parse_limit(body: JsonObject) -> int | None:
    present = [key for key in ("max_completion_tokens", "max_tokens") if body.get(key) is not None]
    if len(present) == 2:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise refuse(400, text, code="invalid_parameter_combination", param="max_tokens")
    if not present:
        return None
    limit = as_count(body[present[0]])
    if limit is None:
        text = f"Invalid type for '{present[0]}': expected an integer, but got {_type_word(body[present[0]])} instead."
        raise refuse(400, text, code="invalid_type", param=present[0])
    if limit < 1:
        text = f"Invalid '{present[0]}': integer below minimum value. Expected a value >= 1, but got {limit} instead."
        raise refuse(400, text, code="integer_below_min_value", param=present[0])
    return limit


def _type_word(value: JsonValue) -> str:
    words = {bool: "a boolean", int: "an integer", float: "a decimal number", str: "a string", list: "an array"}
    return "null" if value is None else words.get(type(value), "an object")
