"""What is known about models: the layers, the user's file, prices, and what is not known."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dipeo
from dipeo.domain.catalog import (
    UNKNOWN,
    Cost,
    Modality,
    ModelFacts,
    Prices,
    TokenPrice,
    cost_at,
)
from dipeo.domain.errors import ConfigurationError, UnknownServiceError, ValidationError
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache
from dipeo.domain.usage import Usage
from dipeo.facade import wired
from dipeo.infrastructure.catalog.aliases import InMemoryAliases
from dipeo.infrastructure.catalog.known_prices import KnownPrices
from dipeo.infrastructure.catalog.model_catalog import LayeredCatalog, read_table
from dipeo.testing import FakeCatalog, ManualClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def catalog_with(text: str | None = None, *, folder: Path | None = None) -> LayeredCatalog:
    file: Path | None = None
    if text is not None and folder is not None:
        file = folder / "catalog.yaml"
        file.write_text(text, encoding="utf-8")
    return LayeredCatalog(aliases=InMemoryAliases(), clock=ManualClock(), user_file=file)


def usd(text: str) -> TokenPrice:
    return TokenPrice(usd=Decimal(text))


PRICES = Prices(input=usd("2"), output=usd("10"), cached=usd("0.2"), cache_write=usd("2.5"), cache_write_long=usd("4"))


def test_unknown_is_taken_for_nothing_else() -> None:
    """It is neither true nor false, and no number; asking it is a mistake that shows."""
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(UNKNOWN)
    others: list[object] = [False, 0, None, ""]
    assert UNKNOWN not in others
    facts = ModelFacts(service=LLMService.OPENAI, model="m")
    assert facts.takes_tools is UNKNOWN
    assert facts.takes(Modality.IMAGE) is UNKNOWN
    assert (repr(UNKNOWN), str(UNKNOWN)) == ("UNKNOWN", "unknown")


def test_each_token_is_paid_once_in_its_class() -> None:
    """Cached and written tokens are parts of the input and cost their own price."""
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, cache_write_tokens=100_000, output_tokens=10_000)
    assert cost_at(PRICES, usage, model="m").usd == Decimal("1.0") + Decimal("0.08") + Decimal("0.25") + Decimal("0.1")
    long = cost_at(PRICES, usage, model="m", prompt_cache=PromptCache.LONG)
    assert long.usd == Decimal("1.0") + Decimal("0.08") + Decimal("0.4") + Decimal("0.1")


@pytest.mark.parametrize(
    ("short", "long", "asked", "usd_expected"),
    [
        (0, 0, PromptCache.DEFAULT, "0.25"),
        (0, 0, PromptCache.LONG, "0.4"),
        (100_000, 0, PromptCache.LONG, "0.25"),
        (0, 100_000, PromptCache.SHORT, "0.4"),
        (40_000, 60_000, PromptCache.DEFAULT, "0.34"),
        (40_000, 20_000, PromptCache.SHORT, "0.28"),
        (40_000, 20_000, PromptCache.LONG, "0.34"),
    ],
)
def test_what_was_written_is_paid_by_how_long_it_is_kept(
    short: int, long: int, asked: PromptCache, usd_expected: str
) -> None:
    """As the provider says; where it does not, as it was asked."""
    usage = Usage(
        input_tokens=100_000,
        cache_write_tokens=100_000,
        cache_write_short_tokens=short,
        cache_write_long_tokens=long,
    )
    assert cost_at(PRICES, usage, model="m", prompt_cache=asked).usd == Decimal(usd_expected)


def test_anthropic_charges_twice_the_input_for_an_hour() -> None:
    """And a quarter more for five minutes."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    for model in ("claude-opus-5", "claude-sonnet-4-5", "claude-haiku-4-5"):
        fresh, short, long = (
            wired().catalog().cost(usage, model, at=at).usd
            for usage in (
                Usage(input_tokens=1000),
                Usage(input_tokens=1000, cache_write_tokens=1000, cache_write_short_tokens=1000),
                Usage(input_tokens=1000, cache_write_tokens=1000, cache_write_long_tokens=1000),
            )
        )
        assert isinstance(fresh, Decimal)
        assert (short, long) == (fresh * Decimal("1.25"), fresh * 2), model


