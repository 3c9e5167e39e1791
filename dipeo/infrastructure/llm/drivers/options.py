"""Reads and checks the options of a call."""

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from dipeo.domain.checks import check_identifier, check_number
from dipeo.domain.completion import CompletionOptions
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.model import ModelTarget, as_fallbacks
from dipeo.domain.sampling import NO_SAMPLING, SAMPLING_NAMES, Sampling
from dipeo.domain.tools import NO_TOOLS, PromptCache, ResponseSchema, Tooling
from dipeo.infrastructure.llm.drivers.provider_options import check_provider_options
from dipeo.infrastructure.llm.drivers.tool_options import read_prompt_cache, read_response_schema, read_tooling

KNOWN_OPTIONS: Final = frozenset(CompletionOptions.__annotations__)
_SAMPLING: Final = frozenset(SAMPLING_NAMES)

DEFAULT_TIMEOUT_S: Final = 300.0
DEFAULT_MAX_ATTEMPTS: Final = 3
MAX_TIMEOUT_S: Final = 24 * 3600.0
MAX_ATTEMPTS: Final = 20


@frozen(kw_only=True)
class CallOptions:
    """The options of one call, checked."""

    sampling: Sampling = NO_SAMPLING
    timeout_s: float = DEFAULT_TIMEOUT_S
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    provider_options: JsonObject = field(factory=dict)
    base_url: str | None = None
    is_strict: bool = False
    tooling: Tooling = NO_TOOLS
    response_schema: ResponseSchema | None = None
    prompt_cache: PromptCache = PromptCache.DEFAULT
    previous_response_id: str | None = None
    fallbacks: tuple[ModelTarget | str, ...] | None = None


NO_OPTIONS: Final = CallOptions()


def read_options(options: CompletionOptions, usual: CallOptions = NO_OPTIONS) -> CallOptions:
    """The options, checked, with the usual limits where none are given. A call without options takes `usual` itself.

    Raises `ValidationError` naming the option that is unknown or has a bad value.
    """
    given: Mapping[str, object] = options
    for name in given:
        if name not in KNOWN_OPTIONS:
            raise _unknown(name)
    sampling = {name: value for name, value in given.items() if name in _SAMPLING}
    max_attempts = options.get("max_attempts")
    for name in ("timeout_s", "first_token_timeout_s", "idle_timeout_s"):
        if given.get(name) is not None:
            check_number(name, given[name], minimum=0.001, maximum=MAX_TIMEOUT_S)
    if max_attempts is not None:
        check_number("max_attempts", max_attempts, minimum=1, maximum=MAX_ATTEMPTS, is_whole=True)
    base_url, provider_options = options.get("base_url"), given.get("provider_options")
    is_strict = options.get("strict", False)
    if not isinstance(is_strict, bool):
        raise ValidationError(f"'strict' must be True or False, not {is_strict!r}.", field="strict")
    previous = options.get("previous_response_id")
    return CallOptions(
        tooling=read_tooling(given),
        response_schema=read_response_schema(given.get("response_schema")),
        prompt_cache=read_prompt_cache(given.get("prompt_cache")),
        previous_response_id=None if previous is None else check_identifier("previous_response_id", previous),
        sampling=Sampling(**sampling) if sampling else NO_SAMPLING,  # type: ignore[arg-type]  # checked by Sampling
        timeout_s=options.get("timeout_s") or usual.timeout_s,
        first_token_timeout_s=options.get("first_token_timeout_s") or usual.first_token_timeout_s,
        idle_timeout_s=options.get("idle_timeout_s") or usual.idle_timeout_s,
        max_attempts=max_attempts or usual.max_attempts,
        provider_options={} if provider_options is None else check_provider_options(provider_options),
        base_url=None if base_url is None else check_identifier("base_url", base_url),
        is_strict=is_strict,
        fallbacks=None if given.get("fallbacks") is None else as_fallbacks(given["fallbacks"]),
    )


def _unknown(name: str) -> ValidationError:
    from difflib import get_close_matches  # loaded for the mistake alone

    near = get_close_matches(name, KNOWN_OPTIONS, n=1)
    known = ", ".join(sorted(KNOWN_OPTIONS))
    hint = f"Did you mean {near[0]!r}?" if near else f"Known options: {known}."
    suggestion = f"{hint} What one provider alone knows goes into provider_options."
    return ValidationError(f"There is no option {name!r}.", field=name, suggestion=suggestion)
