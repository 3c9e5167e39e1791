"""Settings: frozen values, read from the environment once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from attrs import field, frozen
from attrs.converters import optional

from dipeo.domain.checks import check_number
from dipeo.domain.errors import ConfigurationError, ValidationError
from dipeo.domain.secret import SecretVariables
from dipeo.domain.service import LLMService

DEFAULT_BASE_URLS: Final[Mapping[LLMService, str]] = {
    LLMService.OPENAI: "https://api.openai.com/v1",
    LLMService.ANTHROPIC: "https://api.anthropic.com",
    LLMService.GOOGLE: "https://generativelanguage.googleapis.com",
    LLMService.OLLAMA: "http://127.0.0.1:11434",
    LLMService.XAI: "https://api.x.ai/v1",
    LLMService.GROQ: "https://api.groq.com/openai/v1",
    LLMService.MISTRAL: "https://api.mistral.ai/v1",
    LLMService.DEEPSEEK: "https://api.deepseek.com",
    LLMService.OPENROUTER: "https://openrouter.ai/api/v1",
}
"""Where each service answers; `openai_compatible` has no usual address."""

CHAT: Final = "chat"
RESPONSES: Final = "responses"
API_VARIABLES: Final[Mapping[LLMService, str]] = {
    LLMService.OPENAI: "DIPEO_OPENAI_API",
    LLMService.XAI: "DIPEO_XAI_API",
    LLMService.OPENAI_COMPATIBLE: "DIPEO_OPENAI_COMPATIBLE_API",
}
"""The services that have two interfaces, and the variables that choose between them."""

_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"", "0", "false", "no", "off"})


def _as_base_urls(base_urls: Mapping[LLMService, str] | Mapping[str, str]) -> Mapping[LLMService, str]:
    for name, url in base_urls.items():
        if not isinstance(url, str):
            raise ValidationError(f"The base URL of {str(name)!r} must be text, not {url!r}.", field="base_urls")
    return {**DEFAULT_BASE_URLS, **{LLMService.from_name(name): url for name, url in base_urls.items()}}


HTTP_WIRE: Final = "http"
SDK_WIRE: Final = "sdk"
LEGACY_SDK_WIRE: Final = "legacy_sdk"
_WIRES: Final = (HTTP_WIRE, SDK_WIRE, LEGACY_SDK_WIRE)


def _as_wires(wires: str | Mapping[LLMService, str] | Mapping[str, str]) -> Mapping[LLMService, str]:
    if isinstance(wires, str):
        return dict.fromkeys(LLMService, wires)
    chosen = {LLMService.from_name(name): wire for name, wire in wires.items()}
    return {**dict.fromkeys(LLMService, HTTP_WIRE), **chosen}


def _as_apis(apis: Mapping[LLMService, str] | Mapping[str, str]) -> Mapping[LLMService, str]:
    chosen = {LLMService.from_name(name): api for name, api in apis.items()}
    for service, api in chosen.items():
        if service not in API_VARIABLES:
            raise ValidationError(f"{service.value!r} has no choice of interfaces.", field="apis")
        if api not in (CHAT, RESPONSES):
            wanted = f"{CHAT!r} or {RESPONSES!r}"
            raise ValidationError(f"The interface of {service.value!r} must be {wanted}, not {api!r}.", field="apis")
    return chosen


NO_VARIABLES: Final = SecretVariables({})


def _as_secret(environ: Mapping[str, str]) -> SecretVariables:
    # Of a whole environment only what can be a key is kept: its other secrets are none of our business.
    return SecretVariables({name: value for name, value in environ.items() if "KEY" in name.upper()})


@frozen(kw_only=True)
class Settings:
    """How dipeo behaves where a call does not say otherwise.

    `base_dir`: prompt files lie below it. `timeout_s`: bounds a whole call, 300 s. `first_token_timeout_s`: bounds the
    wait for a stream's first event (None: the whole call's bound does). `idle_timeout_s`: bounds every silence of a
    stream after that, 60 s. `max_attempts`: all attempts of a call, 3. `base_urls`: other addresses of services, on top
    of the usual ones. `wires`: what each service is reached through, `http` (dipeo's own, the default), `sdk` (the
    official client, an extra) or, for Google, `legacy_sdk`; one word for all, or one for each. `apis`: which interface
    of OpenAI's `openai`, `xai` and `openai_compatible` are asked over, `chat` (the default) or `responses`. `key_file`,
    `dotenv_file`: where keys are looked for beside the environment. `catalog_file`: your own
    facts and prices of models, in YAML. `retries_unknown_outcome`: try again even where an attempt may have
    been billed. `retry_share`: at most this share of the calls to a service may be retries that come to nothing, 0.2
    (None: no bound). `breaker_failures`: a service that failed so often of late is not asked for `breaker_cool_down_s`,
    10 failures and 10 s (0 failures: no breaker). `hedge_share`: at most this share of the calls is asked a second
    time when the answer is slow to begin, 0. `environ`: the variables that keys are looked for in; it is shown nowhere.
    """

    base_dir: Path = field(default=Path(), converter=Path)
    timeout_s: float = 300.0
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = 60.0
    max_attempts: int = 3
    base_urls: Mapping[LLMService, str] = field(factory=dict, converter=_as_base_urls)
    apis: Mapping[LLMService, str] = field(factory=dict, converter=_as_apis)
    wires: Mapping[LLMService, str] = field(default=HTTP_WIRE, converter=_as_wires)
    key_file: Path | None = field(default=None, converter=optional(Path))
    catalog_file: Path | None = field(default=None, converter=optional(Path))
    dotenv_file: Path | None = field(default=None, converter=optional(Path))
    retries_unknown_outcome: bool = False
    retry_share: float | None = 0.2
    breaker_failures: int = 10
    breaker_cool_down_s: float = 10.0
    hedge_share: float = 0.0
    environ: SecretVariables = field(default=NO_VARIABLES, converter=_as_secret, repr=False)

    def __attrs_post_init__(self) -> None:
        for name in ("timeout_s", "first_token_timeout_s", "idle_timeout_s"):
            if (limit_s := getattr(self, name)) is not None:
                check_number(name, limit_s, minimum=0.001, maximum=24 * 3600)
        for service, wire in self.wires.items():
            if wire not in _WIRES or (wire == LEGACY_SDK_WIRE and service is not LLMService.GOOGLE):
                known = "'http' or 'sdk', for Google also 'legacy_sdk'"
                raise ValidationError(f"The wire of {service.value!r} must be {known}, not {wire!r}.", field="wires")
        check_number("max_attempts", self.max_attempts, minimum=1, maximum=20, is_whole=True)
        check_number("breaker_failures", self.breaker_failures, minimum=0, maximum=1000, is_whole=True)
        check_number("breaker_cool_down_s", self.breaker_cool_down_s, minimum=0.001, maximum=3600)
        check_number("hedge_share", self.hedge_share, minimum=0, maximum=0.5)
        if self.retry_share is not None:
            check_number("retry_share", self.retry_share, minimum=0, maximum=20)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, dotenv_file: str | Path | None = ".env") -> Self:
        """The settings that these variables give, `os.environ` unless told otherwise.

        A `.env` file in the working directory is read beneath them. Known variables: DIPEO_BASE_DIR, DIPEO_LLM_TIMEOUT,
        DIPEO_LLM_FIRST_TOKEN_TIMEOUT and DIPEO_LLM_IDLE_TIMEOUT (seconds; 0 for the latter two means no limit of their
        own), DIPEO_LLM_MAX_RETRIES (attempts in all), DIPEO_LLM_RETRY_UNKNOWN_OUTCOME,
        DIPEO_LLM_RETRY_SHARE (0: no bound), DIPEO_LLM_BREAKER_FAILURES, DIPEO_LLM_BREAKER_COOL_DOWN,
        DIPEO_LLM_HEDGE_SHARE, DIPEO_KEY_FILE,
        DIPEO_CATALOG_FILE, DIPEO_<SERVICE>_BASE_URL, OLLAMA_BASE_URL, DIPEO_LLM_WIRE,
        DIPEO_<SERVICE>_WIRE, DIPEO_OPENAI_API, DIPEO_XAI_API
        and DIPEO_OPENAI_COMPATIBLE_API. Raises `ConfigurationError` naming the variable with a bad value.
        """
        given = dict(os.environ if environ is None else environ)
        dotenv = Path(dotenv_file) if dotenv_file is not None else None
        variables = {**_read_dotenv(dotenv), **given}
        key_file, catalog_file = variables.get("DIPEO_KEY_FILE"), variables.get("DIPEO_CATALOG_FILE")
        try:
            return cls(
                base_dir=Path(variables.get("DIPEO_BASE_DIR") or "."),
                timeout_s=_number(variables, "DIPEO_LLM_TIMEOUT", 300.0),
                first_token_timeout_s=_number(variables, "DIPEO_LLM_FIRST_TOKEN_TIMEOUT", 0.0) or None,
                idle_timeout_s=_number(variables, "DIPEO_LLM_IDLE_TIMEOUT", 60.0) or None,
                max_attempts=int(_number(variables, "DIPEO_LLM_MAX_RETRIES", 3, is_whole=True)),
                base_urls=_base_urls(variables),
                apis=_apis(variables),
                wires=_wires(variables),
                key_file=Path(key_file) if key_file else None,
                catalog_file=Path(catalog_file) if catalog_file else None,
                dotenv_file=dotenv,
                retries_unknown_outcome=_flag(variables, "DIPEO_LLM_RETRY_UNKNOWN_OUTCOME"),
                retry_share=_number(variables, "DIPEO_LLM_RETRY_SHARE", 0.2) or None,
                breaker_failures=int(_number(variables, "DIPEO_LLM_BREAKER_FAILURES", 10, is_whole=True)),
                breaker_cool_down_s=_number(variables, "DIPEO_LLM_BREAKER_COOL_DOWN", 10.0),
                hedge_share=_number(variables, "DIPEO_LLM_HEDGE_SHARE", 0.0),
                environ=given,
            )
        except ValidationError as problem:
            variable = _VARIABLES.get(problem.field or "", problem.field or "")
            raise ConfigurationError(f"{variable} is not usable: {problem.message}", field=variable) from None


_VARIABLES: Final = {
    "timeout_s": "DIPEO_LLM_TIMEOUT",
    "first_token_timeout_s": "DIPEO_LLM_FIRST_TOKEN_TIMEOUT",
    "idle_timeout_s": "DIPEO_LLM_IDLE_TIMEOUT",
    "max_attempts": "DIPEO_LLM_MAX_RETRIES",
    "retry_share": "DIPEO_LLM_RETRY_SHARE",
    "breaker_failures": "DIPEO_LLM_BREAKER_FAILURES",
    "breaker_cool_down_s": "DIPEO_LLM_BREAKER_COOL_DOWN",
    "hedge_share": "DIPEO_LLM_HEDGE_SHARE",
    "wires": "DIPEO_LLM_WIRE",
}


def _read_dotenv(path: Path | None) -> Mapping[str, str]:
    """The variables of a `.env` file; the values of keys in it are looked up elsewhere."""
    if path is None or not path.is_file():
        return {}
    from dotenv import dotenv_values  # 36 ms that only those pay who have such a file

    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
        return {name: value for name, value in values.items() if value is not None}
    except (OSError, UnicodeDecodeError):
        pass  # raised below, outside this block: the exception holds the text of the file, and keys are in it
    raise ConfigurationError(f"The file {path.name!r} cannot be read as UTF-8 text.", field="dotenv_file")


def _number(variables: Mapping[str, str], name: str, default: float, *, is_whole: bool = False) -> float:
    text = variables.get(name, "").strip()
    if not text:
        return default
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        wanted = "a whole number" if is_whole else "a number"
        raise ConfigurationError(f"{name} must be {wanted}, not {text[:40]!r}.", field=name) from None


def _flag(variables: Mapping[str, str], name: str) -> bool:
    text = variables.get(name, "").strip().lower()
    if text not in _YES | _NO:
        raise ConfigurationError(f"{name} must be yes or no, not {text[:40]!r}.", field=name)
    return text in _YES


def _base_urls(variables: Mapping[str, str]) -> dict[LLMService, str]:
    found = {service: variables.get(f"DIPEO_{service.name}_BASE_URL", "").strip() for service in LLMService}
    found[LLMService.OLLAMA] = found[LLMService.OLLAMA] or variables.get("OLLAMA_BASE_URL", "").strip()
    return {service: url for service, url in found.items() if url}


def _wires(variables: Mapping[str, str]) -> dict[LLMService, str]:
    usual = variables.get("DIPEO_LLM_WIRE", "").strip() or HTTP_WIRE
    return {service: variables.get(f"DIPEO_{service.name}_WIRE", "").strip() or usual for service in LLMService}


def _apis(variables: Mapping[str, str]) -> dict[LLMService, str]:
    chosen: dict[LLMService, str] = {}
    for service, name in API_VARIABLES.items():
        word = variables.get(name, "").strip().lower()
        if word not in ("", CHAT, RESPONSES):
            raise ConfigurationError(f"{name} must be {CHAT!r} or {RESPONSES!r}, not {word[:40]!r}.", field=name)
        if word:
            chosen[service] = word
    return chosen