@pytest.mark.parametrize(
    ("usage", "prices", "words"),
    [
        (Usage(input_tokens=5, is_reported=False), PRICES, "did not say"),
        (Usage(input_tokens=5), Prices(output=usd("1")), "input tokens of m"),
        (Usage(input_tokens=5, cached_tokens=1), Prices(input=usd("1")), "cached input tokens"),
        (Usage(input_tokens=5, cache_write_tokens=1), Prices(input=usd("1")), "cache write tokens"),
        (
            Usage(input_tokens=5, cache_write_tokens=1, cache_write_long_tokens=1),
            Prices(input=usd("1"), cache_write=usd("1")),
            "long cache write tokens",
        ),
        (Usage(input_tokens=5, output_tokens=1), Prices(input=usd("1")), "output tokens"),
        (Usage(input_tokens=5, cached_tokens=9), PRICES, "more tokens were cached"),
        (Usage(), Prices(), "no price is known for m"),
    ],
)
def test_a_cost_that_is_not_known_says_why(usage: Usage, prices: Prices, words: str) -> None:
    """It is never zero for want of a price."""
    cost = cost_at(prices, usage, model="m")
    assert cost.usd is UNKNOWN
    assert words in cost.reason


def test_what_is_free_costs_nothing() -> None:
    """A price of zero is a price."""
    assert cost_at(Prices(input=usd("0"), output=usd("0")), Usage(input_tokens=9, output_tokens=9), model="m") == Cost(
        usd=Decimal(0)
    )


def test_a_class_without_tokens_needs_no_price() -> None:
    """Embeddings have no output, and their models no price for it."""
    assert cost_at(Prices(input=usd("1")), Usage(input_tokens=500_000), model="m").usd == Decimal("0.5")


def test_long_requests_have_their_own_price() -> None:
    """Above a step all tokens cost the price of the step."""
    price = TokenPrice(usd=Decimal(2), steps=((200_000, Decimal(4)),))
    prices = Prices(input=price, output=TokenPrice(usd=Decimal(10), steps=((200_000, Decimal(15)),)))
    assert cost_at(prices, Usage(input_tokens=200_000), model="m").usd == Decimal("0.4")
    assert cost_at(prices, Usage(input_tokens=200_001, output_tokens=1000), model="m").usd == Decimal("0.815004")


@pytest.mark.parametrize("bad", [Decimal("NaN"), Decimal(-1), 1.5, "2"])
def test_a_price_is_a_decimal_number(bad: Any) -> None:
    """Floats lose cents, and a negative price pays nobody."""
    with pytest.raises(ValidationError):
        TokenPrice(usd=bad)
    with pytest.raises(ValidationError):
        TokenPrice(usd=Decimal(1), steps=((5, Decimal(1)), (3, Decimal(1))))
    with pytest.raises(ValidationError):
        Cost(usd=Decimal(0), reason="because")
    with pytest.raises(ValidationError):
        Cost(usd=UNKNOWN)


def test_the_table_is_dated_and_says_where_from() -> None:
    """Every fact of dipeo's own has the day it was looked up and a source."""
    table = read_table()
    assert {LLMService.OPENAI, LLMService.ANTHROPIC, LLMService.GOOGLE} <= set(table)
    for models in table.values():
        for facts in models.values():
            assert facts.as_of is not UNKNOWN
            assert facts.sources
            assert all(source for source in facts.sources)


def test_the_default_models_are_known() -> None:
    """What the aliases point at has a window or a price."""
    catalog = catalog_with()
    for alias in ("openai", "claude", "gemini"):
        facts = catalog.facts(alias)
        assert facts.context_window_tokens is not UNKNOWN
        assert facts.prices.input is not UNKNOWN
        assert facts.reasons is True


def test_a_snapshot_is_its_model() -> None:
    """A name with a day behind it has the facts of the name before it, but where it has its own."""
    catalog = catalog_with()
    snapshot, model = catalog.facts("claude-haiku-4-5-20251001"), catalog.facts("claude-haiku-4-5")
    assert snapshot.model == "claude-haiku-4-5-20251001"
    assert snapshot.context_window_tokens == model.context_window_tokens == 200_000
    assert catalog.facts("gpt-5.4-2026-03-05").takes_tools is True


def test_a_model_that_nobody_knows_is_unknown_in_all() -> None:
    """It is no error, and nothing is made up; a service that cannot be told is one."""
    facts = catalog_with().facts("llama9:1t")
    assert facts == ModelFacts(service=LLMService.OLLAMA, model="llama9:1t")
    cost = catalog_with().cost(Usage(input_tokens=1), "llama9:1t")
    assert cost.usd is UNKNOWN
    with pytest.raises(UnknownServiceError):
        catalog_with().facts("who-is-this")
    assert "no service" in catalog_with().cost(Usage(), "who-is-this").reason


