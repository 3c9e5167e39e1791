"""Input items of the Responses API: their shapes and what belongs together."""

from __future__ import annotations

from collections.abc import Container, Iterator

from dipeo.testing.simulator.dialects._openai_content import read_audio, read_file, read_image
from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text, join_texts
from dipeo.testing.simulator.request_log import SimulatedMessage
from dipeo.testing.simulator.signatures import unseal
from dipeo.testing.simulator.wishes import Attachment, ToolAnswer

_ROLES = ("user", "assistant", "system", "developer")
_MESSAGE_FIELDS = frozenset({"type", "role", "content", "status", "id", "phase"})
_PARTS = ("input_text", "input_image", "input_file", "input_audio", "output_text", "refusal", "summary_text")
_ASSISTANT_PARTS = ("output_text", "refusal")
_KINDS = frozenset(
    {
        "function_call", "function_call_output", "reasoning", "item_reference", "web_search_call", "file_search_call",
        "code_interpreter_call", "image_generation_call", "computer_call", "computer_call_output", "mcp_call",
        "mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "custom_tool_call",
        "custom_tool_call_output", "compaction", "local_shell_call", "local_shell_call_output", "shell_call",
        "shell_call_output", "apply_patch_call", "apply_patch_call_output",
    }
)  # fmt: skip


