"""`dipeo doctor`: what is configured, what answers, and what to do."""

import asyncio
from typing import TYPE_CHECKING, Final

import typer
from attrs import frozen

from dipeo.domain.errors import MissingAPIKeyError
from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.environment_report import EnvironmentReport, examine_environment
from dipeo.entrypoints.cli.failures import ExitCode, failures_reported
from dipeo.entrypoints.cli.options import BaseDirOption, JsonOption, OnOption
from dipeo.entrypoints.cli.output import printable, stdout_console, warn, write_json
from dipeo.entrypoints.cli.probe import Probe, probe_all
from dipeo.entrypoints.cli.service_check import ServiceCheck, look_up
from dipeo.entrypoints.cli.service_choice import On, backend_on

if TYPE_CHECKING:
    from rich.table import Table

_NO_KEY_NEEDED: Final = (LLMService.OLLAMA, LLMService.OPENAI_COMPATIBLE)


def doctor(*, base_dir: BaseDirOption = None, on: OnOption = On.LIVE, as_json: JsonOption = False) -> None:
    """Show which services can be used, and what keeps the others from it."""
    with failures_reported(as_json=as_json), backend_on(on, base_dir=base_dir) as backend:
        checks = [look_up(backend, service) for service in LLMService if service in backend.settings.base_urls]
        probes = asyncio.run(probe_all({check.service: check.target for check in checks if check.target}))
        findings = [_judge(check, probes.get(check.service)) for check in checks]
        environment = examine_environment(backend.settings)
        if as_json:
            services = [_as_dict(finding) for finding in findings]
            write_json({"services": services, **environment.to_dict()})
        else:
            _show(findings, environment, backend.opening(check.service for check in checks))
        if not any(finding.is_usable for finding in findings):
            raise typer.Exit(ExitCode.CONFIGURATION)


@frozen(kw_only=True)
class _Finding:
    """A check, what came of asking, and what to do."""

    check: ServiceCheck
    probe: Probe | None
    is_usable: bool
    state: str
    hint: str


def _judge(check: ServiceCheck, probe: Probe | None) -> _Finding:
    is_usable = probe is not None and probe.is_good
    state, hint = _in_words(check, probe)
    return _Finding(check=check, probe=probe, is_usable=is_usable, state=state, hint=hint)


def _in_words(check: ServiceCheck, probe: Probe | None) -> tuple[str, str]:
    if isinstance(check.problem, MissingAPIKeyError):
        return "not asked", f"Set {check.looked_for}."
    if check.problem is not None:
        return "not asked", f"{check.problem.message} {check.problem.suggestion or ''}".strip()
    if probe is None:
        return "not asked", ""
    if probe.is_good:
        return f"answers in {probe.latency_ms:,.0f} ms", ""
    if probe.is_refused and check.fingerprint is None:
        return f"wants a key ({probe.status})", f"Set {check.looked_for}."
    if probe.is_refused:
        return f"refuses ({probe.status})", "Check that the key is current and belongs to this service."
    if probe.status is not None:
        return f"status {probe.status}", f"Check {_variable(check.service)}, or ask again later."
    hint = f"Check {_variable(check.service)} and the network."
    if check.service is LLMService.OLLAMA:
        hint = f"Start Ollama (ollama serve), or set {_variable(check.service)}."
    return probe.problem or "", hint


def _variable(service: LLMService) -> str:
    return f"DIPEO_{service.name}_BASE_URL"


def _show(findings: list[_Finding], environment: EnvironmentReport, opening: str | None) -> None:
    from rich.text import Text

    console = stdout_console()
    if opening:
        console.print(Text(opening), soft_wrap=True)
    console.print(_table(findings))
    for finding in findings:
        if finding.hint:
            console.print(Text(f"{finding.check.service.value}: {printable(finding.hint)}"), soft_wrap=True)
    console.print()
    for line in environment.lines():
        console.print(Text(printable(line)), soft_wrap=True)
    for warning in environment.warnings:
        warn(warning, label="Warning")


def _table(findings: list[_Finding]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Service", "Key", "Base URL", "Over", "State"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        check = finding.check
        key = f"{check.key_state} ({check.fingerprint})" if check.fingerprint else check.key_state
        if check.key_state == "no" and check.service in _NO_KEY_NEEDED:
            key = "none needed"
        colour = "green" if finding.is_usable else "dim" if finding.probe is None else "red"
        url = Text(printable(check.base_url))
        over = f"{check.wire}, {check.api}" if check.api else check.wire
        table.add_row(check.service.value, Text(key), url, over, Text(printable(finding.state), style=colour))
    return table


def _as_dict(finding: _Finding) -> dict[str, object]:
    check, probe = finding.check, finding.probe
    latency_ms = probe.latency_ms if probe else None
    return {
        "service": check.service.value,
        "mode": check.mode,
        "key": check.key_state,
        "key_fingerprint": check.fingerprint,
        "key_looked_for": check.looked_for,
        "base_url": check.base_url,
        "wire": check.wire,
        "api": check.api,
        "is_usable": finding.is_usable,
        "status": probe.status if probe else None,
        "latency_ms": None if latency_ms is None else round(latency_ms, 3),
        "state": finding.state,
        "hint": finding.hint or None,
    }
