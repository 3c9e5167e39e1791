"""One stream of an adapter, step by step: what is taken, what is refused, and what becomes of the connection."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain.completion import Completion
from dipeo.domain.errors import (
    ConnectFailedError,
    ConnectionLostError,
    DipeoError,
    EmptyResponseError,
    IncompleteStreamError,
    MalformedResponseError,
    ModelUnavailableError,
    OverloadedError,
    RateLimitError,
)
from dipeo.domain.json_value import JsonValue
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, ReasoningDelta, TextDelta
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.drivers.wire import END_OF_STREAM, Wire, WireReply, WireRequest, WireStream
from tests.adapters.replay import adapter_over, request_for
from tests.virtual_world.virtual_loop import run_virtual

HELLO: JsonValue = {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}
STOP: JsonValue = {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
WHOLE: tuple[JsonValue, ...] = (HELLO, STOP, END_OF_STREAM)
OVERLOADED: JsonValue = {"error": {"message": "busy", "code": "server_overloaded"}}


class ScriptedUpstream(WireStream):
    """Gives the events, fails where it is told to, and knows in which order it was let go."""

    def __init__(
        self,
        events: "Sequence[JsonValue | Exception]" = WHOLE,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        body: JsonValue = None,
        drain: Exception | float | None = None,
    ) -> None:
        self.status = status
        self.headers = headers or {}
        self.given = events
        self.body = body
        self.drained = drain
        self.told: list[str] = []

    async def events(self) -> AsyncGenerator[JsonValue, None]:
        try:
            for event in self.given:
                if isinstance(event, Exception):
                    raise event
                self.told.append("read")
                yield event
        finally:
            self.told.append("events closed")

    async def reply(self) -> WireReply:
        return WireReply(status=self.status, headers=self.headers, json=self.body)

    async def drain(self) -> None:
        self.told.append("drain")
        if isinstance(self.drained, Exception):
            raise self.drained
        await asyncio.sleep(self.drained or 0.0)
        self.told.append("drained")

    async def aclose(self) -> None:
        self.told.append("closed")


class OneStreamWire(Wire):
    """Opens the one stream, or fails to."""

    def __init__(self, upstream: WireStream | Exception) -> None:
        self.upstream = upstream
        self.asked: list[WireRequest] = []

    async def send(self, exchange: WireRequest) -> WireReply:
        raise NotImplementedError

    async def stream(self, exchange: WireRequest) -> WireStream:
        self.asked.append(exchange)
        if isinstance(self.upstream, Exception):
            raise self.upstream
        return self.upstream

    async def aclose(self) -> None:
        """Nothing is open."""


def stream_over(upstream: WireStream | Exception, deadline_at_s: float | None = None) -> CompletionStream:
    """A stream of the real OpenAI dialect."""
    request = evolve(request_for(LLMService.OPENAI), deadline_at_s=deadline_at_s)
    return adapter_over(OneStreamWire(upstream), LLMService.OPENAI).stream(request)


async def failure_of(upstream: WireStream | Exception) -> DipeoError:
    """What the stream ends with."""
    with pytest.raises(DipeoError) as caught:
        await stream_over(upstream).collect()
    return caught.value


async def test_what_comes_is_given_on_piece_by_piece_and_whole_at_the_end() -> None:
    """The text as it comes, then the answer with all that is known about it."""
    upstream = ScriptedUpstream(headers={"content-type": "text/event-stream", "x-request-id": "req-7"})
    async with stream_over(upstream) as stream:
        events = [event async for event in stream]
    assert events[0] == TextDelta("Hello")
    (end,) = events[1:]
    assert isinstance(end, CompletionEnd)
    assert (end.completion.text, end.completion.model, end.completion.request_id) == ("Hello", "m-1", "req-7")
    assert end.completion.response_id == "c-1"


async def test_a_finished_stream_runs_out_and_is_then_closed() -> None:
    """Its events are let go, its connection is read to the end and given back, in this order and once each."""
    upstream = ScriptedUpstream()
    await stream_over(upstream).collect()
    assert upstream.told == ["read"] * 3 + ["events closed", "drain", "drained", "closed"]


async def test_nothing_is_read_after_the_end_marker() -> None:
    """What a provider sends after its own end is none of the answer, however it looks."""
    upstream = ScriptedUpstream([*WHOLE, HELLO, 7])
    assert (await stream_over(upstream).collect()).text == "Hello"
    assert upstream.told.count("read") == 3


async def test_a_stream_that_is_left_is_closed_without_reading_on() -> None:
    """Who leaves early gives the rest up: it is not waited for."""
    upstream = ScriptedUpstream()
    async with stream_over(upstream) as stream:
        await anext(stream)
    assert upstream.told == ["read", "events closed", "closed"]


async def test_a_stream_that_fails_is_closed_without_reading_on() -> None:
    """A connection that broke in the middle is not used again."""
    upstream = ScriptedUpstream([HELLO, ConnectionLostError()])
    assert isinstance(await failure_of(upstream), IncompleteStreamError)
    assert upstream.told == ["read", "events closed", "closed"]


@pytest.mark.parametrize("problem", [ConnectionLostError(), TimeoutError()])
async def test_a_finished_stream_that_ends_badly_is_an_answer_all_the_same(problem: Exception) -> None:
    """The answer is whole; the connection is closed and not given back."""
    upstream = ScriptedUpstream(drain=problem)
    assert (await stream_over(upstream).collect()).text == "Hello"
    assert upstream.told[-2:] == ["drain", "closed"]


@pytest.mark.parametrize(
    ("deadline_at_s", "end_at_s"), [(None, 0.25), (100.0, 0.25), (0.25, 0.25), (0.125, 0.125), (0.0, 0.0), (-1.0, 0.0)]
)
def test_a_finished_stream_that_will_not_end_is_given_a_moment(deadline_at_s: float | None, end_at_s: float) -> None:
    """A quarter of a second, and never beyond the deadline; after that nothing is read at all."""
    upstream = ScriptedUpstream(drain=1000.0)
    run = run_virtual(1, lambda _: stream_over(upstream, deadline_at_s).collect())
    assert isinstance(run.result, Completion)
    assert run.ended_at_s == end_at_s
    assert upstream.told[3:] == ["events closed", *(["drain"] if end_at_s else []), "closed"]


def test_a_finished_stream_has_its_moment_in_full() -> None:
    """What ends within the quarter of a second gives its connection back."""
    upstream = ScriptedUpstream(drain=0.24)
    run = run_virtual(1, lambda _: stream_over(upstream).collect())
    assert run.ended_at_s == 0.24
    assert upstream.told[-2:] == ["drained", "closed"]


async def test_a_connection_that_cannot_be_made_knows_its_call() -> None:
    """The error names the provider and the model that were to be asked."""
    problem = ConnectFailedError()
    error = await failure_of(problem)
    assert error is problem
    assert (error.provider, error.model, error.request_id) == ("openai", "some-model", None)


async def test_a_stream_that_says_nothing_is_an_empty_answer() -> None:
    """Not a single event came."""
    error = await failure_of(ScriptedUpstream([], headers={"x-request-id": "req-7"}))
    assert isinstance(error, EmptyResponseError)
    assert (error.provider, error.model, error.request_id) == ("openai", "some-model", "req-7")


async def test_a_stream_that_ends_too_early_broke_off() -> None:
    """Events came, but not the provider's own end, even where they held no text."""
    role: JsonValue = {"model": "m-1", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    error = await failure_of(ScriptedUpstream([role]))
    assert isinstance(error, IncompleteStreamError)
    assert "partial_text" not in error.context
    error = await failure_of(ScriptedUpstream([role, HELLO]))
    assert isinstance(error, IncompleteStreamError)
    assert error.context["partial_text"] == "Hello"


@pytest.mark.parametrize("event", [7, "[START]", None, [], "", [HELLO]])
async def test_an_event_that_is_no_object_is_malformed(event: JsonValue) -> None:
    """Every provider sends objects, and one of them its end marker."""
    error = await failure_of(ScriptedUpstream([event, *WHOLE]))
    assert isinstance(error, MalformedResponseError)
    assert "no JSON object" in error.message


async def test_an_error_in_the_stream_before_any_text_is_that_error() -> None:
    """It is sorted like an error in a reply, with the stream's own headers."""
    upstream = ScriptedUpstream([OVERLOADED, *WHOLE], headers={"retry-after": "3", "x-request-id": "req-7"})
    error = await failure_of(upstream)
    assert isinstance(error, DipeoError)
    assert not isinstance(error, IncompleteStreamError)
    assert (error.provider_code, error.retry_after_s, error.status) == ("server_overloaded", 3.0, 200)
    assert (error.provider, error.model, error.request_id) == ("openai", "some-model", "req-7")


@pytest.mark.parametrize("nothing", [None, "", {}, 0, False])
async def test_an_error_that_is_nothing_is_none(nothing: JsonValue) -> None:
    """Some servers send the field with every event."""
    hello = {**HELLO, "error": nothing} if isinstance(HELLO, dict) else HELLO
    assert (await stream_over(ScriptedUpstream([hello, *WHOLE[1:]])).collect()).text == "Hello"


async def test_an_error_after_some_text_keeps_what_had_come() -> None:
    """The stream broke off: the text is kept, and so is all that the provider said about the reason."""
    upstream = ScriptedUpstream(
        [HELLO, HELLO, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}],
        headers={"retry-after": "3", "x-request-id": "req-7"},
    )
    heard: list[CompletionEvent] = []
    stream = stream_over(upstream)
    for _ in range(2):
        heard.append(await anext(stream))
    with pytest.raises(IncompleteStreamError) as caught:
        await anext(stream)
    error = caught.value
    assert heard == [TextDelta("Hello")] * 2
    assert error.context["partial_text"] == "HelloHello"
    assert (error.status, error.provider_code, error.retry_after_s) == (200, "rate_limit_exceeded", 3.0)
    assert (error.provider, error.model, error.request_id) == ("openai", "some-model", "req-7")
    assert error.context["cause"] == Verdict.RATE_LIMITED.value
    assert "10 characters" in error.message
    assert "slow down" in error.message


