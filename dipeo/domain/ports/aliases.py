"""Names of models."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from dipeo.domain.model import ModelTarget


@runtime_checkable
class AliasPort(Protocol):
    """Every alias there is, and the rules by which a model's name gives away its service."""

    def resolve(self, name: str) -> ModelTarget | None:
        """What the name points at, or None where nothing is known. Pure, and fast enough for every call."""
        ...

    def register(self, alias: str, target: ModelTarget) -> None:
        """Makes an alias; one that exists is replaced. Raises `ValidationError` for a name that cannot be one."""
        ...

    def aliases(self) -> Mapping[str, ModelTarget]:
        """The registered aliases (rules of inference are no aliases)."""
        ...
