"""Asks services for their models, each for itself: one that cannot be asked is a row, and no failure of the others."""

import asyncio
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from dipeo.domain.catalog import ModelFacts
from dipeo.domain.errors import (
    AccessDeniedError,
    APIKeyRefusedError,
    ConnectFailedError,
    DeadlineExceededError,
    DipeoError,
    MalformedResponseError,
)
from dipeo.domain.ports.listing import ModelListPort
from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.failures import ExitCode
from dipeo.entrypoints.cli.service_check import ServiceCheck, look_up
from dipeo.entrypoints.cli.service_choice import Backend, is_configured

TIMEOUT_S: Final = 5.0


@frozen(kw_only=True)
class ServiceList:
    """A service's models, by name; None where there is a `reason` why not. `is_meant`: it was named, or set up."""

    service: LLMService
    models: tuple[ModelFacts, ...] | None
    reason: str = ""
    is_refused: bool = False
    is_meant: bool = True


def services_to_ask(backend: Backend, wanted: LLMService | None) -> list[LLMService]:
    """The one that was named, or all that are set up; Ollama, which needs no setting up, is asked on the chance."""
    if wanted is not None:
        return [wanted]
    return [service for service in LLMService if service is LLMService.OLLAMA or _is_set_up(backend, service)]


def ask_services(backend: Backend, services: Sequence[LLMService], *, is_named: bool) -> list[ServiceList]:
    """What each of them has, all asked at once."""
    checks = [look_up(backend, service) for service in services]
    return asyncio.run(_ask_all(backend, checks, is_named=is_named)) if checks else []


def exit_code(lists: Sequence[ServiceList]) -> ExitCode:
    """The provider's failure, where one that was meant failed; else something has to be set up."""
    has_failed = any(found.is_meant and not found.is_refused for found in lists)
    return ExitCode.PROVIDER if has_failed else ExitCode.CONFIGURATION


def _is_set_up(backend: Backend, service: LLMService) -> bool:
    return is_configured(service, backend.settings, backend.keys)


async def _ask_all(backend: Backend, checks: Sequence[ServiceCheck], *, is_named: bool) -> list[ServiceList]:
    container = backend.container()
    lists = container.model_lists()
    try:
        return await asyncio.gather(
            *(_ask(lists, check, is_meant=is_named or _is_set_up(backend, check.service)) for check in checks)
        )
    finally:
        await container.pool().aclose()


async def _ask(lists: ModelListPort, check: ServiceCheck, *, is_meant: bool) -> ServiceList:
    service = check.service
    if check.target is None:
        problem = check.problem
        reason = f"{problem.message} {problem.suggestion or ''}".strip() if problem else "cannot be asked"
        return ServiceList(service=service, models=None, reason=reason, is_refused=True)
    try:
        models = await lists.list_models(service, timeout_s=TIMEOUT_S)
    except (APIKeyRefusedError, AccessDeniedError) as error:
        reason = f"refuses the key ({error.status})" if check.fingerprint else f"wants a key ({error.status})"
        return ServiceList(service=service, models=None, reason=reason, is_refused=True)
    except DipeoError as error:
        return ServiceList(service=service, models=None, reason=_reason(error), is_meant=is_meant)
    return ServiceList(service=service, models=tuple(models))


def _reason(error: DipeoError) -> str:
    if error.status is not None and not 200 <= error.status < 300:
        return f"status {error.status}"
    if isinstance(error, DeadlineExceededError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, MalformedResponseError):
        return "answers with no list of models"
    return "cannot be reached" if isinstance(error, ConnectFailedError) else error.message
