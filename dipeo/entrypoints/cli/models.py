"""`dipeo models`: what is known about models, the aliases, and what the services have."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import isnan
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import evolve

from dipeo.domain.catalog import UNKNOWN, ModelFacts, NotKnown, Prices, TokenPrice
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.failures import TRY_THE_SIMULATOR, failures_reported
from dipeo.entrypoints.cli.model_filter import Ability, FoundModels, ModelFilter, fitting_aliases, has, sorted_out
from dipeo.entrypoints.cli.model_lists import ServiceList, ask_services, exit_code, services_to_ask
from dipeo.entrypoints.cli.options import JsonOption, OnOption
from dipeo.entrypoints.cli.output import printable, stdout_console, warn, write_json
from dipeo.entrypoints.cli.service_choice import Backend, On, backend_on
from dipeo.entrypoints.cli.shell_completion import complete_service

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def models(
    *,
    service: Annotated[
        str | None, typer.Option("--service", help="This one's models alone.", autocompletion=complete_service)
    ] = None,
    takes: Annotated[
        list[Ability] | None, typer.Option("--takes", help="Models that are known to take this; can be repeated.")
    ] = None,
    min_window: Annotated[
        int | None, typer.Option("--min-window", min=1, help="Models with a context of at least so many tokens.")
    ] = None,
    max_input_price: Annotated[
        float | None,
        typer.Option("--max-input-price", min=0, help="At most so many US dollars for a million input tokens."),
    ] = None,
    max_output_price: Annotated[
        float | None,
        typer.Option("--max-output-price", min=0, help="At most so many US dollars for a million output tokens."),
    ] = None,
    has_unknown: Annotated[
        bool, typer.Option("--with-unknown", help="Also those of which it is not known whether they fit.")
    ] = False,
    has_all: Annotated[
        bool, typer.Option("--all", help="Also models of which little more than a price is known.")
    ] = False,
    is_live: Annotated[
        bool, typer.Option("--live", help="Ask each service whose key is found what it has. Listing is free.")
    ] = False,
    has_aliases_alone: Annotated[bool, typer.Option("--aliases", help="List the aliases alone.")] = False,
    on: OnOption = On.LIVE,
    as_json: JsonOption = False,
) -> None:
    """List models and what is known of them; with --live, ask the services what they have."""
    wanted_facts = ModelFilter(
        abilities=tuple(takes or ()),
        min_window_tokens=min_window,
        max_input_usd=_usd(max_input_price, "--max-input-price"),
        max_output_usd=_usd(max_output_price, "--max-output-price"),
    )
    with failures_reported(as_json=as_json), backend_on(on if is_live else On.LIVE) as backend:
        wanted = LLMService.from_name(service) if service is not None else None
        container = backend.container()
        catalog = container.catalog()
        asked = services_to_ask(backend, wanted) if is_live and not has_aliases_alone else []
        lists = ask_services(backend, asked, is_named=wanted is not None)
        known: Iterable[ModelFacts] = ()
        if is_live:
            known = [_with_catalog(facts, catalog) for each in lists for facts in each.models or ()]
        elif not has_aliases_alone:
            known = catalog.models(service=wanted)
        found = sorted_out(known, wanted_facts, has_unknown=has_unknown, has_all=has_all or is_live)
        aliases, unknown_aliases = fitting_aliases(
            container.aliases(), catalog, wanted, wanted_facts, has_unknown=has_unknown
        )
        if has_aliases_alone:
            found = evolve(found, unknown=unknown_aliases)
        shown = found.shown
        if as_json:
            write_json(
                {
                    "aliases": [_alias_as_dict(*pair) for pair in aliases.items()],
                    "models": [_facts_as_dict(facts) for facts in shown],
                    "left_out_as_unknown": found.unknown,
                    "left_out_as_little_known": found.little_known,
                    "services": [_list_as_dict(each, backend, shown) for each in lists],
                }
            )
        else:
            _show(aliases, found, lists, opening=backend.opening(asked))
            has_looked = not lists or any(each.models for each in lists)
            if has_looked and not (shown or (has_aliases_alone and aliases)):
                warn("Nothing that is known fits.", label="Hint")
        if on is not On.LIVE and not is_live:
            warn("Nobody is asked without --live, so that --on says nothing.", label="Hint")
        if lists and all(each.models is None for each in lists):
            raise typer.Exit(exit_code(lists))


def _usd(price: float | None, option: str) -> Decimal | None:
    # Newer versions of typer refuse it themselves.
    if price is not None and isnan(price):
        raise typer.BadParameter("It must be a number.", param_hint=option)
    return None if price is None else Decimal(str(price))


def _with_catalog(facts: ModelFacts, catalog: ModelCatalogPort) -> ModelFacts:
    """What the service says, and beneath it what the catalogue knows."""
    return facts.over(catalog.facts(facts.model, service=facts.service))


def _show(
    aliases: Mapping[str, ModelTarget], models: FoundModels, lists: Sequence[ServiceList], *, opening: str | None
) -> None:
    from rich.text import Text

    console = stdout_console()
    if opening:
        console.print(Text(opening), soft_wrap=True)
    if aliases:
        console.print(_alias_table(aliases))
    failed = [found for found in lists if not found.models]
    if models.shown:
        console.print(_fact_table(models.shown))
    if failed:
        console.print(_failure_table(failed))
    if models.unknown:
        words = "might fit, but not all of it is known of them; --with-unknown lists them."
        warn(f"{models.unknown} more {words}", label="Hint")
    if models.little_known:
        warn(f"Of {models.little_known} more little but a price is known; --all lists them.", label="Hint")
    if lists and all(found.models is None for found in lists):
        warn(f"Nothing could be listed. {TRY_THE_SIMULATOR}", label="Hint")


def _alias_table(aliases: Mapping[str, ModelTarget]) -> "Table":
    table = _table("Alias", "Service", "Model")
    for alias, target in aliases.items():
        table.add_row(_cell(alias), target.service.value, _cell(target.model))
    return table


def _fact_table(shown: Sequence[ModelFacts]) -> "Table":
    table = _table("Service", "Model", "Window", "Output", "Takes", "$ in", "$ out", "As of")
    for facts in shown:
        prices = facts.prices
        table.add_row(
            facts.service.value,
            _cell(facts.model + (" (deprecated)" if facts.is_deprecated is True else "")),
            _number(facts.context_window_tokens),
            _number(facts.max_output_tokens),
            _abilities(facts),
            _price(prices.input),
            _price(prices.output),
            str(facts.as_of),
        )
    return table


def _failure_table(failed: Sequence[ServiceList]) -> "Table":
    table = _table("Service", "Why nothing is listed")
    for found in failed:
        table.add_row(found.service.value, _cell(found.reason or "has no models", style="red"))
    return table


def _abilities(facts: ModelFacts) -> str:
    """What the model takes; behind it, with a question mark, what is not known."""
    answers = {ability: has(facts, ability) for ability in Ability}
    if all(answer is UNKNOWN for answer in answers.values()):
        return str(UNKNOWN)
    known = [ability.value for ability, answer in answers.items() if answer is True]
    return " ".join((*known, *(f"{ability.value}?" for ability, answer in answers.items() if answer is UNKNOWN)))


def _number(count: int | NotKnown) -> str:
    return str(UNKNOWN) if count is UNKNOWN else f"{count:,}"


def _price(price: TokenPrice | NotKnown) -> str:
    return str(UNKNOWN) if price is UNKNOWN else f"{price.usd}{'+' if price.steps else ''}"


def _table(*headings: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading == "Service")
    return table


def _cell(text: str, *, style: str = "") -> "Text":
    from rich.text import Text

    return Text(printable(text), style=style)


def _alias_as_dict(alias: str, target: ModelTarget) -> dict[str, object]:
    return {"alias": alias, "service": target.service.value, "model": target.model}


def _list_as_dict(found: ServiceList, backend: Backend, shown: Sequence[ModelFacts]) -> dict[str, object]:
    names = [facts.model for facts in shown if facts.service is found.service]
    return {
        "service": found.service.value,
        "mode": backend.mode_of(found.service),
        "models": None if found.models is None else names,
        "reason": found.reason or None,
    }


def _facts_as_dict(facts: ModelFacts) -> dict[str, object]:
    """The facts as JSON values; what is not known is the word `unknown`."""
    inputs = facts.inputs
    return {
        "service": facts.service.value,
        "model": facts.model,
        "context_window_tokens": _plain(facts.context_window_tokens),
        "max_output_tokens": _plain(facts.max_output_tokens),
        "inputs": str(UNKNOWN) if inputs is UNKNOWN else sorted(modality.value for modality in inputs),
        "takes_tools": _plain(facts.takes_tools),
        "takes_schema": _plain(facts.takes_schema),
        "takes_sampling": _plain(facts.takes_sampling),
        "reasons": _plain(facts.reasons),
        "is_deprecated": _plain(facts.is_deprecated),
        "released_on": str(facts.released_on),
        "retires_on": None if facts.retires_on is None else str(facts.retires_on),
        "usd_per_million_tokens": _prices_as_dict(facts.prices),
        "as_of": str(facts.as_of),
        "sources": list(facts.sources),
    }


def _plain(value: object) -> object:
    return str(UNKNOWN) if value is UNKNOWN else value


def _prices_as_dict(prices: Prices) -> dict[str, object]:
    """Each price as text, so that no digit is lost; where it has steps, by the input tokens above which each holds."""

    def told(price: TokenPrice | NotKnown) -> object:
        if price is UNKNOWN:
            return str(UNKNOWN)
        if not price.steps:
            return str(price.usd)
        return {"0": str(price.usd), **{str(start): str(usd) for start, usd in price.steps}}

    return {
        "input": told(prices.input),
        "output": told(prices.output),
        "cached": told(prices.cached),
        "cache_write": told(prices.cache_write),
        "cache_write_long": told(prices.cache_write_long),
    }
