"""Each event loop has a value of its own, for as long as the loop lives."""

import asyncio
import gc
import os
import weakref
from collections.abc import Iterator
from itertools import count

import pytest

from dipeo.infrastructure.llm.drivers.per_loop import PerLoop


class Value:
    """Something that belongs to a loop."""

    numbers = count()

    def __init__(self) -> None:
        self.number = next(self.numbers)


@pytest.fixture
def loops() -> Iterator[list[asyncio.AbstractEventLoop]]:
    """Three loops that are open."""
    made = [asyncio.new_event_loop() for _ in range(3)]
    yield made
    for loop in made:
        loop.close()


def test_each_loop_keeps_its_own_value(loops: list[asyncio.AbstractEventLoop]) -> None:
    """A value is made once for each loop, in whatever order they ask."""
    values = PerLoop(Value)
    first = [values.get(loop) for loop in loops]
    assert len({value.number for value in first}) == 3
    for order in ((0, 1, 2), (2, 1, 0), (1, 1, 0), (2, 0, 2)):
        assert [values.get(loops[index]) for index in order] == [first[index] for index in order]
    assert values.values() == first


def test_a_value_is_taken_away_once(loops: list[asyncio.AbstractEventLoop]) -> None:
    """Afterwards there is none, and the next who asks gets a new one; the others keep theirs."""
    values = PerLoop(Value)
    other, mine = values.get(loops[0]), values.get(loops[1])
    assert values.pop(loops[1]) is mine
    assert values.pop(loops[1]) is None
    assert values.pop(loops[2]) is None
    assert values.values() == [other]
    assert values.get(loops[1]) is not mine
    assert values.get(loops[0]) is other


def test_loops_that_are_closed_are_forgotten(loops: list[asyncio.AbstractEventLoop]) -> None:
    """A loop that is closed but still held by somebody keeps no value once another loop comes."""
    values = PerLoop(Value)
    first, second = values.get(loops[0]), values.get(loops[1])
    loops[0].close()
    assert values.values() == [first, second]
    third = values.get(loops[2])
    assert values.values() == [second, third]


def test_loops_that_are_gone_are_forgotten() -> None:
    """The value does not outlive its loop for long, and does not keep it alive."""
    values = PerLoop(Value)
    loop = asyncio.new_event_loop()
    gone = weakref.ref(loop)
    values.get(loop)
    loop.close()
    del loop
    gc.collect()
    assert gone() is None
    assert values.values() == []


def test_a_forked_process_begins_with_nothing(loops: list[asyncio.AbstractEventLoop]) -> None:
    """What the parent made is not there any more, and is kept alive all the same, so that nothing in it is closed."""
    values = PerLoop(Value)
    kept = [weakref.ref(values.get(loop)) for loop in loops[:2]]
    values.begin_in_child()
    assert values.values() == []
    gc.collect()
    assert None not in [each() for each in kept]
    assert values.get(loops[1]) is not kept[1]()
    assert values.pop(loops[0]) is None


# Newer Pythons warn of any fork beside a thread; that such a fork works is what the test shows.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_the_interpreter_says_when_a_process_is_forked(loops: list[asyncio.AbstractEventLoop]) -> None:
    """Nobody has to call for a new beginning; the parent keeps what it has."""
    values = PerLoop(Value)
    mine = values.get(loops[0])
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if values.values() == [] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert values.values() == [mine]
