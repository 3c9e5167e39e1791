"""What every source of aliases keeps."""

from collections.abc import Callable, Mapping

import pytest

from dipeo.domain.errors import ValidationError
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports import AliasPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.catalog.aliases import InMemoryAliases
from dipeo.testing import FakeAliases

QUICK = ModelTarget(service=LLMService.XAI, model="grok-4", api_key_id="team", base_url="https://proxy.example")
OTHER = ModelTarget(service=LLMService.OLLAMA, model="llama3.2:3b")

Make = Callable[[Mapping[str, ModelTarget]], AliasPort]


@pytest.fixture(params=[InMemoryAliases, FakeAliases])
def make(request: pytest.FixtureRequest) -> Make:
    """A maker of each kind."""
    chosen: Make = request.param
    return chosen


def test_it_is_a_source_of_aliases(make: Make) -> None:
    """It implements the port."""
    assert isinstance(make({}), AliasPort)


def test_an_alias_is_resolved_whole(make: Make) -> None:
    """Service, model, key and address are what was registered."""
    assert make({"quick": QUICK}).resolve("quick") == QUICK
    aliases = make({})
    aliases.register("quick", QUICK)
    assert aliases.resolve("quick") == QUICK


@pytest.mark.parametrize("name", ["unheard-of", "", "QUICK", "quick ", "qui"])
def test_an_unknown_name_is_nothing(make: Make, name: str) -> None:
    """What nobody registered, and no rule knows, is None; names are exact."""
    assert make({"quick": QUICK}).resolve(name) is None


def test_the_last_registration_counts(make: Make) -> None:
    """An alias that exists is replaced."""
    aliases = make({"quick": QUICK})
    aliases.register("quick", OTHER)
    assert aliases.resolve("quick") == OTHER
    assert dict(aliases.aliases()) == {"quick": OTHER}


def test_an_alias_is_no_chain(make: Make) -> None:
    """The model of a target is not looked up again."""
    aliases = make({"one": ModelTarget(service=LLMService.GROQ, model="two"), "two": OTHER})
    target = aliases.resolve("one")
    assert target is not None
    assert target.model == "two"


def test_the_aliases_are_those_that_were_registered(make: Make) -> None:
    """Looking names up makes no aliases."""
    aliases = make({"quick": QUICK})
    aliases.resolve("gpt-5")
    aliases.resolve("unheard-of")
    aliases.register("other", OTHER)
    assert dict(aliases.aliases()) == {"quick": QUICK, "other": OTHER}


def test_what_was_passed_in_is_not_touched(make: Make) -> None:
    """Registering does not reach into the mapping it began with, nor the other way round."""
    given = {"quick": QUICK}
    aliases = make(given)
    aliases.register("other", OTHER)
    assert set(given) == {"quick"}
    given.clear()
    assert aliases.resolve("quick") == QUICK


def test_what_is_handed_out_stays_as_it_was(make: Make) -> None:
    """A caller may walk over the aliases while another registers one."""
    aliases = make({"quick": QUICK})
    seen = []
    for name in aliases.aliases():
        seen.append(name)
        aliases.register("other", OTHER)
    assert seen == ["quick"]


@pytest.mark.parametrize("name", ["", " quick", "a\nb", "a\0", "\ud800", "x" * 257])
def test_a_name_that_cannot_be_one_is_refused(make: Make, name: str) -> None:
    """No alias is empty, endless or unprintable, whether it is registered or passed in."""
    aliases = make({})
    with pytest.raises(ValidationError):
        aliases.register(name, QUICK)
    assert dict(aliases.aliases()) == {}
    with pytest.raises(ValidationError):
        make({name: QUICK})
