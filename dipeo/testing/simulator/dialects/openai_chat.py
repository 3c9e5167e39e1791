"""OpenAI chat completions, and the frame in which the compatible services speak."""

from __future__ import annotations

import attrs

from dipeo.testing.simulator.dialects._openai_request import parse_chat_request
from dipeo.testing.simulator.dialects._reading import bearer_token, is_missing_model, is_wrong_key
from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.exchange import Answer, Document, Incoming, ParsedCall, Problem, StreamFrames, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_object, encode_json, encode_pretty_json

_FINISH_REASONS = {"stop": "stop", "stop_sequence": "stop", "length": "length", "content_filter": "content_filter"}
_COMPLETIONS_PATH = "/v1/chat/completions"


_OPENAI = Flavour(encode=encode_pretty_json)


@attrs.frozen(slots=True)
class OpenAIChatDialect:
    """Chat completions as OpenAI, or the service of the given flavour, speaks them."""

    flavour: Flavour = _OPENAI
    sdk_suffix: str = attrs.field(default="/v1", init=False)

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

    def listing(self, incoming: Incoming) -> Document | None:
        """The list of models."""
        if incoming.path != "/v1/models":
            return None
        data: list[JsonValue] = [
            {"id": model, "object": "model", "created": 1_790_000_000, "owned_by": self.flavour.owner}
            for model in self.flavour.models
        ]
        return self._document(incoming, {"object": "list", "data": data})

    def is_completion(self, incoming: Incoming) -> bool:
        """POST to chat/completions."""
        return incoming.method == "POST" and incoming.path == _COMPLETIONS_PATH

    def parse(self, incoming: Incoming) -> ParsedCall:
        """Read and check the body."""
        call = parse_chat_request(incoming)
        self.flavour.check_body(call.body)
        if is_missing_model(call.model):
            raise refuse(404, self.flavour.missing_model_message(call.model), code="model_not_found")
        return call

    def render(self, call: ParsedCall, answer: Answer) -> Document:
        """A `chat.completion`."""
        flavour, incoming = self.flavour, call.incoming
        head = self._head(call, answer, "chat.completion")
        # A filtered answer without any text has null as its content, every other answer a string.
        content = None if answer.finish == "content_filter" and not answer.text else answer.text
        choice = flavour.choice(flavour.message(content), _FINISH_REASONS[answer.finish])
        document = self._document(incoming, flavour.reply(head, choice, flavour.usage(answer), incoming))
        headers = {**document.headers, **flavour.limit_headers()}
        return attrs.evolve(document, headers=headers, body=flavour.unary_padding + document.body)

    def render_stream(self, call: ParsedCall, answer: Answer) -> StreamFrames:
        """`chat.completion.chunk`s, the finish reason, the usage where asked for or always given, `[DONE]`."""
        flavour, incoming = self.flavour, call.incoming
        head = self._head(call, answer, "chat.completion.chunk")

        def chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
            return flavour.chunk(head, flavour.delta_choice(delta, finish), incoming)

        chunks = [chunk(flavour.opening_delta), *(chunk(flavour.piece_delta(piece)) for piece in answer.pieces)]
        chunks.append(chunk(flavour.closing_delta, _FINISH_REASONS[answer.finish]))
        is_asked = as_object(call.body.get("stream_options")).get("include_usage") is True
        chunks = flavour.finish_chunks(chunks, flavour.usage(answer), call, is_asked=is_asked)
        events = [_event(chunk) for chunk in chunks]
        after_text = 1 + len(answer.pieces)
        return StreamFrames(
            headers={**self._stream_headers(incoming), **flavour.limit_headers()},
            opening=(*flavour.stream_comments, events[0]),
            pieces=tuple(events[1:after_text]),
            closing=(*events[after_text:], b"data: [DONE]\n\n"),
        )

    def render_problem(self, incoming: Incoming, problem: Problem) -> Document:
        """The error envelope."""
        document = self._document(incoming, self.flavour.error(problem))
        return attrs.evolve(document, status=problem.status)

    def render_error_event(self, call: ParsedCall, problem: Problem) -> bytes:
        """The error envelope as one `data` event."""
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
