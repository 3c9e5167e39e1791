"""Every call has an id of its own."""

import os
import threading

import pytest

from dipeo.infrastructure.llm.drivers.call_ids import CallIds


def test_ids_are_told_apart_and_look_alike() -> None:
    """Many of two services, in many threads: none twice, each 32 hexadecimal digits."""
    services = [CallIds(), CallIds()]
    made: list[str] = []

    def draw() -> None:
        made.extend([ids.new() for _ in range(500) for ids in services])

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 8_000
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in made)


# Newer Pythons warn of any fork beside a thread; that such a fork works is what the test shows.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_process_goes_on_elsewhere() -> None:
    """Parent and child would otherwise give the next call of each the same id."""
    ids = CallIds()
    ids.new()
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writes, ids.new().encode())
            os._exit(0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    theirs, ours = os.read(reads, 100).decode(), ids.new()
    os.close(reads)
    os.close(writes)
    assert len(theirs) == len(ours) == 32
    assert theirs[:20] != ours[:20]


def test_the_beginning_is_drawn_when_it_is_needed() -> None:
    """A process that is forked before its first call begins for itself, whether the interpreter knows of it or not."""
    ids = CallIds()
    assert repr(ids) == "<CallIds ...>"
    assert ids.new()[20:] == "000000000000"
    assert ids.new()[20:] == "000000000001"


def test_it_shows_where_it_begins() -> None:
    """Which is the beginning of every id."""
    ids = CallIds()
    assert ids.new()[:20] in repr(ids)
