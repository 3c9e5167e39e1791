"""What each service is reached through."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

from attrs import frozen

from dipeo.config import HTTP_WIRE, LEGACY_SDK_WIRE
from dipeo.domain.errors import ConfigurationError
from dipeo.domain.service import LLMService
from dipeo.infrastructure.environment_warnings import warn_of_environment
from dipeo.infrastructure.llm.drivers.base import WireOpener
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire

_FOLDER: Final = "dipeo.infrastructure.llm.wires"
_HTTP: Final = f"{_FOLDER}.http"
_LEGACY: Final = f"{_FOLDER}.google_legacy_sdk"
_SDKS: Final[Mapping[LLMService, str]] = {
    **dict.fromkeys(LLMService, f"{_FOLDER}.openai_sdk"),
    LLMService.ANTHROPIC: f"{_FOLDER}.anthropic_sdk",
    LLMService.GOOGLE: f"{_FOLDER}.google_sdk",
    LLMService.OLLAMA: f"{_FOLDER}.ollama_sdk",
}
_EXTRAS: Final[Mapping[str, str]] = {
    f"{_FOLDER}.openai_sdk": "openai",
    f"{_FOLDER}.anthropic_sdk": "anthropic",
    f"{_FOLDER}.google_sdk": "google",
    f"{_FOLDER}.ollama_sdk": "ollama",
    _LEGACY: "google-legacy",
}


@frozen
class ChosenWires:
    """Opens the wire that is chosen for an endpoint's service; its module is imported when it is first needed."""

    wires: Mapping[LLMService, str]

    def __call__(self, endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
        """The wire. Raises `ConfigurationError` where the client that it needs is not installed."""
        module = self.module_for(endpoint.service)
        warn_of_environment(endpoint.service, is_sdk=module != _HTTP)
        opened: Wire = _import(module).open_wire(endpoint, credentials)
        return opened

    def module_for(self, service: LLMService) -> str:
        """The module of the service's wire."""
        wire = self.wires.get(service, HTTP_WIRE)
        if wire == HTTP_WIRE:
            return _HTTP
        return _LEGACY if wire == LEGACY_SDK_WIRE else _SDKS[service]


open_http_wire: Final = ChosenWires({})
"""The default wire of every service."""


def modules_for(open_wire: WireOpener, service: LLMService) -> Sequence[str]:
    """What is worth importing before a wire is opened: it takes too long for an event loop to wait for it."""
    return (open_wire.module_for(service),) if isinstance(open_wire, ChosenWires) else ()


def _import(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as problem:
        missing = problem.name or ""
    if missing.startswith("dipeo"):
        raise ConfigurationError(f"There is no module {missing!r}.")
    raise ConfigurationError(
        f"The wire needs the package {missing.partition('.')[0]!r}, which is not installed.",
        field="wires",
        suggestion=f"Run: pip install 'dipeo[{_EXTRAS.get(module, 'sdks')}]'",
    )
