"""Ollama's own chat API."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

from dipeo.testing.simulator.dialects._reading import bearer_token, decode_object, is_missing_model, is_wrong_key
from dipeo.testing.simulator.exchange import Answer, Document, Incoming, ParsedCall, Problem, StreamFrames, refuse
from dipeo.testing.simulator.json_value import (
    JsonObject,
    JsonValue,
    as_count,
    as_list,
    as_object,
    as_text,
    as_texts,
    encode_json,
)
from dipeo.testing.simulator.request_log import SimulatedMessage

_DONE_REASONS = {"stop": "stop", "stop_sequence": "stop", "length": "length", "content_filter": "stop"}
_ROLES = ("system", "user", "assistant", "tool")
_USUAL = {
    400: "invalid request",
    401: "unauthorized",
    404: "model not found",
    429: "too many requests",
    499: "request canceled",
    503: "server busy, please try again.  maximum pending requests exceeded",
}
_MODELS = (("llama3.2:latest", "llama", "3.2B"), ("gemma3:1b", "gemma3", "999.89M"), ("qwen3:8b", "qwen3", "8.2B"))
_NANOSECONDS_PER_TOKEN = 14_000_000


@attrs.frozen(slots=True)
class OllamaDialect:
    """`/api/chat`, one JSON document a line."""

    service: str = attrs.field(default="ollama", init=False)
    sdk_suffix: str = attrs.field(default="", init=False)

    def credential(self, incoming: Incoming) -> str | None:
        """The bearer token that the hosted service takes; a local server ignores it."""
        return bearer_token(incoming)

    def check_credential(self, incoming: Incoming, credential: str | None) -> None:
        """No key is needed; one that says it is wrong is refused, as the hosted service would."""
        if credential is not None and is_wrong_key(credential):
            raise refuse(401, "unauthorized")

    def listing(self, incoming: Incoming) -> Document | None:
        """The local models, the version, and the greeting at the root."""
        if incoming.path in ("", "/"):
            return Document(headers={"content-type": "text/plain; charset=utf-8"}, body=b"Ollama is running")
        if incoming.path == "/api/version":
            return _document({"version": "0.13.1"})
        if incoming.path == "/api/tags":
            return _document({"models": [_model(*model) for model in _MODELS]})
        return None

    def is_completion(self, incoming: Incoming) -> bool:
        """POST to chat."""
        return incoming.method == "POST" and incoming.path == "/api/chat"

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read and check the body; a call without messages loads the model, it is not an error."""
        if not incoming.body:
            raise refuse(400, "missing request body")
        body = decode_object(incoming.body)
        if body is None:
            raise refuse(400, "invalid character in request body")
        model = as_text(body.get("model"))
        if not model:
            raise refuse(400, "model is required")
        if is_missing_model(model):
            raise refuse(404, f"model '{model}' not found")
        options = as_object(body.get("options"))
        limit = as_count(options.get("num_predict"))
        return ParsedCall(
            incoming=incoming,
            model=model,
            is_stream=body.get("stream") is not False,
            messages=_parse_messages(body.get("messages")),
            body=body,
            # Negative limits mean: no limit, or as far as the context reaches.
            max_output_tokens=limit if limit is not None and limit >= 0 else None,
            stop_sequences=as_texts(options.get("stop")),
        )

    def render(self, call: ParsedCall, answer: Answer) -> Document:
        """One document with everything."""
        if not call.messages:
            return _document({**_line(call, answer, 0, ""), "done_reason": "load", "done": True})
        return _document({**_line(call, answer, 0, answer.text), **_ending(answer)})

    def render_stream(self, call: ParsedCall, answer: Answer) -> StreamFrames:
        """A line for each piece of text, then one with the counts."""
        headers = {"content-type": "application/x-ndjson"}
        if not call.messages:
            loaded: JsonObject = {**_line(call, answer, 0, ""), "done_reason": "load", "done": True}
            return StreamFrames(headers=headers, opening=(), pieces=(), closing=(encode_json(loaded) + b"\n",))
        lines: list[JsonObject] = [
            {**_line(call, answer, index, piece), "done": False} for index, piece in enumerate(answer.pieces)
        ]
        last: JsonObject = {**_line(call, answer, len(lines), ""), **_ending(answer)}
        return StreamFrames(
            headers=headers,
            opening=(),
            pieces=tuple(encode_json(line) + b"\n" for line in lines),
            closing=(encode_json(last) + b"\n",),
        )

    def render_problem(self, incoming: Incoming, problem: Problem) -> Document:
        """`{"error": "..."}`."""
        return attrs.evolve(_document(_error(problem)), status=problem.status)

    def render_error_event(self, call: ParsedCall, problem: Problem) -> bytes:
        """The error as one more line."""
        return encode_json(_error(problem)) + b"\n"

    def unknown_path(self, incoming: Incoming) -> Problem:
        """Ollama's words for a path it does not know."""
        return Problem(status=404, message="404 page not found")


def _parse_messages(messages: JsonValue) -> tuple[SimulatedMessage, ...]:
    parsed = []
    for message in map(as_object, as_list(messages)):
        role = as_text(message.get("role"))
        if role not in _ROLES:
            raise refuse(400, f"invalid role: {role}, must be one of [{', '.join(_ROLES)}]")
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            raise refuse(400, "json: cannot unmarshal into Go struct field ChatRequest.messages of type string")
        name = as_text(message.get("name")) or as_text(message.get("tool_name")) or None
        parsed.append(SimulatedMessage(role=role, name=name, text=content or ""))
    return tuple(parsed)


def _line(call: ParsedCall, answer: Answer, index: int, text: str) -> JsonObject:
    created = datetime.fromtimestamp(call.incoming.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    stamp = f"{created}.{index % 1_000_000:06d}Z"
    return {"model": answer.model, "created_at": stamp, "message": {"role": "assistant", "content": text}}


def _ending(answer: Answer) -> JsonObject:
    prompt_ns, answer_ns, load_ns = (
        answer.input_tokens * 1_000_000,
        answer.output_tokens * _NANOSECONDS_PER_TOKEN,
        40_000_000,
    )
    return {
        "done_reason": _DONE_REASONS[answer.finish],
        "done": True,
        "total_duration": prompt_ns + answer_ns + load_ns,
        "load_duration": load_ns,
        "prompt_eval_count": answer.input_tokens,
        "prompt_eval_duration": prompt_ns,
        "eval_count": answer.output_tokens,
        "eval_duration": answer_ns,
    }


def _error(problem: Problem) -> JsonObject:
    usual = _USUAL.get(problem.status) or ("internal server error" if problem.status >= 500 else _USUAL[400])
    return {"error": problem.message or usual}


def _document(value: JsonObject) -> Document:
    return Document(headers={"content-type": "application/json; charset=utf-8"}, body=encode_json(value))


def _model(name: str, family: str, size: str) -> JsonObject:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-11-01T09:00:00.000000Z",
        "size": 2_019_393_189,
        "digest": "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": family,
            "families": [family],
            "parameter_size": size,
            "quantization_level": "Q4_K_M",
        },
    }
