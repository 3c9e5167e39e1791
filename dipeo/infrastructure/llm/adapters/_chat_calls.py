"""Tool calls of chat completions, whole or piece by piece."""

import json

from attrs import define, field

from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import ToolCallInvalidError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.parts import ToolCallPart
from dipeo.domain.stream import ToolCallDelta
from dipeo.infrastructure.llm.drivers.answer import object_in, objects_in, text_in

_Key = int | None


@define
class _Call:
    """One call, as far as it has come."""

    call_id: str
    given_id: str
    key: _Key
    name: str = ""
    pieces: list[str] = field(factory=list)
    extra: JsonObject | None = None


class CallsBeingMade:
    """Collects calls; a call that has no id, or another's, gets one of its own: `call_0` and so on."""

    __slots__ = ("_calls", "_vendor")

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._calls: list[_Call] = []

    def add(self, message: JsonObject) -> list[ToolCallDelta]:
        """Takes the calls in a message, or the pieces of calls in a part of one, and says what they add."""
        events = [delta for item in objects_in(message.get("tool_calls")) if (delta := self._add(item)) is not None]
        old = message.get("function_call")
        if isinstance(old, dict) and (delta := self._add({"index": 0, "function": old})) is not None:
            events.append(delta)
        return events

    def parts(self, *, is_cut: bool) -> tuple[ToolCallPart, ...]:
        """The calls. Raises `ToolCallInvalidError` for one without a usable name."""
        return tuple(self._part(call, is_cut=is_cut) for call in self._calls)

    def _add(self, item: JsonObject) -> ToolCallDelta | None:
        function = object_in(item.get("function") or item.get("custom"))
        name, given_id = text_in(function.get("name")), text_in(item.get("id"))
        index = item.get("index")
        call = self._call_for(index if type(index) is int else None, given_id, name)
        piece = _arguments(function)
        had_name = bool(call.name)
        if piece:
            call.pieces.append(piece)
        if isinstance(extra := item.get("extra_content"), dict):
            call.extra = extra
        if not had_name:
            call.name = name
            piece = "".join(call.pieces)
        # A call is told of with its name; what comes before the name waits for it.
        if not call.name or (had_name and not piece):
            return None
        return ToolCallDelta(index=self._calls.index(call), call_id=call.call_id, name=call.name, arguments=piece)

    def _call_for(self, key: _Key, given_id: str, name: str) -> _Call:
        """The call that a piece belongs to. Some providers number all calls 0, and some number none."""
        for call in reversed(self._calls):
            is_other = bool(given_id and name) and given_id != call.given_id
            if key is not None and call.key == key and not is_other:
                return call
            if key is None and not is_other and (call.given_id == given_id if given_id else not name):
                return call
        taken = {call.call_id for call in self._calls}
        call_id = given_id if given_id not in taken and _is_identifier(given_id) else ""
        number = len(self._calls)
        while not call_id or call_id in taken:
            call_id = f"call_{number}"
            number += 1
        self._calls.append(_Call(call_id, given_id, key))
        return self._calls[-1]

    def _part(self, call: _Call, *, is_cut: bool) -> ToolCallPart:
        if not _is_identifier(call.name):
            raise ToolCallInvalidError("The model called a tool without a usable name.")
        text = "".join(call.pieces)
        signature = None if call.extra is None else json.dumps(call.extra, ensure_ascii=False)
        return tool_call(
            text,
            call_id=call.call_id,
            name=call.name,
            vendor=None if signature is None else self._vendor,
            signature=signature,
            is_cut=is_cut,
        )


def tool_call(
    text: str, *, call_id: str, name: str, vendor: str | None = None, signature: str | None = None, is_cut: bool = False
) -> ToolCallPart:
    """A call with its arguments parsed; the text of those that are no JSON object is kept as broken.

    No text stands for no arguments, unless the answer was cut off.
    """
    try:
        arguments = json.loads(text) if text.strip() or is_cut else {}
        if isinstance(arguments, dict):
            return ToolCallPart(call_id=call_id, name=name, arguments=arguments, vendor=vendor, signature=signature)
    except (ValueError, RecursionError, ValidationError):
        pass
    return ToolCallPart(
        call_id=call_id, name=name, arguments={}, broken_arguments=text, vendor=vendor, signature=signature
    )


def _is_identifier(text: str) -> bool:
    try:
        check_identifier("text", text)
    except ValidationError:
        return False
    return True


def _arguments(function: JsonObject) -> str:
    arguments: JsonValue = function.get("arguments", function.get("input"))
    if isinstance(arguments, dict):
        return json.dumps(arguments, ensure_ascii=False)
    return text_in(arguments)
