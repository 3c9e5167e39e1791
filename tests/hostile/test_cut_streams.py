"""A stream that is cut, after whichever byte, is never taken for a whole one."""

import random

import pytest

from dipeo.domain.completion import Completion
from dipeo.domain.errors import IncompleteStreamError, LLMServiceError
from tests.hostile.reading import Reader, Received, headers_of
from tests.hostile.specimens import OWN_STREAMS, Specimen, recorded_streams
from tests.recordings import insist_or_skip

RECORDED = recorded_streams(up_to_bytes=3_700)
LONG = [each for each in recorded_streams(up_to_bytes=60_000) if each not in RECORDED]

_CUTS_OF_A_LONG_STREAM = 300


async def whole(reader: Reader, specimen: Specimen) -> Completion:
    """The answer as it is when nothing is missing."""
    read = await reader.stream(specimen, Received([specimen.body], headers=headers_of(specimen)))
    assert read.completion is not None, read.error
    assert read.completion.text == read.text
    return read.completion


async def check_cut(reader: Reader, specimen: Specimen, at: int, expected: Completion, *, is_broken: bool) -> None:
    """What must hold of the first `at` bytes of a stream, ended properly or with a lost connection."""
    received = Received([specimen.body[:at]], headers=headers_of(specimen), is_broken=is_broken)
    read = await reader.stream(specimen, received)
    where = f"{specimen.name} cut at {at} of {len(specimen.body)}: {read.error!r}"
    if read.completion is not None:
        assert at >= specimen.whole_at, f"a truncated stream was reported complete: {where}"
        assert read.completion == expected, where
        return
    assert read.error is not None, where
    assert isinstance(read.error, LLMServiceError), where
    assert expected.text.startswith(read.text), where
    if read.text:
        assert isinstance(read.error, IncompleteStreamError), where
        assert read.error.partial_text == read.text, where
    # Whoever has seen the end may say so; but nobody must, who has lost the connection at that very moment.
    assert is_broken or at < specimen.whole_at, where


@pytest.mark.parametrize("specimen", OWN_STREAMS, ids=str)
@pytest.mark.parametrize("is_broken", [False, True], ids=["ended", "lost"])
async def test_a_stream_cut_at_any_byte_is_incomplete(specimen: Specimen, is_broken: bool) -> None:
    """Every byte of five dialects with text, tool calls and reasoning; the text so far is kept on the error."""
    reader = Reader()
    expected = await whole(reader, specimen)
    assert expected.text
    assert expected.tool_calls
    assert expected.reasoning
    for at in range(len(specimen.body)):
        await check_cut(reader, specimen, at, expected, is_broken=is_broken)


@pytest.mark.recordings
@pytest.mark.parametrize("specimen", RECORDED, ids=str)
async def test_a_recorded_stream_cut_at_any_byte_is_incomplete(specimen: Specimen) -> None:
    """What providers really sent, at every byte."""
    insist_or_skip()
    reader = Reader()
    expected = await whole(reader, specimen)
    for at in range(len(specimen.body)):
        await check_cut(reader, specimen, at, expected, is_broken=False)


@pytest.mark.recordings
@pytest.mark.parametrize("specimen", LONG, ids=str)
async def test_a_long_recorded_stream_is_cut_here_and_there(specimen: Specimen) -> None:
    """The longer recordings at bytes drawn by lot, and at every byte around their last event."""
    insist_or_skip()
    reader = Reader()
    expected = await whole(reader, specimen)
    chance = random.Random(specimen.name)
    drawn = {chance.randrange(len(specimen.body)) for _ in range(_CUTS_OF_A_LONG_STREAM)}
    near_the_end = range(specimen.whole_at - 60, len(specimen.body))
    for at in sorted(drawn.union(near_the_end)):
        await check_cut(reader, specimen, at, expected, is_broken=bool(at % 2))


@pytest.mark.parametrize("specimen", [*OWN_STREAMS, *RECORDED], ids=str)
async def test_how_a_stream_is_cut_into_pieces_says_nothing(specimen: Specimen) -> None:
    """One byte at a time, or pieces drawn by lot: the answer is the same."""
    reader = Reader()
    expected = await whole(reader, specimen)
    body, chance = specimen.body, random.Random(specimen.name)
    for most in (1, 2, 7, 100):
        pieces, at = [], 0
        while at < len(body):
            size = chance.randint(1, most)
            pieces.append(body[at : at + size])
            at += size
        read = await reader.stream(specimen, Received(pieces, headers=headers_of(specimen)))
        assert read.completion == expected
        assert read.text == expected.text
