"""The blocks of an answer in Anthropic's words, whole and as events."""

from __future__ import annotations

from collections.abc import Iterator

from dipeo.testing.simulator.dialects._anthropic_blocks import SERVICE
from dipeo.testing.simulator.dialects._frames import FrameWriter
from dipeo.testing.simulator.dialects._text_segments import Segment, segments_of
from dipeo.testing.simulator.exchange import Answer, ParsedCall
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_object, encode_json
from dipeo.testing.simulator.reply_parts import SimulatedCitation, SimulatedProviderTool
from dipeo.testing.simulator.signatures import seal

_RETRIEVED_AT = "2026-11-18T09:00:00.000000"


def render_blocks(call: ParsedCall, answer: Answer) -> list[JsonValue]:
    """The content of a message."""
    blocks: list[JsonValue] = []
    if answer.reasoning:
        shown = "" if _is_thinking_hidden(call) else answer.reasoning
        blocks.append({"type": "thinking", "thinking": shown, "signature": seal(SERVICE, answer.reasoning)})
    for used, result in _provider_blocks(call, answer):
        blocks += [used, result]
    for segment in segments_of(answer):
        cited: JsonObject = {"citations": _locations(segment)} if segment.citations else {}
        blocks.append({"type": "text", "text": segment.text, **cited})
    for index, one in enumerate(answer.tool_calls):
        blocks.append({**_tool_use(call, answer, index), "input": one.arguments or {}})
    return blocks


def write_blocks(writer: FrameWriter, call: ParsedCall, answer: Answer) -> None:
    """The same content as events."""
    events = _EventWriter(writer)
    if answer.reasoning:
        events.start({"type": "thinking", "thinking": "", "signature": ""})
        if not _is_thinking_hidden(call):
            for piece in answer.reasoning_pieces:
                events.delta({"type": "thinking_delta", "thinking": piece})
        events.end_delta({"type": "signature_delta", "signature": seal(SERVICE, answer.reasoning)})
    for used, result in _provider_blocks(call, answer):
        events.start({**used, "input": {}})
        events.delta({"type": "input_json_delta", "partial_json": encode_json(used["input"]).decode()})
        events.stop()
        events.start(result)
        events.stop()
    for segment in segments_of(answer):
        cited: JsonObject = {"citations": []} if segment.citations else {}
        events.start({**cited, "type": "text", "text": ""})
        for location in _locations(segment):
            events.end_delta({"type": "citations_delta", "citation": location}, is_last=False)
        for piece in segment.pieces:
            events.delta({"type": "text_delta", "text": piece})
        events.stop()
    for index, one in enumerate(answer.tool_calls):
        events.start({**_tool_use(call, answer, index), "input": {}})
        events.end_delta({"type": "input_json_delta", "partial_json": ""}, is_last=False)
        for piece in one.pieces:
            events.delta({"type": "input_json_delta", "partial_json": piece})
        events.stop()


def server_tool_usage(answer: Answer) -> JsonObject:
    """How often the provider's own tools were asked, where they were."""
    searches = sum(run.kind == "web_search" for run in answer.provider_tools)
    fetches = sum(run.kind == "web_fetch" for run in answer.provider_tools)
    if not searches and not fetches:
        return {}
    return {"server_tool_use": {"web_search_requests": searches, "web_fetch_requests": fetches}}


def event(value: JsonObject) -> bytes:
    """One event under its own name."""
    return f"event: {value['type']}\ndata: ".encode() + encode_json(value) + b"\n\n"


class _EventWriter:
    """Numbers the blocks."""

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer
        self._index = -1

    def start(self, block: JsonObject) -> None:
        self._index += 1
        self._writer.frame(event({"type": "content_block_start", "index": self._index, "content_block": block}))
        if self._index == 0:
            self._writer.frame(b'event: ping\ndata: {"type": "ping"}\n\n')

    def delta(self, delta: JsonObject) -> None:
        self._writer.piece(self._delta(delta))

    def end_delta(self, delta: JsonObject, *, is_last: bool = True) -> None:
        """A delta that is no piece of the answer; usually the last of its block."""
        self._writer.frame(self._delta(delta))
        if is_last:
            self.stop()

    def stop(self) -> None:
        self._writer.frame(event({"type": "content_block_stop", "index": self._index}))

    def _delta(self, delta: JsonObject) -> bytes:
        return event({"type": "content_block_delta", "index": self._index, "delta": delta})


def _is_thinking_hidden(call: ParsedCall) -> bool:
    return as_object(call.body.get("thinking")).get("display") == "omitted"


def _tool_use(call: ParsedCall, answer: Answer, index: int) -> JsonObject:
    one = answer.tool_calls[index]
    id_ = one.id or f"toolu_01{call.incoming.token(f'call {index}', 22)}"
    return {"type": "tool_use", "id": id_, "name": one.name, "input": {}, "caller": {"type": "direct"}}


def _provider_blocks(call: ParsedCall, answer: Answer) -> Iterator[tuple[JsonObject, JsonObject]]:
    for index, run in enumerate(answer.provider_tools):
        id_ = f"srvtoolu_01{call.incoming.token(f'provider tool {index}', 22)}"
        name, given, content = _run_words(run)
        used: JsonObject = {"type": "server_tool_use", "id": id_, "name": name, "input": given}
        yield used, {"type": f"{name}_tool_result", "tool_use_id": id_, "content": content}


def _run_words(run: SimulatedProviderTool) -> tuple[str, JsonObject, JsonValue]:
    if run.kind == "web_search":
        return run.kind, {"query": run.query}, [_search_result(page) for page in run.pages]
    if run.kind == "web_fetch":
        url = run.pages[0].url if run.pages else run.query
        source: JsonObject = {"type": "text", "media_type": "text/plain", "data": run.output or _page_text(run)}
        document: JsonObject = {"type": "document", "source": source}
        content: JsonObject = {
            "type": "web_fetch_result",
            "url": url,
            "retrieved_at": _RETRIEVED_AT,
            "content": document,
        }
        return run.kind, {"url": url}, content
    output: JsonObject = {"stdout": run.output, "stderr": "", "return_code": 0, "content": []}
    return "bash_code_execution", {"command": run.query}, {"type": "bash_code_execution_result", **output}


def _page_text(run: SimulatedProviderTool) -> str:
    return run.pages[0].cited_text if run.pages else ""


def _search_result(page: SimulatedCitation) -> JsonObject:
    sealed = seal(SERVICE, f"{page.url}\n{page.cited_text}")
    return {
        "type": "web_search_result",
        "title": page.title,
        "url": page.url,
        "encrypted_content": sealed,
        "page_age": None,
    }


def _locations(segment: Segment) -> list[JsonValue]:
    return [
        {
            "type": "web_search_result_location",
            "cited_text": citation.cited_text,
            "url": citation.url,
            "title": citation.title,
            "encrypted_index": seal(SERVICE, citation.url),
        }
        for citation in segment.citations
    ]
