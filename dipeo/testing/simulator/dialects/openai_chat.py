"""OpenAI chat completions, and the frame in which the compatible services speak."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import attrs

from dipeo.testing.simulator.dialects._openai_embeddings import answer_embeddings
from dipeo.testing.simulator.dialects._openai_reply import arguments_delta, url_annotations, whole_call
from dipeo.testing.simulator.dialects._openai_request import parse_chat_request
from dipeo.testing.simulator.dialects._reading import bearer_token, is_missing_model, is_wrong_key
from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.dialects.responses import RESPONSES_PATH, ResponsesEndpoint
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
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_object, encode_json, encode_pretty_json

_FINISH_REASONS = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
}
_COMPLETIONS_PATH = "/v1/chat/completions"
_MODELS_PATH = "/v1/models/"


_OPENAI = Flavour(
    encode=encode_pretty_json,
    named_choice_finish="stop",
    embedding_models={"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536},
    has_responses=True,
)


@attrs.frozen(slots=True)
class OpenAIChatDialect:
    """Chat completions as OpenAI, or the service of the given flavour, speaks them."""

    flavour: Flavour = _OPENAI
    sdk_suffix: str = attrs.field(default="/v1", init=False)
    _responses: ResponsesEndpoint = attrs.field(init=False)

    @_responses.default
    def _open_responses(self) -> ResponsesEndpoint:
        return ResponsesEndpoint(self.flavour.service)

    @property
    def service(self) -> str:
        """The flavour's service."""
        return self.flavour.service

    def credential(self, incoming: Incoming) -> str | None:
        """The bearer token."""
        return bearer_token(incoming)

    def check_credential(self, incoming: Incoming, credential: str | None) -> None:
        """401 without a token, and for one that says it is wrong."""
        if credential is None:
            raise refuse(401, self.flavour.missing_key_message)
        if is_wrong_key(credential):
            raise refuse(401, self.flavour.wrong_key_message(credential), code="invalid_api_key")

    def errand(self, incoming: Incoming) -> Errand | None:
        """The models and, where the service has them, embeddings."""
        path, flavour = incoming.path, self.flavour
        if incoming.method in ("GET", "HEAD"):
            if path == "/v1/models":
                return partial(self._list_models, incoming)
            if path.startswith(_MODELS_PATH):
                return partial(self._describe_model, incoming, path.removeprefix(_MODELS_PATH))
        if incoming.method == "POST" and path == "/v1/embeddings" and flavour.embedding_models:
            return lambda: self._document(incoming, answer_embeddings(incoming, flavour))
        answer = self._responses.errand(incoming) if flavour.has_responses else None
        return None if answer is None else lambda: self._document(incoming, answer())

    def _list_models(self, incoming: Incoming) -> Document:
        names = (*self.flavour.models, *self.flavour.embedding_models)
        return self._document(incoming, {"object": "list", "data": [self._model(name) for name in names]})

    def _describe_model(self, incoming: Incoming, name: str) -> Document:
        if is_missing_model(name):
            raise refuse(404, self.flavour.missing_model_message(name), code="model_not_found", param="model")
        return self._document(incoming, self._model(name))

    def _model(self, name: str) -> JsonObject:
        return {"id": name, "object": "model", "created": 1_790_000_000, "owned_by": self.flavour.owner}

    def is_completion(self, incoming: Incoming) -> bool:
        """POST to chat/completions and, where the service has it, to responses."""
        if incoming.method != "POST":
            return False
        return incoming.path == _COMPLETIONS_PATH or self._is_response(incoming)

    def _is_response(self, incoming: Incoming) -> bool:
        return self.flavour.has_responses and incoming.path == RESPONSES_PATH

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read and check the body."""
        if self._is_response(incoming):
            call = self._responses.parse(incoming)
        else:
            call = parse_chat_request(incoming, is_openai=self.service == "openai")
            self.flavour.check_body(call.body)
            self.flavour.check_reasoning(call.body)
        if is_missing_model(call.model):
            raise refuse(404, self.flavour.missing_model_message(call.model), code="model_not_found")
        return call

    def render(self, call: ParsedCall, answer: Answer) -> Document:
        """A `chat.completion`."""
        flavour, incoming = self.flavour, call.incoming
        if self._is_response(incoming):
            document = self._document(incoming, self._responses.render(call, answer))
            return attrs.evolve(document, headers={**document.headers, **flavour.limit_headers()})
        head = self._head(call, answer, "chat.completion")
        choice = flavour.choice(self._message(call, answer), self._finish(call, answer))
        document = self._document(incoming, flavour.reply(head, choice, flavour.usage(answer), incoming))
        headers = {**document.headers, **flavour.limit_headers()}
        return attrs.evolve(document, headers=headers, body=flavour.unary_padding + document.body)

    def render_stream(self, call: ParsedCall, answer: Answer) -> StreamFrames:
        """`chat.completion.chunk`s, the finish reason, the usage where asked for or always given, `[DONE]`."""
        flavour, incoming = self.flavour, call.incoming
        headers = {**self._stream_headers(incoming), **flavour.limit_headers()}
        if self._is_response(incoming):
            return self._responses.render_stream(call, answer, headers)
        head = self._head(call, answer, "chat.completion.chunk")

        def chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
            return flavour.chunk(head, flavour.delta_choice(delta, finish), incoming)

        pieces = [chunk(delta) for delta in self._deltas(call, answer)]
        opening = flavour.opening_delta
        if answer.tool_calls and not answer.text:
            opening = {**opening, "content": flavour.empty_content}
        closing: JsonObject = {**flavour.closing_delta, **self._closing_extras(answer)}
        chunks = [chunk(opening), *pieces, chunk(closing, self._finish(call, answer))]
        is_asked = as_object(call.body.get("stream_options")).get("include_usage") is True
        chunks = flavour.finish_chunks(chunks, flavour.usage(answer), call, is_asked=is_asked)
        events = [_event(chunk) for chunk in chunks]
        after_pieces = 1 + len(pieces)
        return StreamFrames(
            headers=headers,
            opening=(*flavour.stream_comments, events[0]),
            pieces=tuple(events[1:after_pieces]),
            closing=(*events[after_pieces:], b"data: [DONE]\n\n"),
        )

    def _message(self, call: ParsedCall, answer: Answer) -> JsonObject:
        flavour = self.flavour
        # A filtered answer without any text has null as its content, every other answer a string.
        content = None if answer.refusal or (answer.finish == "content_filter" and not answer.text) else answer.text
        if answer.tool_calls and not answer.text:
            content = flavour.empty_content
        message = flavour.reasoning(flavour.message(content), answer)
        if answer.tool_calls:
            calls = [
                whole_call(one.name, one.text, flavour.call_id(call.incoming, one, index), index)
                for index, one in enumerate(answer.tool_calls)
            ]
            unindexed: list[JsonValue] = [{key: one[key] for key in ("id", "type", "function")} for one in calls]
            message["tool_calls"] = [*calls] if flavour.has_indexed_calls else unindexed
        if answer.refusal:
            message["refusal"] = answer.refusal
        if answer.citations:
            message["annotations"] = url_annotations(answer)
        return message

    def _deltas(self, call: ParsedCall, answer: Answer) -> Iterator[JsonObject]:
        flavour = self.flavour
        if flavour.reasoning_delta is not None:
            yield from map(flavour.reasoning_delta, answer.reasoning_pieces)
            if flavour.reasoning_end is not None and answer.reasoning:
                yield flavour.reasoning_end(answer)
        yield from map(flavour.piece_delta, answer.pieces)
        if answer.refusal:
            yield {"refusal": answer.refusal}
        for index, one in enumerate(answer.tool_calls):
            id_ = flavour.call_id(call.incoming, one, index)
            if flavour.is_call_streamed_whole:
                yield {"tool_calls": [whole_call(one.name, one.text, id_, index)]}
                continue
            yield {"tool_calls": [whole_call(one.name, "", id_, index)]}
            for piece in one.pieces:
                yield arguments_delta(index, piece)

    def _closing_extras(self, answer: Answer) -> JsonObject:
        return {"annotations": url_annotations(answer)} if answer.citations else {}

    def _finish(self, call: ParsedCall, answer: Answer) -> str:
        if answer.finish == "tool_calls" and isinstance(call.body.get("tool_choice"), dict):
            return self.flavour.named_choice_finish
        return _FINISH_REASONS[answer.finish]

    def render_problem(self, incoming: Incoming, problem: Problem) -> Document:
        """The error envelope."""
        document = self._document(incoming, self.flavour.error(problem))
        return attrs.evolve(document, status=problem.status)

    def render_error_event(self, call: ParsedCall, problem: Problem) -> bytes:
        """The error envelope as one `data` event."""
        if self._is_response(call.incoming):
            return self._responses.render_error_event(problem)
        return _event(self.flavour.error(problem))

    def unknown_path(self, incoming: Incoming) -> Problem:
        """OpenAI's words for an URL it does not know."""
        return Problem(status=404, message=f"Invalid URL ({incoming.method} {incoming.path})", code="unknown_url")

    def _head(self, call: ParsedCall, answer: Answer, kind: str) -> JsonObject:
        incoming = call.incoming
        return {
            "id": self.flavour.reply_id(incoming),
            "object": kind,
            "created": incoming.created_s,
            "model": answer.model,
        }

    def _document(self, incoming: Incoming, value: JsonObject) -> Document:
        headers = {"content-type": "application/json", **self.flavour.request_headers(incoming)}
        return Document(headers=headers, body=self.flavour.encode(value))

    def _stream_headers(self, incoming: Incoming) -> dict[str, str]:
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        return {**headers, **self.flavour.request_headers(incoming)}


def _event(value: JsonObject) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"
