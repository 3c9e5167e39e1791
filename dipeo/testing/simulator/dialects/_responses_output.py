"""Output items of the Responses API, and the events that build them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from dipeo.testing.simulator.dialects._frames import FrameWriter
from dipeo.testing.simulator.dialects._responses_request import shows_summary
from dipeo.testing.simulator.exchange import Answer, ParsedCall
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, encode_json
from dipeo.testing.simulator.reply_parts import SimulatedProviderTool
from dipeo.testing.simulator.signatures import seal

_ENCRYPTED = "reasoning.encrypted_content"
_CODE_OUTPUTS = "code_interpreter_call.outputs"
_SOURCES = "web_search_call.action.sources"


@attrs.frozen(slots=True)
class OutputItem:
    """An item as it ends, and how its events are written between added and done."""

    value: JsonObject
    started: JsonObject
    write: Callable[[ItemEvents], None]


def output_items(call: ParsedCall, answer: Answer, service: str) -> Iterator[OutputItem]:
    """The items of an answer in their order."""
    if answer.reasoning:
        yield _reasoning_item(call, answer, service)
    for index, run in enumerate(answer.provider_tools):
        yield _tool_item(call, run, index)
    if answer.text or answer.refusal or not answer.tool_calls:
        yield _message_item(call, answer)
    for index in range(len(answer.tool_calls)):
        yield _call_item(call, answer, index)


class ResponseEvents:
    """Numbers the events of one stream."""

    def __init__(self) -> None:
        self._writer = FrameWriter()
        self._number = 0

    @property
    def writer(self) -> FrameWriter:
        """Where the events go."""
        return self._writer

    def send(self, kind: str, fields: JsonObject, *, is_piece: bool = False) -> None:
        """One event."""
        frame = event({"type": kind, **fields, "sequence_number": self._number})
        self._number += 1
        (self._writer.piece if is_piece else self._writer.frame)(frame)


@attrs.frozen(slots=True)
class ItemEvents:
    """Sends the events of one item."""

    events: ResponseEvents
    item_id: str
    output_index: int

    def send(self, kind: str, fields: JsonObject | None = None, *, is_piece: bool = False) -> None:
        """One event about the item."""
        place: JsonObject = {"item_id": self.item_id, "output_index": self.output_index}
        self.events.send(kind, {**place, **(fields or {})}, is_piece=is_piece)


def write_item(events: ResponseEvents, item: OutputItem, index: int) -> None:
    """Everything that is said about one item."""
    events.send("response.output_item.added", {"output_index": index, "item": item.started})
    item.write(ItemEvents(events, str(item.value["id"]), index))
    events.send("response.output_item.done", {"output_index": index, "item": item.value})


def event(value: JsonObject) -> bytes:
    """One event under its own name."""
    return f"event: {value['type']}\ndata: ".encode() + encode_json(value) + b"\n\n"


def _item_id(call: ParsedCall, prefix: str, index: int = 0) -> str:
    return f"{prefix}_{call.incoming.hex_token(f'{prefix} {index}', 50)}"


def _includes(call: ParsedCall, name: str) -> bool:
    return name in as_list(call.body.get("include"))


def _reasoning_item(call: ParsedCall, answer: Answer, service: str) -> OutputItem:
    is_shown = shows_summary(call.body)
    summary: list[JsonValue] = [{"type": "summary_text", "text": answer.reasoning}] if is_shown else []
    sealed: JsonObject = {"encrypted_content": seal(service, answer.reasoning)} if _includes(call, _ENCRYPTED) else {}
    value: JsonObject = {"id": _item_id(call, "rs"), "type": "reasoning", **sealed, "summary": summary}

    def write(events: ItemEvents) -> None:
        if not is_shown:
            return
        place: JsonObject = {"summary_index": 0}
        empty: JsonObject = {"type": "summary_text", "text": ""}
        events.send("response.reasoning_summary_part.added", {**place, "part": empty})
        for piece in answer.reasoning_pieces:
            events.send("response.reasoning_summary_text.delta", {**place, "delta": piece}, is_piece=True)
        events.send("response.reasoning_summary_text.done", {**place, "text": answer.reasoning})
        events.send("response.reasoning_summary_part.done", {**place, "part": summary[0]})

    return OutputItem(value, {**value, "summary": []}, write)


def _tool_item(call: ParsedCall, run: SimulatedProviderTool, index: int) -> OutputItem:
    if run.kind == "code_execution":
        logs: list[JsonValue] = [{"type": "logs", "logs": run.output}]
        value: JsonObject = {
            "id": _item_id(call, "ci", index),
            "type": "code_interpreter_call",
            "status": "completed",
            "code": run.query,
            "container_id": _item_id(call, "cntr", index),
            "outputs": logs if _includes(call, _CODE_OUTPUTS) else None,
        }
        started: JsonObject = {**value, "status": "in_progress", "code": "", "outputs": None}
        return OutputItem(value, started, lambda events: _write_code(events, run.query))
    action: JsonObject = {"type": "search", "query": run.query, "queries": [run.query]}
    if _includes(call, _SOURCES):
        action["sources"] = [{"type": "url", "url": page.url} for page in run.pages]
    if run.kind == "web_fetch":
        action = {"type": "open_page", "url": run.pages[0].url if run.pages else run.query}
    id_ = _item_id(call, "ws", index)
    found: JsonObject = {"id": id_, "type": "web_search_call", "status": "completed", "action": action}
    begun: JsonObject = {"id": id_, "type": "web_search_call", "status": "in_progress"}
    return OutputItem(found, begun, _write_search)


def _write_code(events: ItemEvents, code: str) -> None:
    events.send("response.code_interpreter_call.in_progress")
    events.send("response.code_interpreter_call_code.delta", {"delta": code})
    events.send("response.code_interpreter_call_code.done", {"code": code})
    events.send("response.code_interpreter_call.interpreting")
    events.send("response.code_interpreter_call.completed")


def _write_search(events: ItemEvents) -> None:
    for step in ("in_progress", "searching", "completed"):
        events.send(f"response.web_search_call.{step}")


def _message_item(call: ParsedCall, answer: Answer) -> OutputItem:
    status = "incomplete" if answer.finish in ("length", "content_filter") else "completed"
    id_ = _item_id(call, "msg")
    annotations: list[JsonValue] = [
        {
            "type": "url_citation",
            "end_index": citation.end,
            "start_index": citation.start,
            "title": citation.title,
            "url": citation.url,
        }
        for citation in answer.citations
    ]
    part: JsonObject = {"type": "output_text", "annotations": annotations, "logprobs": [], "text": answer.text}
    if answer.refusal:
        part = {"type": "refusal", "refusal": answer.refusal}
    value: JsonObject = {"id": id_, "type": "message", "status": status, "content": [part], "role": "assistant"}
    started: JsonObject = {**value, "status": "in_progress", "content": []}

    def write(events: ItemEvents) -> None:
        place: JsonObject = {"content_index": 0}
        empty = {**part, "refusal": ""} if answer.refusal else {**part, "text": "", "annotations": []}
        events.send("response.content_part.added", {**place, "part": empty})
        if answer.refusal:
            events.send("response.refusal.delta", {**place, "delta": answer.refusal}, is_piece=True)
            events.send("response.refusal.done", {**place, "refusal": answer.refusal})
        else:
            for piece in answer.pieces:
                fields: JsonObject = {**place, "delta": piece, "logprobs": []}
                events.send("response.output_text.delta", fields, is_piece=True)
            for index, annotation in enumerate(annotations):
                fields = {**place, "annotation_index": index, "annotation": annotation}
                events.send("response.output_text.annotation.added", fields)
            events.send("response.output_text.done", {**place, "text": answer.text, "logprobs": []})
        events.send("response.content_part.done", {**place, "part": part})

    return OutputItem(value, started, write)


def _call_item(call: ParsedCall, answer: Answer, index: int) -> OutputItem:
    one = answer.tool_calls[index]
    is_cut = answer.finish == "length" and one.arguments is None
    value: JsonObject = {
        "id": _item_id(call, "fc", index),
        "type": "function_call",
        "status": "incomplete" if is_cut else "completed",
        "arguments": one.text,
        "call_id": one.id or f"call_{call.incoming.token(f'call {index}', 24)}",
        "name": one.name,
    }

    def write(events: ItemEvents) -> None:
        for piece in one.pieces:
            events.send("response.function_call_arguments.delta", {"delta": piece}, is_piece=True)
        events.send("response.function_call_arguments.done", {"arguments": one.text, "name": one.name})

    return OutputItem(value, {**value, "status": "in_progress", "arguments": ""}, write)