def read_items(given: JsonValue) -> list[JsonObject]:
    """The input as items; a text is one message."""
    if given is None:
        text = "Missing required parameter: 'input'."
        raise refuse(400, text, code="missing_required_parameter", param="input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list):
        text = "Invalid type for 'input': expected one of an array of objects or string, but got an object instead."
        raise refuse(400, text, code="invalid_type", param="input")
    return [as_object(item) for item in given]


def check_items(items: list[JsonObject], service: str, known_ids: Container[str]) -> None:
    """Raise RefusalError for an item of a wrong shape, or reasoning that was changed."""
    for index, item in enumerate(items):
        place, kind = f"input[{index}]", as_text(item.get("type")) or "message"
        if kind == "message":
            _check_message(item, place)
        elif kind not in _KINDS:
            expected = ", ".join(f"'{name}'" for name in sorted(_KINDS))
            text = f"Invalid value: '{kind}'. Supported values are: {expected}."
            raise refuse(400, text, code="invalid_value", param=place)
        elif kind in ("function_call", "function_call_output"):
            _check_call(item, place, kind)
        elif kind == "reasoning":
            _check_reasoning(items, index, service, known_ids)
        elif kind == "item_reference" and as_text(item.get("id")) not in known_ids:
            raise refuse(404, f"Item with id '{item.get('id')}' not found.", param="input")


def _check_message(item: JsonObject, place: str) -> None:
    role = as_text(item.get("role"))
    if role not in _ROLES:
        expected = "'assistant', 'system', 'developer', and 'user'"
        text = f"Invalid value: '{role}'. Supported values are: {expected}."
        raise refuse(400, text, code="invalid_value", param=place)
    for name in item:
        if name not in _MESSAGE_FIELDS:
            raise _unknown(f"{place}.{name}")
    content = item.get("content")
    if not isinstance(content, (str, list)):
        param = f"{place}.content"
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    allowed = _ASSISTANT_PARTS if role == "assistant" else _PARTS
    for number, part in enumerate(map(as_object, as_list(content))):
        kind = as_text(part.get("type"))
        if kind not in allowed:
            expected = ", ".join(f"'{name}'" for name in allowed)
            text = f"Invalid value: '{kind}'. Supported values are: {expected}."
            raise refuse(400, text, code="invalid_value", param=f"{place}.content[{number}]")


def _unknown(param: str) -> Exception:
    return refuse(400, f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)


def _check_call(item: JsonObject, place: str, kind: str) -> None:
    wanted = ("call_id", "name", "arguments") if kind == "function_call" else ("call_id", "output")
    for name in wanted:
        if item.get(name) is None:
            param = f"{place}.{name}"
            raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    if kind == "function_call" and not isinstance(item["arguments"], str):
        param = f"{place}.arguments"
        text = f"Invalid type for '{param}': expected a string, but got an object instead."
        raise refuse(400, text, code="invalid_type", param=param)


def _check_reasoning(items: list[JsonObject], index: int, service: str, known_ids: Container[str]) -> None:
    item = items[index]
    if not isinstance(item.get("summary"), list):
        param = f"input[{index}].summary"
        raise refuse(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
    sealed = as_text(item.get("encrypted_content"))
    if sealed and unseal(service, sealed) is None:
        text = (
            f"The encrypted content {sealed[:4]}...{sealed[-4:]} could not be verified. "
            "Reason: Encrypted content could not be decrypted or parsed."
        )
        raise refuse(400, text, code="invalid_encrypted_content")
    id_ = as_text(item.get("id"))
    if not sealed and id_ not in known_ids:
        text = (
            f"Item with id '{id_}' not found. Items are not persisted when `store` is set to false. "
            "Try again with `store` set to true, or remove this item from your input."
        )
        raise refuse(404, text, param="input")
    following = items[index + 1] if index + 1 < len(items) else {}
    is_followed = as_text(following.get("type")) not in ("", "message", "function_call_output") or (
        following.get("role") == "assistant"
    )
    if id_ and not is_followed:
        text = f"Item '{id_}' of type 'reasoning' was provided without its required following item."
        raise refuse(400, text, param="input")


def check_calls(items: list[JsonObject]) -> None:
    """Raise RefusalError unless each call has an output and each output a call."""
    calls = {as_text(item.get("call_id")) for item in items if item.get("type") == "function_call"}
    outputs = {as_text(item.get("call_id")) for item in items if item.get("type") == "function_call_output"}
    for item in items:
        call_id = as_text(item.get("call_id"))
        if item.get("type") == "function_call_output" and call_id not in calls:
            text = f"No tool call found for function call output with call_id {call_id}."
            raise refuse(400, text, param="input")
        if item.get("type") == "function_call" and call_id not in outputs:
            raise refuse(400, f"No tool output found for function call {call_id}.", param="input")


def messages_of(items: list[JsonObject]) -> Iterator[SimulatedMessage]:
    """The items that say something, as messages; outputs have the role tool."""
    for item in items:
        kind = as_text(item.get("type")) or "message"
        if kind == "message":
            yield SimulatedMessage(role=as_text(item.get("role")), name=None, text=join_texts(item.get("content")))
        elif kind == "function_call_output":
            yield SimulatedMessage(role="tool", name=None, text=join_texts(item.get("output")))


def read_results(items: list[JsonObject]) -> tuple[ToolAnswer, ...]:
    """The outputs after the last question."""
    names: dict[str, str] = {}
    found: list[ToolAnswer] = []
    for item in items:
        if item.get("type") == "function_call":
            names[as_text(item.get("call_id"))] = as_text(item.get("name"))
        elif item.get("type") == "function_call_output":
            name = names.get(as_text(item.get("call_id")), "")
            found.append(ToolAnswer(name=name, text=join_texts(item.get("output"))))
        elif item.get("role") == "user":
            found = []
    return tuple(found)


def read_attachments(items: list[JsonObject]) -> tuple[Attachment, ...]:
    """Check all attachments and give those of the last question, or of the outputs after it."""
    last: list[Attachment] = []
    for index, item in enumerate(items):
        is_output = item.get("type") == "function_call_output"
        field = "output" if is_output else "content"
        found = [
            attachment
            for number, part in enumerate(map(as_object, as_list(item.get(field))))
            if (attachment := _read_part(part, f"input[{index}].{field}[{number}]")) is not None
        ]
        if item.get("role") == "user":
            last = found
        elif is_output:
            last += found
    return tuple(last)


def _read_part(part: JsonObject, place: str) -> Attachment | None:
    kind = part.get("type")
    if kind == "input_image":
        if part.get("file_id"):
            return Attachment(kind="image", media_type="image")
        return read_image(as_text(part.get("image_url")), f"{place}.image_url")
    if kind == "input_file":
        return read_file(part, place)
    if kind == "input_audio":
        return read_audio(as_object(part.get("input_audio")), f"{place}.input_audio")
    return None
