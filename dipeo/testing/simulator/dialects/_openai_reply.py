"""Tool calls, reasoning and citations in the words of chat completions."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import Answer, AnsweredCall, Incoming
from dipeo.testing.simulator.json_value import JsonObject, JsonValue


def call_id(incoming: Incoming, call: AnsweredCall, index: int, length: int = 24) -> str:
    """The call's own id, or one that is made up."""
    return call.id or f"call_{incoming.token(f'call {index}', length)}"


def whole_call(name: str, arguments: str, id_: str, index: int) -> JsonObject:
    """A call with all of its arguments."""
    return {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def arguments_delta(index: int, piece: str) -> JsonObject:
    """A piece of a call's arguments."""
    return {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def url_annotations(answer: Answer) -> list[JsonValue]:
    """The sources of an answer."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "end_index": citation.end,
                "start_index": citation.start,
                "title": citation.title,
                "url": citation.url,
            },
        }
        for citation in answer.citations
    ]
