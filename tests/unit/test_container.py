"""The container binds what can be put in place of it, and settings that are none are refused."""

import gc
from types import FunctionType, ModuleType

import pytest

from dipeo.config import Settings
from dipeo.container.root import Container
from dipeo.facade import Parts, wired
from dipeo.testing import FakeLedger, ManualClock

SEEN = ("service", "context", "embeddings", "model_lists", "prompt_sizes")
"""What is asked of a container; what is put in place must be found in one of these."""


def holds(holder: object, part: object) -> bool:
    """Whether the part is reached from the holder, over the objects that dipeo has put together."""
    known: set[int] = set()
    to_see: list[object] = [holder]
    while to_see:
        each = to_see.pop()
        if each is part:
            return True
        if id(each) in known or isinstance(each, type | ModuleType):
            continue
        known.add(id(each))
        # A container's own providers would lead everywhere, and a function's names to its whole module.
        if type(each).__module__.startswith("dependency_injector"):
            continue
        to_see += [*(each.__closure__ or ())] if isinstance(each, FunctionType) else gc.get_referents(each)
    return False


@pytest.mark.parametrize("name", sorted(Parts.__annotations__))
def test_every_part_reaches_those_who_need_it(name: str) -> None:
    """What is put in place of a part is found in what the container makes; without that, it is not."""
    part = object()
    container, other = Container(Settings()), Container(Settings())
    getattr(container, name).override(part)
    assert any(holds(getattr(container, seen)(), part) for seen in SEEN)
    assert not any(holds(getattr(other, seen)(), part) for seen in SEEN)


@pytest.mark.parametrize("name", ["clock", "keys", "ledger", "aliases", "pool", "counter"])
def test_what_several_need_is_the_same_for_all(name: str) -> None:
    """A part that completions and embeddings both need is found in both."""
    part = object()
    container = Container(Settings())
    getattr(container, name).override(part)
    held = [seen for seen in ("service", "embeddings") if holds(getattr(container, seen)(), part)]
    # A counter that is not dipeo's own learns nothing, and is not told what answers used.
    assert held == (["embeddings"] if name == "counter" else ["service", "embeddings"])


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
