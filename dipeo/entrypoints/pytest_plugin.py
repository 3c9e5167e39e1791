"""The pytest plugin: a simulator, settings that lead to it, scripted models, and no real calls by accident.

pytest loads it wherever dipeo is installed. Nothing of dipeo is therefore imported before a test asks for it, but for
the lock on real calls. `-p no:dipeo` leaves the plugin out.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from dipeo.config import Settings
    from dipeo.testing import ProviderSimulator, ScriptedModel
    from dipeo.testing.scripted import ScriptedAnswer

_GUARD: Final = pytest.StashKey[ExitStack]()
_SCRIPTED: Final = pytest.StashKey["list[ScriptedModel]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--dipeo-live`."""
    parser.getgroup("dipeo").addoption(
        "--dipeo-live", action="store_true", help="let tests call real providers through dipeo"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Forbids real calls for the whole session."""
    config.addinivalue_line("markers", "live: may call real providers through dipeo")
    if not config.getoption("dipeo_live"):
        config.stash[_GUARD] = ExitStack()
        _forbid(config.stash[_GUARD])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Lifts what `pytest_configure` has forbidden."""
    if guard := config.stash.get(_GUARD, None):
        guard.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Allows real calls while a test marked `live` runs, its fixtures included."""
    guard = item.config.stash.get(_GUARD, None)
    if guard is None or item.get_closest_marker("live") is None:
        return (yield)
    guard.close()
    try:
        return (yield)
    finally:
        _forbid(guard)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fails a test that would pass, but has left scripted answers unused."""
    result = yield
    for model in item.stash.get(_SCRIPTED, ()):
        if unused := model.unused:
            pytest.fail(f"{len(unused)} scripted answers were not used: {list(unused)!r}", pytrace=False)
    return result


@pytest.fixture
def provider_simulator() -> Iterator[ProviderSimulator]:
    """A fresh `ProviderSimulator` on a thread of its own; `.unused` tells which scripted replies nobody asked for."""
    from dipeo.testing import ProviderSimulator

    with ProviderSimulator() as simulator:
        yield simulator


@pytest.fixture
def provider_settings(provider_simulator: ProviderSimulator) -> Settings:
    """Settings that point every service at `provider_simulator`, with made-up keys."""
    from dipeo.config import Settings
    from dipeo.infrastructure.keys.variable_name import USUAL_VARIABLES

    environ = {name: "sk-made-up" for names in USUAL_VARIABLES.values() for name in names}
    return Settings(base_urls=provider_simulator.base_urls, environ=environ)


@pytest.fixture
def scripted_model(request: pytest.FixtureRequest) -> Callable[..., ScriptedModel]:
    """Makes a `ScriptedModel` of the answers it is called with; the test fails if some are left at its end."""
    from dipeo.testing import ScriptedModel

    made: list[ScriptedModel] = request.node.stash.setdefault(_SCRIPTED, [])

    def script(*answers: ScriptedAnswer) -> ScriptedModel:
        made.append(ScriptedModel(*answers))
        return made[-1]

    return script


def _forbid(guard: ExitStack) -> None:
    from dipeo.infrastructure.llm.wires.live_calls import forbid_live_calls

    guard.enter_context(forbid_live_calls())
