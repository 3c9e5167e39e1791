"""`dipeo models`: the aliases, and what the services have."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import frozen

from dipeo.domain.model import ModelTarget
from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.failures import TRY_THE_SIMULATOR, ExitCode, failures_reported
from dipeo.entrypoints.cli.model_list import models_in
from dipeo.entrypoints.cli.options import JsonOption, OnOption
from dipeo.entrypoints.cli.output import printable, stdout_console, warn, write_json
from dipeo.entrypoints.cli.probe import Probe, probe_all
from dipeo.entrypoints.cli.service_check import ServiceCheck, look_up
from dipeo.entrypoints.cli.service_choice import Backend, On, backend_on, is_configured
from dipeo.entrypoints.cli.shell_completion import complete_service

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def models(
    *,
    service: Annotated[
        str | None,
        typer.Option(
            "--service", help="List this one's alone (default: all that are set up).", autocompletion=complete_service
        ),
    ] = None,
    has_aliases_alone: Annotated[
        bool, typer.Option("--aliases", help="List the aliases alone, and ask nobody.")
    ] = False,
    on: OnOption = On.LIVE,
    as_json: JsonOption = False,
) -> None:
    """List the aliases, and the models of each service whose key is found. Listing is free."""
    with failures_reported(as_json=as_json), backend_on(on) as backend:
        wanted = LLMService.from_name(service) if service is not None else None
        asked = [] if has_aliases_alone else _asked(backend, wanted)
        lists = _lists(backend, asked, is_named=wanted is not None)
        aliases = {
            alias: target
            for alias, target in sorted(backend.container().aliases().aliases().items())
            if wanted in (None, target.service)
        }
        if as_json:
            services = [_as_dict(found, backend) for found in lists]
            write_json({"aliases": [_alias_as_dict(*pair) for pair in aliases.items()], "services": services})
        else:
            _show(aliases, lists, opening=backend.opening(asked))
        if lists and all(found.models is None for found in lists):
            raise typer.Exit(_exit_code(lists))


@frozen(kw_only=True)
class _ModelList:
    """A service's models, sorted; None where there is a `reason` why not. `is_meant`: it was named, or set up."""

    service: LLMService
    models: tuple[str, ...] | None
    reason: str = ""
    is_refused: bool = False
    is_meant: bool = True


def _asked(backend: Backend, wanted: LLMService | None) -> list[LLMService]:
    if wanted is not None:
        return [wanted]
    # Ollama needs no setting up: it is asked on the chance that it runs here.
    return [service for service in LLMService if service is LLMService.OLLAMA or _is_set_up(backend, service)]


def _is_set_up(backend: Backend, service: LLMService) -> bool:
    return is_configured(service, backend.settings, backend.keys)


def _lists(backend: Backend, services: Sequence[LLMService], *, is_named: bool) -> list[_ModelList]:
    checks = [look_up(backend, service) for service in services]
    targets = {check.service: check.target for check in checks if check.target}
    probes = asyncio.run(probe_all(targets, is_read=True)) if targets else {}
    return [
        _read(check, probes.get(check.service), is_meant=is_named or _is_set_up(backend, check.service))
        for check in checks
    ]


def _read(check: ServiceCheck, probe: Probe | None, *, is_meant: bool) -> _ModelList:
    service = check.service
    if probe is None:
        problem = check.problem
        reason = f"{problem.message} {problem.suggestion or ''}".strip() if problem else "cannot be asked"
        return _ModelList(service=service, models=None, reason=reason, is_refused=True)
    if probe.is_refused:
        reason = f"refuses the key ({probe.status})" if check.fingerprint else f"wants a key ({probe.status})"
        return _ModelList(service=service, models=None, reason=reason, is_refused=True)
    models = models_in(probe.body, service=service) if probe.body is not None else None
    if models is not None:
        return _ModelList(service=service, models=models)
    reason = probe.problem or ("answers with no list of models" if probe.is_good else f"status {probe.status}")
    return _ModelList(service=service, models=None, reason=reason, is_meant=is_meant)


def _exit_code(lists: Sequence[_ModelList]) -> ExitCode:
    """The provider's failure, where one that was meant failed; else something has to be set up."""
    has_failed = any(found.is_meant and not found.is_refused for found in lists)
    return ExitCode.PROVIDER if has_failed else ExitCode.CONFIGURATION


def _show(aliases: Mapping[str, ModelTarget], lists: Sequence[_ModelList], *, opening: str | None) -> None:
    from rich.text import Text

    console = stdout_console()
    if opening:
        console.print(Text(opening), soft_wrap=True)
    if aliases:
        console.print(_alias_table(aliases))
    if lists:
        console.print(_model_table(lists))
    if lists and all(found.models is None for found in lists):
        warn(f"Nothing could be listed. {TRY_THE_SIMULATOR}", label="Hint")


def _alias_table(aliases: Mapping[str, ModelTarget]) -> "Table":
    table = _table("Alias", "Service", "Model")
    for alias, target in aliases.items():
        table.add_row(_cell(alias), target.service.value, _cell(target.model))
    return table


def _model_table(lists: Sequence[_ModelList]) -> "Table":
    table = _table("Service", "Model")
    for found in lists:
        for model in found.models or ():
            table.add_row(found.service.value, _cell(model))
        if not found.models:
            table.add_row(found.service.value, _cell(found.reason or "has no models", style="red"))
    return table


def _table(*headings: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _cell(text: str, *, style: str = "") -> "Text":
    from rich.text import Text

    return Text(printable(text), style=style)


def _alias_as_dict(alias: str, target: ModelTarget) -> dict[str, object]:
    return {"alias": alias, "service": target.service.value, "model": target.model}


def _as_dict(found: _ModelList, backend: Backend) -> dict[str, object]:
    return {
        "service": found.service.value,
        "mode": backend.mode_of(found.service),
        "models": None if found.models is None else list(found.models),
        "reason": found.reason or None,
    }
