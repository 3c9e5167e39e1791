"""From the names of fallbacks to targets."""

from collections.abc import Iterable

from attrs import evolve

from dipeo.domain.errors import UnknownServiceError
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports.aliases import AliasPort


def resolve_fallbacks(fallbacks: Iterable[ModelTarget | str], aliases: AliasPort) -> tuple[ModelTarget, ...]:
    """The targets, in the same order. Raises `UnknownServiceError` for a name that nothing is known about."""
    return tuple(_resolve(each, aliases) for each in fallbacks)


def _resolve(fallback: ModelTarget | str, aliases: AliasPort) -> ModelTarget:
    target = aliases.resolve(fallback) if isinstance(fallback, str) else fallback
    if target is None:
        raise UnknownServiceError(f"No service is known for the fallback {fallback!r}.", field="fallbacks")
    # Whoever is asked instead is asked alone: fallbacks of fallbacks would have no end.
    return evolve(target, fallbacks=()) if target.fallbacks else target
