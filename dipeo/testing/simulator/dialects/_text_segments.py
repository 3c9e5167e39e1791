"""A text in stretches with and without a source."""

from __future__ import annotations

import attrs

from dipeo.testing.simulator.answers import split_words
from dipeo.testing.simulator.exchange import Answer
from dipeo.testing.simulator.reply_parts import SimulatedCitation


@attrs.frozen(slots=True)
class Segment:
    """A stretch of the text, the pieces it is streamed in and its sources."""

    text: str
    pieces: tuple[str, ...]
    citations: tuple[SimulatedCitation, ...] = ()


def segments_of(answer: Answer) -> tuple[Segment, ...]:
    """The answer's text, cut where a source begins or ends; empty for an empty text."""
    if not answer.text:
        return ()
    if not answer.citations:
        return (Segment(answer.text, answer.pieces),)
    found: list[Segment] = []
    at = 0
    ordered = sorted(answer.citations, key=lambda one: (one.start, one.end))
    for stretch in dict.fromkeys((one.start, one.end) for one in ordered):
        start, end = stretch
        if start < at:
            continue
        sources = tuple(one for one in ordered if (one.start, one.end) == stretch)
        found += _segment(answer.text[at:start], ())
        found += _segment(answer.text[start:end], sources)
        at = max(at, end)
    return (*found, *_segment(answer.text[at:], ()))


def _segment(text: str, citations: tuple[SimulatedCitation, ...]) -> list[Segment]:
    return [Segment(text, split_words(text), citations)] if text else []
