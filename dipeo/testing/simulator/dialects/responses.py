"""OpenAI's Responses API: requests, answers and the memory of both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs

from dipeo.testing.simulator.answers import estimate_request_tokens
from dipeo.testing.simulator.dialects._openai_words import missing_model, openai_error
from dipeo.testing.simulator.dialects._reading import is_missing_model
from dipeo.testing.simulator.dialects._responses_items import read_items
from dipeo.testing.simulator.dialects._responses_output import (
    OutputItem,
    ResponseEvents,
    event,
    output_items,
    write_item,
)
from dipeo.testing.simulator.dialects._responses_request import parse_count_request, parse_response_request
from dipeo.testing.simulator.dialects._responses_store import ResponseStore
from dipeo.testing.simulator.exchange import Answer, Incoming, ParsedCall, Problem, StreamFrames, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_object

RESPONSES_PATH = "/v1/responses"


@attrs.frozen(slots=True)
class ResponsesEndpoint:
    """The Responses API of one service."""

    service: str
    _store: ResponseStore = attrs.field(factory=ResponseStore, init=False)

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read and check the body."""
        return parse_response_request(incoming, self.service, self._store)

    def render(self, call: ParsedCall, answer: Answer) -> JsonObject:
        """A finished response, which is remembered."""
        items = [item.value for item in output_items(call, answer, self.service)]
        return self._finished(call, answer, items)

    def render_stream(self, call: ParsedCall, answer: Answer, headers: dict[str, str]) -> StreamFrames:
        """`response.created` to `response.completed`."""
        items: list[OutputItem] = list(output_items(call, answer, self.service))
        events = ResponseEvents()
        begun = _begun(call, answer)
        events.send("response.created", {"response": begun})
        events.send("response.in_progress", {"response": begun})
        for index, item in enumerate(items):
            write_item(events, item, index)
        finished = self._finished(call, answer, [item.value for item in items])
        events.send(f"response.{finished['status']}", {"response": finished})
        return events.writer.finish(headers)

    def render_error_event(self, problem: Problem) -> bytes:
        """An `error` event."""
        error = as_object(as_object(openai_error(problem)).get("error"))
        fields: JsonObject = {"code": error.get("code"), "message": error.get("message"), "param": error.get("param")}
        return event({"type": "error", **fields, "sequence_number": 0})

    def errand(self, incoming: Incoming) -> Callable[[], JsonObject] | None:
        """Reading and deleting what is remembered, and counting tokens."""
        prefix, _, rest = incoming.path.removeprefix(RESPONSES_PATH).partition("/")
        if prefix or not rest or not incoming.path.startswith(RESPONSES_PATH):
            return None
        if incoming.method == "POST":
            return partial(self._count_tokens, incoming) if rest == "input_tokens" else None
        answers = {"GET": self._store.find, "DELETE": self._store.forget}
        return partial(answers[incoming.method], rest) if incoming.method in answers else None

    def _count_tokens(self, incoming: Incoming) -> JsonObject:
        call = parse_count_request(incoming, self.service, self._store)
        if is_missing_model(call.model):
            raise refuse(404, missing_model(call.model), code="model_not_found")
        return {"object": "response.input_tokens", "input_tokens": estimate_request_tokens(call)}

    def _finished(self, call: ParsedCall, answer: Answer, items: list[JsonObject]) -> JsonObject:
        reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
        reason = reasons.get(answer.finish)
        details: JsonValue = None if reason is None else {"reason": reason}
        response: JsonObject = {
            **_begun(call, answer),
            "status": "completed" if reason is None else "incomplete",
            "completed_at": call.incoming.created_s + 1,
            "incomplete_details": details,
            "output": [*items],
            "usage": {
                "input_tokens": answer.input_tokens,
                "input_tokens_details": {
                    "cached_tokens": answer.cached_tokens,
                    "cache_write_tokens": answer.cache_write_tokens,
                },
                "output_tokens": answer.output_tokens,
                "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
                "total_tokens": answer.input_tokens + answer.output_tokens,
            },
        }
        if call.body.get("store") is not False:
            before = self._store.history(call.body.get("previous_response_id"))
            self._store.keep([*before, *read_items(call.body.get("input"))], response)
        return response


def _begun(call: ParsedCall, answer: Answer) -> JsonObject:
    body = call.body
    reasoning = as_object(body.get("reasoning"))
    text = as_object(body.get("text"))
    return {
        "id": f"resp_{call.incoming.hex_token('reply', 50)}",
        "object": "response",
        "created_at": call.incoming.created_s,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": None,
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity", "medium")},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": None,
        "metadata": body.get("metadata") or {},
    }
