"""Bytes become events, however they are cut."""

import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.errors import MalformedResponseError
from dipeo.domain.json_value import JsonValue
from dipeo.infrastructure.llm.drivers.wire import END_OF_STREAM, Framing
from dipeo.infrastructure.llm.wires import framing
from dipeo.infrastructure.llm.wires.framing import (
    UNREADABLE,
    EventParser,
    JsonLines,
    ServerSentEvents,
    parse_json,
    parser_for,
    readable,
    sample_of,
)
from dipeo.infrastructure.llm.wires.limits import MAX_JSON_CONTAINERS, MAX_JSON_VALUES

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


# --- sizes, and what is left over ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parser", [ServerSentEvents, JsonLines])
def test_an_event_of_exactly_the_limit_is_taken(parser: Callable[[], EventParser]) -> None:
    """Sixteen MiB are allowed, and one byte more is not; without its end it waits."""
    assert framing.MAX_EVENT_BYTES == 16 * 1024 * 1024
    assert parser().feed(b"x" * framing.MAX_EVENT_BYTES) == []
    with pytest.raises(MalformedResponseError, match="larger than 16777216 bytes"):
        parser().feed(b"x" * (framing.MAX_EVENT_BYTES + 1))


def test_the_lines_of_an_event_count_together() -> None:
    """An event whose lines are all short may not be endless; an event that ended counts no more."""
    line = b"data: " + b" " * (1024 * 1024 - 6) + b"\n"
    parser = ServerSentEvents()
    for _ in range(3):
        assert parser.feed(b"data: [\n" + line * 15) == []
        assert parser.feed(b"data: ]\n\n") == [[]]
    assert parser.feed(b"data: [\n" + line * 15 + line[:-8]) == []
    assert parser.feed(b"") == []
    with pytest.raises(MalformedResponseError, match="larger than"):
        parser.feed(b" ")


def test_many_events_in_one_chunk_are_not_one_large_event() -> None:
    """What counts is a single event, not what arrives at once."""
    event = b'data: "' + b"x" * (1024 * 1024) + b'"\n\n'
    assert len(ServerSentEvents().feed(event * 17)) == 17
    assert len(JsonLines().feed(event[6:] * 17)) == 17


def test_data_without_text_is_no_event() -> None:
    """The standard lets a server send empty data; it says nothing and does not join the next event."""
    parser = ServerSentEvents()
    assert parser.feed(b"data:\n\n") == []
    assert parser.feed(b"data: \ndata:\n\n") == []
    assert parser.feed(b"data: 1\n\n") == [1]
    assert parser.finish() == []


def test_empty_data_before_the_end_marker_is_not_part_of_it() -> None:
    """What comes after the blank line is another event."""
    assert ServerSentEvents().feed(b"data:\n\ndata: [DONE]\n\n") == [END_OF_STREAM]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_an_empty_line_of_data_is_a_line_of_its_event(newline: str) -> None:
    """It is data like any other line, as long as there is some text in one of them, however the lines end."""
    lines = ["data: [1,", "data:", "data: 2]", "", ""]
    assert ServerSentEvents().feed(newline.join(lines).encode()) == [[1, 2]]


def test_a_mark_of_byte_order_is_left_out_at_the_beginning_alone() -> None:
    """The first bytes of a stream may be such a mark; those of a later chunk belong to the text."""
    parser = ServerSentEvents()
    assert parser.feed(b"") == []
    assert parser.feed(b"\xef\xbb\xbfdata: 1\n\n") == [1]
    assert parser.feed(b"\xef\xbb\xbfdata: 2\n\n") == []
    with_text = ServerSentEvents()
    assert with_text.feed(b'data: "') == []
    assert with_text.feed(b'\xef\xbb\xbf"\n\n') == ["\ufeff"]


@pytest.mark.parametrize("pause", [b"", b": so far\n"])
def test_a_line_feed_after_a_cut_belongs_to_the_return_before_it(pause: bytes) -> None:
    """CR LF is one line end even where it is cut in two, and an empty chunk may lie between the halves."""
    parser = ServerSentEvents()
    assert parser.feed(b"data: [1,\r") == []
    assert parser.feed(b"") == []
    assert parser.feed(b"\n" + pause + b"data: 2]\r") == []
    assert parser.feed(b"\r") == [[1, 2]]
    assert parser.feed(b"\ndata: 3\n\n") == [3]


def test_a_return_within_a_chunk_ends_no_line_of_the_next() -> None:
    """Only a return at the very end of a chunk can be half a line end."""
    parser = ServerSentEvents()
    assert parser.feed(b"data: 1\r\r: x") == [1]
    assert parser.feed(b"\ndata: 2\n\n") == [2]
    parser = ServerSentEvents()
    assert parser.feed(b"data: 1\r") == []
    assert parser.feed(b"data: 2\n") == []
    assert parser.feed(b"data: 3\n") == []
    with pytest.raises(MalformedResponseError):
        parser.feed(b"\n")


@pytest.mark.parametrize("rest", [b"", b"\n", b": a comment", b"event: done", b"id: 7\n", b"dat"])
def test_what_is_no_data_is_nothing_at_the_end(rest: bytes) -> None:
    """A stream may end in the midst of a comment, or of a field that carries nothing."""
    parser = ServerSentEvents()
    assert parser.feed(b"data: 1\n\n" + rest) == [1]
    assert parser.finish() == []