def test_prices_are_those_of_the_time() -> None:
    """What was asked before a price changed is paid at the price before."""
    catalog = catalog_with()
    usage = Usage(input_tokens=1_000_000)
    before = catalog.cost(usage, "gpt-5.6-terra", at=datetime(2026, 7, 15, tzinfo=UTC))
    after = catalog.cost(usage, "gpt-5.6-terra", at=NOW)
    assert before.usd is not UNKNOWN
    assert after.usd is not UNKNOWN
    assert before.usd != after.usd
    with pytest.raises(ValidationError, match="zone"):
        catalog.facts("openai", at=datetime(2026, 1, 1))  # the mistake in question


@given(
    fresh=st.integers(0, 400_000),
    cached=st.integers(0, 400_000),
    output=st.integers(0, 100_000),
    model=st.sampled_from(["gpt-5.5", "gpt-5.4-mini", "claude-opus-5", "gemini-3.1-pro-preview", "grok-4.3"]),
)
def test_costs_agree_with_the_package_of_prices(fresh: int, cached: int, output: int, model: str) -> None:
    """What dipeo counts up is what the package itself would say."""
    genai_prices = pytest.importorskip("genai_prices")
    usage = Usage(input_tokens=fresh + cached, cached_tokens=cached, output_tokens=output)
    theirs = genai_prices.Usage(input_tokens=fresh + cached, cache_read_tokens=cached, output_tokens=output)
    provider = {"gpt": "openai", "cla": "anthropic", "gem": "google", "gro": "x-ai"}[model[:3]]
    price = genai_prices.calc_price(theirs, model, provider_id=provider, genai_request_timestamp=NOW)
    assert catalog_with().cost(usage, model, at=NOW).usd == price.total_price


USERS = """
ollama:
  llama3.2:
    context_window_tokens: 8192
    inputs: [text, image]
    takes_tools: true
    retires_on: null
    as_of: 2026-11-01
    sources: my notes
    usd_per_million_tokens: {input: 0, output: 0.1, cached: {0: 0.1, 200000: "0.30"}}
openai:
  gpt-5.4-mini:
    takes_tools: unknown
    max_output_tokens: 9
"""


def test_the_users_file_comes_first(tmp_path: Path) -> None:
    """What it says is over all else; what it leaves out, or says is unknown, is as it was."""
    catalog = catalog_with(USERS, folder=tmp_path)
    mine = catalog.facts("llama3.2", service="ollama")
    assert (mine.context_window_tokens, mine.takes_tools, mine.takes_schema) == (8192, True, UNKNOWN)
    assert mine.inputs == frozenset({Modality.TEXT, Modality.IMAGE})
    assert (mine.as_of, mine.retires_on, mine.sources) == (date(2026, 11, 1), None, ("my notes",))
    assert mine.prices.output == usd("0.1")
    assert mine.prices.cached == TokenPrice(usd=Decimal("0.1"), steps=((200_000, Decimal("0.30")),))
    known = catalog.facts("openai")
    assert (known.max_output_tokens, known.takes_tools, known.context_window_tokens) == (9, True, 400_000)
    assert str(tmp_path / "catalog.yaml") in known.sources
    assert [facts.model for facts in catalog.models(service="ollama")] == ["llama3.2"]
    assert catalog.cost(Usage(input_tokens=7), "llama3.2", service="ollama").usd == 0


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("moon: {}", "moon"),
        ("openai: [a]", "openai"),
        ("openai: {m: 3}", "openai.m"),
        ("openai: {3: {}}", "openai.3"),
        ("openai: {m: {windw: 3}}", "openai.m.windw"),
        ("openai: {m: {context_window_tokens: -3}}", "openai.m.context_window_tokens"),
        ("openai: {m: {context_window_tokens: true}}", "openai.m.context_window_tokens"),
        ("openai: {m: {takes_tools: yes}}", "openai.m.takes_tools"),
        ("openai: {m: {inputs: [smell]}}", "openai.m.inputs"),
        ("openai: {m: {inputs: [[text]]}}", "openai.m.inputs"),
        ("openai: {m: {inputs: []}}", "openai.m.inputs"),
        ("openai: {m: {as_of: soon}}", "openai.m.as_of"),
        ("openai: {m: {sources: [1]}}", "openai.m.sources"),
        ("openai: {m: {usd_per_million_tokens: 3}}", "openai.m.usd_per_million_tokens"),
        ("openai: {m: {usd_per_million_tokens: {inptu: 3}}}", "openai.m.usd_per_million_tokens.inptu"),
        ("openai: {m: {usd_per_million_tokens: {input: -3}}}", "openai.m.usd_per_million_tokens.input"),
        ("openai: {m: {usd_per_million_tokens: {input: .nan}}}", "openai.m.usd_per_million_tokens.input"),
        ("openai: {m: {usd_per_million_tokens: {input: {5: 1}}}}", "openai.m.usd_per_million_tokens.input"),
        ("openai: {m: {usd_per_million_tokens: {input: {0: 1, x: 2}}}}", "openai.m.usd_per_million_tokens.input.x"),
        ("[1]", "the document"),
        ("a: &x 1\nb: *x", "DIPEO_CATALOG_FILE"),
        ("a: 1\na: 2", "DIPEO_CATALOG_FILE"),
        ("{", "DIPEO_CATALOG_FILE"),
    ],
)
def test_a_file_that_is_not_understood_names_the_key(tmp_path: Path, text: str, field: str) -> None:
    """A mistake is shown with its place, and is not passed over."""
    with pytest.raises(ConfigurationError) as caught:
        catalog_with(text, folder=tmp_path).facts("openai")
    assert caught.value.field == field
    assert "catalog.yaml" in caught.value.message


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """Missing, a directory, too large, no text; an empty one says nothing, which is fine."""
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(b"\xff\xfe")
    for path, words in ((tmp_path / "none.yaml", "does not exist"), (tmp_path, "cannot be read"), (broken, "UTF-8")):
        with pytest.raises(ConfigurationError, match=words):
            LayeredCatalog(aliases=InMemoryAliases(), clock=ManualClock(), user_file=path).models()
    assert catalog_with("", folder=tmp_path).facts("openai").takes_tools is True


