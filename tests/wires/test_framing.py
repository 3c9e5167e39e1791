"""Bytes become events, however they are cut."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.errors import MalformedResponseError
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.wire import END_OF_STREAM, Framing
from dipeo.infrastructure.llm.wires import framing
from dipeo.infrastructure.llm.wires.framing import JsonLines, ServerSentEvents, parse_json, parser_for, sample_of

JSON_OBJECTS = st.dictionaries(
    st.text(max_size=8), st.one_of(st.text(max_size=20), st.integers(-(2**40), 2**40), st.booleans()), max_size=4
)


def read(parser: framing.EventParser, data: bytes, cuts: list[int]) -> list[JsonValue]:
    """All events of the data, cut at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    events: list[JsonValue] = []
    for begin, end in pairwise(places):
        events += parser.feed(data[begin:end])
    return events + parser.finish()


@given(
    events=st.lists(JSON_OBJECTS, max_size=6),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
    has_end=st.booleans(),
)
def test_server_sent_events_do_not_depend_on_the_cuts(
    events: list[dict[str, JsonValue]], newline: str, cuts: list[int], has_end: bool
) -> None:
    """Whatever ends the lines and wherever the bytes are cut, the events come out in order."""
    lines: list[str] = [": a comment", ""]
    for event in events:
        lines += ["event: message", f"data: {json.dumps(event)}", "id: 7", ""]
    lines += ["data: [DONE]", ""] if has_end else []
    data = (newline.join(lines) + newline).encode()
    expected = [*events, *([END_OF_STREAM] if has_end else [])]
    assert read(ServerSentEvents(), data, cuts) == expected


@given(events=st.lists(JSON_OBJECTS, max_size=6), cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_json_lines_do_not_depend_on_the_cuts(events: list[dict[str, JsonValue]], cuts: list[int]) -> None:
    """Lines of JSON come out in order; blank lines between them carry nothing."""
    data = "\n\n".join(json.dumps(event, ensure_ascii=False) for event in events).encode() + b"\n"
    assert read(JsonLines(), data, cuts) == events


def test_an_event_may_spread_over_several_data_lines() -> None:
    """Data lines of one event are joined by a line feed, with or without the blank after the colon."""
    assert ServerSentEvents().feed(b'data: {"a":\ndata:1}\n\n') == [{"a": 1}]


def test_separators_of_unicode_do_not_end_a_line() -> None:
    """U+2028 and U+0085 are text, not line ends."""
    event = {"text": "a\u2028b\u0085c"}
    line = json.dumps(event, ensure_ascii=False).encode()
    assert ServerSentEvents().feed(b"data: " + line + b"\n\n") == [event]
    assert JsonLines().feed(line + b"\n") == [event]


def test_a_last_event_without_its_blank_line_is_taken_when_it_is_whole() -> None:
    """A provider that leaves out the very last line end has still said what it said."""
    parser = ServerSentEvents()
    assert parser.feed(b'data: {"a": 1}') == []
    assert parser.finish() == [{"a": 1}]


@pytest.mark.parametrize("framing_kind", list(Framing))
def test_a_torn_last_event_is_an_error(framing_kind: Framing) -> None:
    """An event that was cut in the middle is not passed over in silence."""
    parser = parser_for(framing_kind)
    assert parser.feed(b'data: {"a": ' if framing_kind is Framing.SSE else b'{"a": ') == []
    with pytest.raises(MalformedResponseError):
        parser.finish()


@pytest.mark.parametrize("text", [b"NaN", b'{"a": Infinity}', b"<html>", b"", b'{"a":', b"[" * 5000])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """Non-finite numbers, web pages, nothing, torn and absurdly nested texts are malformed."""
    with pytest.raises(MalformedResponseError):
        parse_json(text)


def test_broken_utf8_costs_one_character_and_not_the_answer() -> None:
    """Bytes that are not UTF-8 become U+FFFD."""
    assert parse_json(b'{"text": "a\xffb"}') == {"text": "a\ufffdb"}


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    """A line that never ends is given up at 16 MiB."""
    parser = ServerSentEvents()
    for _ in range(16):
        parser.feed(b"x" * 1_000_000)
    with pytest.raises(MalformedResponseError, match="larger than"):
        parser.feed(b"x" * 1_000_000)


@given(st.binary(max_size=400))
def test_a_sample_is_short_and_can_be_shown(body: bytes) -> None:
    """A sample of a body is at most 200 characters, none of which moves the cursor."""
    sample = sample_of(body)
    assert len(sample) <= 200
    assert sample.isprintable()
