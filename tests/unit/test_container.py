"""The container binds what can be put in place of it, and settings that are none are refused."""

import pytest

from dipeo.config import Settings
from dipeo.container.root import Container
from dipeo.facade import Parts, wired
from dipeo.testing import FakeLedger, ManualClock


@pytest.mark.parametrize("name", sorted(Parts.__annotations__))
def test_every_part_can_be_put_in_place(name: str) -> None:
    """Each name of a part is a provider of the container, and what is put there is what it gives."""
    part = object()
    container = Container(Settings())
    getattr(container, name).override(part)
    assert getattr(container, name)() is part


def test_each_thing_is_made_once_and_shared() -> None:
    """Whoever asks for the pool or the ledger has what the stack has, and no other container has it."""
    ledger, clock = FakeLedger(), ManualClock()
    container = wired(Settings(), ledger=ledger, clock=clock)
    assert container.pool() is container.pool()
    assert container.service() is container.service()
    parts: list[object] = [container.ledger(), container.clock()]
    assert parts == [ledger, clock]
    assert wired(Settings()).pool() is not container.pool()


def test_what_is_no_part_or_no_settings_is_refused() -> None:
    """The message says what there is."""
    with pytest.raises(TypeError, match=r"has no part 'leger'; the parts are .*ledger"):
        wired(Settings(), leger=FakeLedger())  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes Settings, not dict"):
        wired({"timeout_s": 3})  # type: ignore[arg-type]
