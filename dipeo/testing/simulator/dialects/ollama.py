"""Ollama's own chat API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import attrs

from dipeo.testing.simulator.dialects._ollama_models import describe_model, list_models
from dipeo.testing.simulator.dialects._ollama_request import parse_chat, read_body
from dipeo.testing.simulator.dialects._reading import bearer_token, is_wrong_key
from dipeo.testing.simulator.exchange import (
    Answer,
    Document,
    Errand,
    Incoming,
    ParsedCall,
    Problem,
    StreamFrames,
    refuse,
)
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_count, as_list, as_text, encode_json
from dipeo.testing.simulator.vectors import embed_text

_NOTHING: JsonObject = {"content": ""}
_DONE_REASONS = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "content_filter": "stop",
    "tool_calls": "stop",
}
_USUAL = {
    400: "invalid request",
    401: "unauthorized",
    404: "model not found",
    429: "too many requests",
    499: "request canceled",
    503: "server busy, please try again.  maximum pending requests exceeded",
}
_DIMENSIONS = 768
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

    def errand(self, incoming: Incoming) -> Errand | None:
        """Models, version and greeting; embeddings and what a model can do."""
        if incoming.method in ("GET", "HEAD"):
            return _GETS.get(incoming.path)
        answer = _POSTS.get(incoming.path) if incoming.method == "POST" else None
        return None if answer is None else lambda: _document(answer(read_body(incoming)))

    def is_completion(self, incoming: Incoming) -> bool:
        """POST to chat."""
        return incoming.method == "POST" and incoming.path == "/api/chat"

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read and check the body."""
        return parse_chat(incoming)

    def render(self, call: ParsedCall, answer: Answer) -> Document:
        """One document with everything."""
        if not call.messages:
            return _document({**_line(call, answer, 0, _NOTHING), "done_reason": "load", "done": True})
        said: JsonObject = {"content": answer.text + _broken_calls(answer)}
        if answer.reasoning:
            said["thinking"] = answer.reasoning
        calls = _tool_calls(call, answer)
        if calls:
            said["tool_calls"] = calls
        return _document({**_line(call, answer, 0, said), **_ending(answer)})

    def render_stream(self, call: ParsedCall, answer: Answer) -> StreamFrames:
        """A line for each piece of text, then one with the counts."""
        headers = {"content-type": "application/x-ndjson"}
        if not call.messages:
            loaded: JsonObject = {**_line(call, answer, 0, _NOTHING), "done_reason": "load", "done": True}
            return StreamFrames(headers=headers, opening=(), pieces=(), closing=(encode_json(loaded) + b"\n",))
        said = list(_streamed(call, answer))
        lines: list[JsonObject] = [{**_line(call, answer, index, one), "done": False} for index, one in enumerate(said)]
        last: JsonObject = {**_line(call, answer, len(lines), _NOTHING), **_ending(answer)}
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


def _streamed(call: ParsedCall, answer: Answer) -> Iterator[JsonObject]:
    for piece in answer.reasoning_pieces:
        yield {"content": "", "thinking": piece}
    for piece in answer.pieces:
        yield {"content": piece}
    if broken := _broken_calls(answer):
        yield {"content": broken}
    for one in _tool_calls(call, answer):
        yield {"content": "", "tool_calls": [one]}


def _tool_calls(call: ParsedCall, answer: Answer) -> list[JsonValue]:
    calls: list[JsonValue] = []
    for index, one in enumerate(answer.tool_calls):
        if one.arguments is not None:
            id_ = one.id or f"call_{call.incoming.token(f'call {index}', 8).lower()}"
            calls.append({"id": id_, "function": {"index": index, "name": one.name, "arguments": one.arguments}})
    return calls


def _broken_calls(answer: Answer) -> str:
    # What Ollama cannot read as a call stays text.
    return "".join(
        f'{{"name": "{one.name}", "arguments": {one.text}' for one in answer.tool_calls if one.arguments is None
    )


def _line(call: ParsedCall, answer: Answer, index: int, said: JsonObject) -> JsonObject:
    created = datetime.fromtimestamp(call.incoming.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    stamp = f"{created}.{index % 1_000_000:06d}Z"
    return {"model": answer.model, "created_at": stamp, "message": {"role": "assistant", **said}}


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


def _embed(body: JsonObject) -> JsonObject:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else [as_text(entry) for entry in as_list(given)]
    wanted = as_count(body.get("dimensions")) or _DIMENSIONS
    embeddings: list[JsonValue] = [[*embed_text(text, wanted)] for text in texts if text]
    tokens = sum(len(text.split()) + 2 for text in texts)
    return {
        "model": body["model"],
        "embeddings": embeddings,
        "total_duration": tokens * 1_000_000 + 1,
        "load_duration": 1_000_000,
        "prompt_eval_count": tokens,
    }


def _embed_prompt(body: JsonObject) -> JsonObject:
    return {"embedding": [*embed_text(as_text(body.get("prompt")), _DIMENSIONS)]}


_GETS: dict[str, Errand] = {
    "": lambda: Document(headers={"content-type": "text/plain; charset=utf-8"}, body=b"Ollama is running"),
    "/": lambda: Document(headers={"content-type": "text/plain; charset=utf-8"}, body=b"Ollama is running"),
    "/api/version": lambda: _document({"version": "0.13.1"}),
    "/api/tags": lambda: _document(list_models()),
    "/api/ps": lambda: _document({"models": []}),
}
_POSTS: dict[str, Callable[[JsonObject], JsonObject]] = {
    "/api/embed": _embed,
    "/api/embeddings": _embed_prompt,
    "/api/show": lambda body: describe_model(as_text(body["model"])),
}
