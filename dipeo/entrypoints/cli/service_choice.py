"""Who answers: the providers, the embedded simulator, or each service by what is configured for it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from dipeo.domain.errors import MalformedAPIKeyError, MissingAPIKeyError, UnknownServiceError
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService

if TYPE_CHECKING:
    from dipeo.config import Settings
    from dipeo.container.root import Container
    from dipeo.domain.model import ModelTarget
    from dipeo.domain.person import Person

SIMULATED: Final = "Simulated: answers come from the embedded provider simulator; no provider is called."

_OLLAMA_VARIABLES: Final = ("DIPEO_OLLAMA_BASE_URL", "OLLAMA_BASE_URL")


class On(StrEnum):
    """Where requests go."""

    LIVE = "live"
    SIMULATOR = "simulator"
    AUTO = "auto"


@frozen(kw_only=True)
class Backend:
    """Settings and keys with which every service is reached, and the services that are simulated."""

    settings: "Settings"
    keys: APIKeyPort
    simulated: frozenset[LLMService]

    def mode_of(self, service: LLMService) -> str:
        """`live` or `simulated`."""
        return "simulated" if service in self.simulated else "live"

    def opening(self, services: Iterable[LLMService]) -> str | None:
        """What to tell the user first, when these services are asked; None where all of it is live."""
        asked = list(dict.fromkeys(services))
        simulated = [service.value for service in asked if service in self.simulated]
        live = [service.value for service in asked if service not in self.simulated]
        if not simulated:
            return None
        if not live:
            return SIMULATED
        return f"Live: {', '.join(live)}. Simulated: {', '.join(simulated)} (the embedded simulator answers)."

    def container(self) -> "Container":
        """Everything wired to these settings and keys."""
        from dipeo.facade import wired

        return wired(self.settings, keys=self.keys)

    def service_of(self, model: str, service: LLMService | str | None = None) -> LLMService:
        """The service that this model is asked of. Raises `UnknownServiceError`."""
        if service is not None:
            return LLMService.from_name(service)
        target = self.container().aliases().resolve(model)
        if target is None:
            raise UnknownServiceError(f"No service is known for the model {model!r}.", field="model")
        return target.service

    def services_of(
        self, model: str, service: LLMService | str | None, fallbacks: "Iterable[ModelTarget | str]"
    ) -> list[LLMService]:
        """The service that this model is asked of, and those of its fallbacks. Raises `UnknownServiceError`."""
        from dipeo.infrastructure.llm.drivers.fallback_targets import resolve_fallbacks

        instead = resolve_fallbacks(fallbacks, self.container().aliases())
        return [self.service_of(model, service), *(target.service for target in instead)]

    def services_of_person(self, person: "Person") -> list[LLMService]:
        """The service that this person speaks through, and those that may speak for them instead."""
        config = person.llm_config
        return self.services_of(config.model or "", config.service, config.fallbacks or ())


@contextmanager
def backend_on(on: On, *, base_dir: Path | None = None, api_key_id: str | None = None) -> Iterator[Backend]:
    """The backend of a command; the simulator runs on a thread of its own as long as the block does."""
    from dipeo.config import Settings

    settings = Settings.from_env()
    if base_dir is not None:
        settings = evolve(settings, base_dir=base_dir)
    keys = _keys_of(settings)
    simulated = _simulated(on, settings, keys, api_key_id)
    if not simulated:
        yield Backend(settings=settings, keys=keys, simulated=simulated)
        return
    from dipeo.testing import ProviderSimulator

    with ProviderSimulator() as simulator:
        urls = {LLMService(name): url for name, url in simulator.base_urls.items() if name in simulated}
        yield Backend(
            settings=evolve(settings, base_urls={**settings.base_urls, **urls}),
            keys=SimulatedKeys(keys, simulated),
            simulated=simulated,
        )


class SimulatedKeys(APIKeyPort):
    """A made-up key for every simulated service, whatever the id; the real source for the others.

    No real key is ever sent to the simulator.
    """

    def __init__(self, real: APIKeyPort, simulated: frozenset[LLMService]) -> None:
        from dipeo.testing import FakeKeys

        self._real = real
        self._fake = FakeKeys()
        self._simulated = simulated

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        if service in self._simulated:
            return self._fake.find(service)
        return self._real.find(service, api_key_id)

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        return self._real.where(service, api_key_id)


def check_reachable(backend: Backend, persons: Iterable["Person"]) -> Mapping[str, LLMService]:
    """The service that each person speaks through, by their ids.

    Raises `MissingAPIKeyError` naming the person, and whatever else keeps an endpoint from being used, before anybody
    has spoken.
    """
    from dipeo.domain.completion import ChatMessage, CompletionRequest, Role

    endpoints = backend.container().endpoints()
    services: dict[str, LLMService] = {}
    for person in persons:
        config = person.llm_config
        service, *_ = backend.services_of_person(person)
        question = ChatMessage.from_text(Role.USER, "?")
        request = CompletionRequest(service=service, model=config.model or "", messages=(question,))
        try:
            endpoints.find(request)
        except MissingAPIKeyError as error:
            raise MissingAPIKeyError(
                f"{person.name} ({person.id}) speaks through {service.value!r}, and no API key for it was found.",
                provider=service.value,
                field="api_key_id",
                suggestion=error.suggestion,
            ) from None
        services[person.id] = service
    return services


def _keys_of(settings: "Settings") -> APIKeyPort:
    from dipeo.facade import wired

    keys: APIKeyPort = wired(settings).keys()
    return keys


def _simulated(on: On, settings: "Settings", keys: APIKeyPort, api_key_id: str | None) -> frozenset[LLMService]:
    if on is On.LIVE:
        return frozenset()
    if on is On.SIMULATOR:
        return frozenset(LLMService)
    return frozenset(service for service in LLMService if not is_configured(service, settings, keys, api_key_id))


def is_configured(service: LLMService, settings: "Settings", keys: APIKeyPort, api_key_id: str | None = None) -> bool:
    """Whether the user has set the service up: with a key, or with an address where none is needed."""
    from dipeo.config import DEFAULT_BASE_URLS

    if service is LLMService.OLLAMA:
        is_named = any(os.environ.get(variable) for variable in _OLLAMA_VARIABLES)
        return is_named or settings.base_urls[service] != DEFAULT_BASE_URLS[service]
    if service is LLMService.OPENAI_COMPATIBLE:
        return service in settings.base_urls
    try:
        return keys.find(service, api_key_id) is not None
    except MalformedAPIKeyError:
        # To simulate in its place would hide the mistake: it is reported when the service is asked.
        return True
