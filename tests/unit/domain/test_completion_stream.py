"""A stream is read once, knows its answer at the end, and lets go of its source."""

import asyncio
import gc
import warnings
from collections.abc import AsyncGenerator, Sequence

import pytest

from dipeo.domain.completion import Completion, FinishReason
from dipeo.domain.errors import EmptyResponseError, ProviderError, StreamNotFinishedError
from dipeo.domain.parts import TextPart
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, ReasoningDelta, TextDelta

COMPLETION = Completion(
    service=LLMService.OPENAI, model="m", parts=(TextPart("Hello."),), finish_reason=FinishReason.STOP
)
EVENTS: tuple[CompletionEvent, ...] = (
    ReasoningDelta("hm"),
    TextDelta("Hel"),
    TextDelta("lo."),
    CompletionEnd(COMPLETION),
)


class Source:
    """A source of events that knows how often it was begun and let go."""

    def __init__(self, events: Sequence[CompletionEvent | Exception] = EVENTS) -> None:
        self.given = events
        self.begun = 0
        self.closed = 0

    async def events(self) -> AsyncGenerator[CompletionEvent, None]:
        """The events."""
        self.begun += 1
        try:
            for event in self.given:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed += 1

    def stream(self) -> CompletionStream:
        """A stream over them."""
        return CompletionStream(self.events())


async def test_events_come_in_order() -> None:
    """A reader sees what the source gives, the end included, and then no more."""
    source = Source()
    async with source.stream() as stream:
        assert tuple([event async for event in stream]) == EVENTS
        assert [event async for event in stream] == []
    assert (source.begun, source.closed) == (1, 1)


async def test_text_is_the_text_alone() -> None:
    """Thoughts and the end are no text."""
    async with Source().stream() as stream:
        assert [text async for text in stream.text()] == ["Hel", "lo."]
        assert stream.completion is COMPLETION


async def test_the_answer_is_known_at_the_end() -> None:
    """Asking for it before is a mistake; afterwards it stays known, closed or not."""
    async with Source().stream() as stream:
        for _ in range(3):
            with pytest.raises(StreamNotFinishedError):
                _ = stream.completion
            await anext(stream)
        await anext(stream)
        assert stream.completion is COMPLETION
    assert stream.completion is COMPLETION


async def test_collecting_reads_to_the_end_and_closes() -> None:
    """The whole answer comes back, and the source is let go."""
    source = Source()
    assert await source.stream().collect() is COMPLETION
    assert source.closed == 1


async def test_collecting_can_begin_in_the_middle() -> None:
    """What was read before need not be read again."""
    stream = Source().stream()
    await anext(stream)
    assert await stream.collect() is COMPLETION


async def test_a_stream_without_an_end_has_no_answer() -> None:
    """A source that stops early is an empty response, not a shorter answer."""
    with pytest.raises(EmptyResponseError):
        await Source([TextDelta("Hel")]).stream().collect()


async def test_errors_come_through() -> None:
    """What the source raises reaches the reader unchanged, after what came before, and the source is let go."""
    problem = ProviderError("broken")
    source = Source([TextDelta("Hel"), problem])
    stream = source.stream()
    assert await anext(stream) == TextDelta("Hel")
    with pytest.raises(ProviderError) as caught:
        await anext(stream)
    assert caught.value is problem
    assert source.closed == 1


async def test_nothing_happens_before_the_first_event_is_asked_for() -> None:
    """Making, closing and dropping a stream asks nobody, and warns of nothing."""
    source = Source()
    stream = source.stream()
    await stream.aclose()
    dropped = source.stream()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del dropped
        gc.collect()
    assert caught == []
    assert source.begun == 0


async def test_leaving_the_block_closes_the_source() -> None:
    """However the block is left, the source is let go before the next line runs."""
    source = Source()
    async with source.stream() as stream:
        await anext(stream)
        assert source.closed == 0
    assert source.closed == 1

    failing = Source()

    async def read() -> None:
        async with failing.stream() as stream:
            await anext(stream)
            raise KeyError

    with pytest.raises(KeyError):
        await read()
    assert failing.closed == 1


async def test_closing_twice_does_nothing() -> None:
    """The source is let go once; a closed stream has no more events, and still no answer."""
    source = Source()
    stream = source.stream()
    await anext(stream)
    await stream.aclose()
    await stream.aclose()
    assert source.closed == 1
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    with pytest.raises(StreamNotFinishedError):
        _ = stream.completion


async def test_an_abandoned_stream_warns_and_is_closed() -> None:
    """Dropping a stream in the middle is a leak that is told, and mended by the event loop."""
    source = Source()
    streams = [source.stream()]
    await anext(streams[0])
    with pytest.warns(ResourceWarning, match="was not closed"):
        streams.clear()
    for _ in range(3):
        await asyncio.sleep(0)
    assert source.closed == 1


@pytest.mark.parametrize("events", [EVENTS, (TextDelta("x"), ProviderError())])
async def test_a_stream_that_ended_by_itself_need_not_be_closed(
    events: Sequence[CompletionEvent | Exception],
) -> None:
    """One that was read to its end, or failed, holds nothing, and warns of nothing."""
    source = Source(events)
    stream = source.stream()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            async for _ in stream:
                pass
        except ProviderError:
            pass
        del stream
        gc.collect()
    assert caught == []
    assert source.closed == 1


async def test_cancelling_the_reader_closes_the_source() -> None:
    """A reader who is cancelled in the middle of a wait leaves nothing open."""
    closed: list[str] = []

    async def hanging() -> AsyncGenerator[CompletionEvent, None]:
        try:
            yield TextDelta("Hel")
            await asyncio.Event().wait()
        finally:
            closed.append("source")

    async def read() -> None:
        await CompletionStream(hanging()).collect()

    task = asyncio.ensure_future(read())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == ["source"]


async def test_it_prints_its_state() -> None:
    """A stream is open, finished or closed."""
    stream = Source().stream()
    assert repr(stream) == "<CompletionStream open>"
    await anext(stream)
    await stream.aclose()
    assert repr(stream) == "<CompletionStream closed>"
    finished = Source().stream()
    await finished.collect()
    assert repr(finished) == "<CompletionStream finished>"


async def test_the_warning_names_the_place_and_the_stream() -> None:
    """It points to the line that dropped the stream, and holds what Python needs to say where it was made."""
    streams = [Source().stream()]
    await anext(streams[0])
    with pytest.warns(ResourceWarning) as caught:
        streams.clear()
    assert caught[0].filename == __file__
    assert isinstance(caught[0].source, CompletionStream)
    caught.clear()
    for _ in range(3):
        await asyncio.sleep(0)
