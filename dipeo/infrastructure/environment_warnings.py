"""Variables by which the official clients go elsewhere than the program says; dipeo does not obey them, and says so."""

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final

from attrs import frozen

from dipeo.domain.service import LLMService
from dipeo.infrastructure.forks import renew_in_child

_LOG: Final = logging.getLogger("dipeo.environment")


class Effect(Enum):
    """What a variable does to calls that dipeo makes."""

    IGNORED = "Official SDKs obey it; dipeo ignores it."
    PROXY = "dipeo's own wire ignores it; the official clients of the wire 'sdk' use it, except to this machine."
    PROXY_IGNORED = "The wire 'http' ignores it."
    TLS = "It changes which servers are trusted, or notes down the secrets of connections."
    LOGGED = "Over the wire 'sdk', the official client obeys it, and may note down what is said."


@frozen
class ForeignVariable:
    """A variable that is set, and what it does; its value is kept nowhere."""

    name: str
    effect: Effect

    def __str__(self) -> str:
        return f"{self.name} is set. {self.effect.value}"


# Read off the sources of openai 3.54, anthropic 2.12, google-genai 3.4, google-auth 2.62 and ollama 0.6.3. Variables of
# theirs for Azure, Bedrock, Vertex and the like are not among them: only clients that dipeo never makes read those.
_OF_SERVICES: Final[Mapping[LLMService, tuple[str, ...]]] = {
    LLMService.OPENAI: (
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE",
        "OPENAI_ADMIN_KEY",
        "OPENAI_CUSTOM_HEADERS",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
    ),
    LLMService.ANTHROPIC: (
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_CONFIG_DIR",
        "ANTHROPIC_CUSTOM_HEADERS",
        "ANTHROPIC_FEDERATION_RULE_ID",
        "ANTHROPIC_IDENTITY_TOKEN",
        "ANTHROPIC_IDENTITY_TOKEN_FILE",
        "ANTHROPIC_PROFILE",
    ),
    LLMService.GOOGLE: (
        "GOOGLE_GEMINI_BASE_URL",
        "GOOGLE_API_USE_CLIENT_CERTIFICATE",
        "GOOGLE_API_USE_MTLS_ENDPOINT",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_GENAI_API_VERSION",
        "GOOGLE_GENAI_CLIENT_MODE",
        "GOOGLE_GENAI_DEFAULT_HEADERS",
        "GOOGLE_GENAI_REPLAYS_DIRECTORY",
        "GOOGLE_GENAI_USE_ENTERPRISE",
        "GOOGLE_GENAI_USE_VERTEXAI",
        "GOOGLE_VERTEX_BASE_URL",
        # Of requests, on which google-generativeai sits.
        "NETRC",
    ),
    LLMService.OLLAMA: ("OLLAMA_HOST",),
    LLMService.GROQ: ("GROQ_BASE_URL",),
}
_LOGS: Final[Mapping[LLMService, tuple[str, ...]]] = {
    LLMService.OPENAI: ("OPENAI_LOG",),
    LLMService.ANTHROPIC: ("ANTHROPIC_LOG", "ANTHROPIC_OPEN_TELEMETRY"),
    LLMService.GOOGLE: ("GOOGLE_GENAI_DEBUG", "GOOGLE_SDK_PYTHON_LOGGING_SCOPE"),
}
_OPENAI_STYLE: Final = frozenset(LLMService) - {LLMService.ANTHROPIC, LLMService.GOOGLE, LLMService.OLLAMA}
_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_TLS: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def foreign_variables(environ: Mapping[str, str] | None = None) -> tuple[ForeignVariable, ...]:
    """All that are set, for whichever service."""
    given = os.environ if environ is None else environ
    found: list[ForeignVariable] = []
    for names in _OF_SERVICES.values():
        found += _found(names, Effect.IGNORED, given)
    for names in _LOGS.values():
        found += _found(names, Effect.LOGGED, given)
    return (*found, *_proxies(Effect.PROXY, given), *_found(_TLS, Effect.TLS, given))


def warn_of_environment(service: LLMService, *, is_sdk: bool, environ: Mapping[str, str] | None = None) -> None:
    """Logs a warning for each variable that someone may expect to matter to this service's calls, and that does not.

    Each is named once in the life of the process, and its value never.
    """
    given = os.environ if environ is None else environ
    # Whatever is compatible with OpenAI goes through its client.
    names = _OF_SERVICES.get(service, ())
    if is_sdk and service in _OPENAI_STYLE:
        names = (*_OF_SERVICES[LLMService.OPENAI], *names)
    found = [*_found(names, Effect.IGNORED, given), *_found(("SSLKEYLOGFILE",), Effect.TLS, given)]
    if is_sdk:
        logs = _LOGS[LLMService.OPENAI] if service in _OPENAI_STYLE else _LOGS.get(service, ())
        found += _found(logs, Effect.LOGGED, given)
    else:
        found += _proxies(Effect.PROXY_IGNORED, given)
    for variable in found:
        if _WARNED.is_first(variable):
            _LOG.warning("%s", variable)


def _found(names: tuple[str, ...], effect: Effect, environ: Mapping[str, str]) -> list[ForeignVariable]:
    return [ForeignVariable(name, effect) for name in dict.fromkeys(names) if environ.get(name)]


def _proxies(effect: Effect, environ: Mapping[str, str]) -> Iterator[ForeignVariable]:
    for name in _PROXIES:
        # Both spellings are in use, and the lower one wins where both are set.
        if environ.get(name) or environ.get(name.lower()):
            yield ForeignVariable(name, effect)


class _Warned:
    """What was warned of already; safe to use from any thread."""

    def __init__(self) -> None:
        self._seen: set[ForeignVariable] = set()
        self._lock = threading.Lock()
        renew_in_child(self)

    def is_first(self, variable: ForeignVariable) -> bool:
        """Whether this one is new."""
        with self._lock:
            is_new = variable not in self._seen
            self._seen.add(variable)
        return is_new

    def begin_in_child(self) -> None:
        """Takes a new lock: another thread may have held this one when the process was forked."""
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Warns of everything anew."""
        with self._lock:
            self._seen.clear()


_WARNED: Final = _Warned()


def forget_warnings() -> None:
    """Makes every variable be warned of again, for a test that looks for the warning."""
    _WARNED.forget()