async def test_what_broke_a_stream_keeps_its_own_request_id() -> None:
    """What the failure itself knows counts for more than the headers."""
    upstream = ScriptedUpstream([HELLO, OverloadedError(request_id="req-own")], headers={"x-request-id": "req-7"})
    assert (await failure_of(upstream)).request_id == "req-own"


async def test_thoughts_are_given_on_and_are_no_text() -> None:
    """A stream that breaks off after thoughts alone delivered nothing: it fails as what it is."""
    thought: JsonValue = {"model": "m-1", "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}
    stream = stream_over(ScriptedUpstream([thought, OverloadedError()]))
    assert await anext(stream) == ReasoningDelta("hm")
    with pytest.raises(OverloadedError):
        await anext(stream)
    error = await failure_of(ScriptedUpstream([thought, HELLO, OverloadedError()]))
    assert error.context["partial_text"] == "Hello"


async def test_what_had_to_be_adapted_is_told_with_the_answer() -> None:
    """A stream's answer knows of it as any other does."""
    request = evolve(
        request_for(LLMService.OPENAI, model="gpt-4.1"), sampling=Sampling(reasoning_effort=ReasoningEffort.HIGH)
    )
    adapter = adapter_over(OneStreamWire(ScriptedUpstream()), LLMService.OPENAI)
    completion = await adapter.stream(request).collect()
    assert [each.parameter for each in completion.adaptations] == ["reasoning_effort"]


async def test_the_cause_is_told_by_its_verdict() -> None:
    """The same word as in the records."""
    error = await failure_of(ScriptedUpstream([HELLO, ModelUnavailableError()]))
    assert error.context["cause"] == Verdict.OVERLOADED.value


async def test_a_cause_without_a_verdict_is_told_by_its_code() -> None:
    """Every cause has a name."""

    class StrangeError(DipeoError):
        """Has no verdict."""

    problem = StrangeError("strange")
    assert problem.verdict is None
    error = await failure_of(ScriptedUpstream([HELLO, problem]))
    assert isinstance(error, IncompleteStreamError)
    assert error.context["cause"] == problem.code


@pytest.mark.parametrize(
    ("status", "is_taken"), [(199, False), (200, True), (201, True), (299, True), (300, False), (429, False)]
)
async def test_only_a_status_of_success_begins_a_stream(status: int, *, is_taken: bool) -> None:
    """Any other is a refusal, read as one reply, and no event is taken from it."""
    upstream = ScriptedUpstream(status=status, body={"error": {"message": "no"}})
    if is_taken:
        assert (await stream_over(upstream).collect()).text == "Hello"
    else:
        error = await failure_of(upstream)
        assert error.status == status
        assert "It says: no" in error.message
        assert "read" not in upstream.told
        assert upstream.told[-1] == "closed"


async def test_a_refusal_is_sorted_by_its_body() -> None:
    """Status, code and headers of a refused stream are those of any refused call."""
    upstream = ScriptedUpstream(status=429, body=OVERLOADED, headers={"retry-after": "4"})
    error = await failure_of(upstream)
    assert (error.status, error.provider_code, error.retry_after_s) == (429, "server_overloaded", 4.0)


@pytest.mark.parametrize(
    ("media_type", "words"),
    [
        ("text/html", "web page"),
        ("Text/HTML; charset=utf-8", "web page"),
        ("application/json", "one JSON text"),
        ("Application/JSON; charset=utf-8", "one JSON text"),
    ],
)
@pytest.mark.parametrize("body", [None, {"error": None}, {"object": "chat.completion"}, ["error"]])
async def test_what_is_no_stream_is_malformed(media_type: str, words: str, body: Any) -> None:
    """A web page and a whole answer are not read as streams, whatever they hold."""
    upstream = ScriptedUpstream(headers={"content-type": media_type}, body=body)
    error = await failure_of(upstream)
    assert isinstance(error, MalformedResponseError)
    assert words in error.message
    assert "read" not in upstream.told


async def test_a_refusal_with_the_status_of_success_is_a_refusal() -> None:
    """Instead of the stream there came one JSON text, and it holds an error."""
    body = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    upstream = ScriptedUpstream(headers={"content-type": "application/json"}, body=body)
    error = await failure_of(upstream)
    assert isinstance(error, RateLimitError)
    assert error.provider_code == "rate_limit_exceeded"


async def test_a_wire_may_answer_with_any_kind_of_dictionary() -> None:
    """What a wire of somebody's own gives is read like what ours gives."""

    class Ordered(OneStreamWire):
        """Answers with a dictionary of a kind of its own."""

        async def send(self, exchange: WireRequest) -> WireReply:
            message = OrderedDict[str, JsonValue](role="assistant", content="Hello.")
            choices: list[JsonValue] = [OrderedDict[str, JsonValue](message=message, finish_reason="stop")]
            return WireReply(status=200, headers={}, json=OrderedDict[str, JsonValue](choices=choices))

    adapter = adapter_over(Ordered(ConnectionLostError()), LLMService.OPENAI)
    assert (await adapter.complete(request_for(LLMService.OPENAI))).text == "Hello."