def test_without_the_package_of_prices_they_are_unknown() -> None:
    """The package is an extra: without it the table still knows what models can do, and a cost says what is missing."""
    catalog = LayeredCatalog(aliases=InMemoryAliases(), clock=ManualClock(), prices=KnownPrices("no_such_package"))
    facts = catalog.facts("openai")
    assert facts.takes_tools is True
    assert facts.prices == Prices()
    assert "dipeo[catalog]" in catalog.cost(Usage(input_tokens=1), "openai").reason
    assert all(each.prices == Prices() for each in catalog.models())


def test_the_setting_names_the_file(tmp_path: Path) -> None:
    """DIPEO_CATALOG_FILE is read with the other settings, and the container's catalogue reads the file."""
    file = tmp_path / "mine.yaml"
    file.write_text(USERS)
    settings = dipeo.Settings.from_env({"DIPEO_CATALOG_FILE": str(file)}, dotenv_file=None)
    assert settings.catalog_file == file
    assert wired(settings).catalog().facts("llama3.2", service="ollama").takes_tools is True


def test_all_models_can_be_listed() -> None:
    """Those of the table and those that have a price alone, each once, by service."""
    models = catalog_with().models()
    names = [(facts.service, facts.model) for facts in models]
    assert len(names) == len(set(names)) > 100
    assert [facts.model for facts in catalog_with().models(service="google")] == sorted(
        facts.model for facts in models if facts.service is LLMService.GOOGLE
    )


@pytest.mark.parametrize(
    "make", [catalog_with, lambda: FakeCatalog([ModelFacts(service=LLMService.OPENAI, model="m", prices=PRICES)])]
)
def test_every_catalogue_keeps_the_contract(make: Any) -> None:
    """A stranger is unknown in all, and costs what is unknown; nothing is raised for it."""
    catalog: ModelCatalogPort = make()
    assert isinstance(catalog, ModelCatalogPort)
    stranger = catalog.facts("stranger", service="openai")
    assert stranger == ModelFacts(service=LLMService.OPENAI, model="stranger")
    assert catalog.cost(Usage(input_tokens=1), "stranger", service="openai").usd is UNKNOWN
    assert all(facts.service is LLMService.OPENAI for facts in catalog.models(service="openai"))


def test_the_table_is_json_that_people_can_read() -> None:
    """One model a line, so that a change shows as one line."""
    path = Path(dipeo.__file__).parent / "infrastructure" / "catalog" / "capabilities.json"
    text = path.read_text(encoding="utf-8")
    models = [name for service in json.loads(text)["services"].values() for name in service]
    assert all(sum(f'"{name}": {{' in line for line in text.splitlines()) == 1 for name in models)
