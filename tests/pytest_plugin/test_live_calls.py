"""The lock on real calls."""

import pickle
import threading

import pytest

from dipeo import errors
from dipeo.infrastructure.llm.drivers.endpoint import is_loopback
from dipeo.infrastructure.llm.wires.http import HttpWire
from dipeo.infrastructure.llm.wires.live_calls import (
    LiveCallForbiddenError,
    check_live_call,
    forbid_live_calls,
)

REAL = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "localhost", "LOCALHOST", "localhost.", "api.localhost"],
)
def test_this_machine_is_loopback(host: str) -> None:
    """The whole of 127.0.0.0/8, `::1`, and the names that stand for them."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "api.openai.com",
        "localhost.example.com",
        "notlocalhost",
        "0.0.0.0",
        "128.0.0.1",
        "10.0.0.1",
        "::2",
        "2130706433",
    ],
)
def test_everything_else_is_not(host: str) -> None:
    """Neither private networks nor names that look like this machine's."""
    assert not is_loopback(host)


@pytest.mark.live
def test_calls_are_forbidden_until_the_last_block_ends() -> None:
    """Blocks nest, an exception ends a block like any other, and without a block everything is allowed."""
    check_live_call(REAL)
    with forbid_live_calls():
        with pytest.raises(ZeroDivisionError), forbid_live_calls():
            _ = 1 / 0
        with pytest.raises(LiveCallForbiddenError):
            check_live_call(REAL)
        check_live_call("http://[::1]:8000/v1")
    check_live_call(REAL)


@pytest.mark.live
def test_a_block_holds_for_every_thread() -> None:
    """What one thread forbids, another may not do; blocks that overlap in time count together."""
    overlap = threading.Barrier(8, timeout=10)
    refused: list[str] = []

    def call() -> None:
        with forbid_live_calls():
            overlap.wait()
        overlap.wait()
        check_live_call(REAL)

    def call_elsewhere() -> None:
        try:
            check_live_call(REAL)
        except LiveCallForbiddenError as error:
            refused.append(error.host)

    with forbid_live_calls():
        elsewhere = threading.Thread(target=call_elsewhere)
        elsewhere.start()
        elsewhere.join()
    assert refused == ["api.openai.com"]
    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_live_call(REAL)


async def test_the_wire_asks_before_it_opens() -> None:
    """In this very session, a wire to a real host is refused, and the error is no outage."""
    with pytest.raises(LiveCallForbiddenError, match=r"'api\.openai\.com'.*pytest\.mark\.live.*--dipeo-live") as caught:
        HttpWire(REAL, credentials={"Authorization": "Bearer sk-canary-4711"})
    assert caught.value.host == "api.openai.com"
    assert "4711" not in str(caught.value)
    assert isinstance(caught.value, errors.DipeoUsageError)
    assert not isinstance(caught.value, errors.DipeoError)


def test_the_error_survives_pickling() -> None:
    """Parallel test runners send errors between processes."""
    copied = pickle.loads(pickle.dumps(LiveCallForbiddenError("api.openai.com")))
    assert (copied.host, str(copied)) == ("api.openai.com", str(LiveCallForbiddenError("api.openai.com")))