def test_what_is_whole_at_the_end_is_taken() -> None:
    """Data whose line ended, but not its event, is whole all the same; so is a last line of JSON."""
    parser = ServerSentEvents()
    assert parser.feed(b"data: 1\n") == []
    assert parser.finish() == [1]
    lines = JsonLines()
    assert lines.feed(b"1\n2") == [1]
    assert lines.finish() == [2]
    assert lines.finish() == []
    blank = JsonLines()
    assert blank.feed(b"1\n  ") == [1]
    assert blank.finish() == []


@pytest.mark.parametrize("line", [b"datum: 1", b" data: 1", b"id: data: 1", b"data", b"xdata: 1"])
def test_only_data_is_read(line: bytes) -> None:
    """Other fields carry nothing that the JSON does not say too."""
    assert ServerSentEvents().feed(line + b"\n\n") == []


def test_only_one_blank_after_the_colon_is_left_out() -> None:
    """What follows it belongs to the data: the end marker with more around it is none."""
    assert ServerSentEvents().feed(b"data: [DONE]\n\ndata:[DONE]\n\n") == [END_OF_STREAM, END_OF_STREAM]
    with pytest.raises(MalformedResponseError):
        ServerSentEvents().feed(b"data:  [DONE]\n\n")
    with pytest.raises(MalformedResponseError):
        ServerSentEvents().feed(b"data: [DONE] \n\n")


def test_what_is_not_json_is_shown_in_part() -> None:
    """The error holds the beginning of what came, so that one can see what it was."""
    with pytest.raises(MalformedResponseError) as caught:
        parse_json(b"<html>" + b"x" * 300)
    assert caught.value.context["sample"] == "<html>" + "x" * 194


@pytest.mark.parametrize(
    ("body", "sample"),
    [
        (b"", ""),
        (b"a\nb\x1b[0m", "a\\nb\\x1b[0m"),
        (b"a\xffb", "a\ufffdb"),
        (b"it's \\", "it's \\"),
        (b"x" * 199, "x" * 199),
        (b"x" * 201, "x" * 200),
        ("\U0001f600".encode() * 201, "\U0001f600" * 200),
        (b"\x00" * 300, ("\\x00" * 300)[:200]),
    ],
)
def test_a_sample_is_the_beginning_as_it_can_be_shown(body: bytes, sample: str) -> None:
    """At most two hundred characters of any size, those that cannot be shown escaped."""
    assert sample_of(body) == sample


def test_blank_events_do_not_add_up() -> None:
    """An event without data is none: however many there were, the next one has all the room there is."""
    parser = ServerSentEvents()
    for _ in range(40):
        assert parser.feed(b"data:\n\n" * 100_000) == []
    assert parser.feed(b"data: 1\n\n") == [1]


@pytest.mark.parametrize("framing_kind", Framing)
@pytest.mark.parametrize("place", range(1, 3))
def test_what_came_before_an_unreadable_event_is_given_first(framing_kind: Framing, place: int) -> None:
    """Events that arrive together with one that cannot be read are not lost with it; alone, it is an error at once."""
    texts = [b"[1]", b"[2]", b"[3]"]
    texts[place] = b"[oops"
    mark = (b"data: ", b"\n\n") if framing_kind is Framing.SSE else (b"", b"\n")
    events = parser_for(framing_kind).feed(b"".join(mark[0] + text + mark[1] for text in texts))
    assert events == [*([1], [2])[:place], UNREADABLE]
    with pytest.raises(MalformedResponseError):
        parser_for(framing_kind).feed(mark[0] + b"[oops" + mark[1])
    with pytest.raises(MalformedResponseError):
        readable(UNREADABLE)
    assert readable([1]) == [1]


@pytest.mark.parametrize(
    ("body", "is_cut_off"),
    [
        (b"", True),
        (b'{"a": ', True),
        (b'{"a": "\xc3\xa9', True),
        (b'{"a": "\xff', True),
        (b"<html>", False),
        (b'{"a": NaN}', False),
        (b'{"a": 1}}', False),
        (b"9" * 5_000, False),
        (b"[" * 200_000 + b"]" * 200_000, False),
    ],
)
def test_a_reply_knows_the_beginning_of_json_from_what_never_was_any(body: bytes, is_cut_off: bool) -> None:
    """The one may come whole the next time; the other comes again."""
    reply = framing.reply_from(200, {"a": "b"}, body)
    assert (reply.status, reply.headers, reply.json) == (200, {"a": "b"}, None)
    assert (reply.sample, reply.is_cut_off) == (framing.sample_of(body), is_cut_off)


def test_a_reply_that_is_json_has_no_sample() -> None:
    """There is nothing to show that the value does not say."""
    reply = framing.reply_from(200, {}, b'{"a": 1}')
    assert (reply.json, reply.sample, reply.is_cut_off) == ({"a": 1}, "", False)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (b"[],", MAX_JSON_CONTAINERS),
        (b"{},", MAX_JSON_CONTAINERS),
        (b"0,", MAX_JSON_VALUES),
    ],
)
def test_more_values_than_anybody_answers_with_are_not_parsed(value: bytes, allowed: int) -> None:
    """Counted before anything is made of them; so many that are allowed are read."""
    fits = b"[" + value * (allowed - 1) + b"0]"
    assert isinstance(framing.parse_json(fits), list)
    with pytest.raises(MalformedResponseError, match="too many values"):
        framing.parse_json(fits[:-2] + value * 2 + b"0]")
