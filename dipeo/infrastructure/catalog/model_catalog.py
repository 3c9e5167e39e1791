"""The catalogue of models: the user's file over dipeo's own table over the prices of `genai-prices`."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from attrs import evolve

from dipeo.domain.catalog import Cost, ModelFacts, cost_at, unknown_cost
from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import UnknownServiceError, ValidationError
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.service import LLMService
from dipeo.domain.tools import PromptCache
from dipeo.domain.usage import Usage
from dipeo.infrastructure.catalog.catalog_file import read_catalog_file
from dipeo.infrastructure.catalog.fact_reading import by_service, read_facts
from dipeo.infrastructure.catalog.known_prices import INSTALL_HINT, KnownPrices

TABLE: Final = "capabilities.json"

# A snapshot has its day behind the name; what is known of the name holds for it where nothing else is known.
_SNAPSHOT: Final = re.compile(r"(.+?)-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")

_Facts = Mapping[LLMService, Mapping[str, ModelFacts]]


class LayeredCatalog(ModelCatalogPort):
    """Each fact from the first layer that knows it; nothing is read before it is first asked for. Safe in threads."""

    def __init__(
        self, *, aliases: AliasPort, clock: ClockPort, user_file: Path | None = None, prices: KnownPrices | None = None
    ) -> None:
        self._aliases = aliases
        self._clock = clock
        self._user_file = user_file
        self._prices = prices or KnownPrices()
        self._layers: tuple[_Facts, _Facts] | None = None
        self._lock = threading.Lock()

    def facts(self, model: str, *, service: LLMService | str | None = None, at: datetime | None = None) -> ModelFacts:
        target = self._target(model, service)
        if target is None:
            raise UnknownServiceError(
                f"No service is known for the model {model!r}.", field="model", suggestion="Pass service=..."
            )
        return self._facts(target, self._time(at))

    def models(self, *, service: LLMService | str | None = None) -> Sequence[ModelFacts]:
        wanted = tuple(LLMService) if service is None else (LLMService.from_name(service),)
        at = self._time(None)
        return tuple(facts for each in wanted for facts in self._all_of(each, at))

    def cost(
        self,
        usage: Usage,
        model: str,
        *,
        service: LLMService | str | None = None,
        at: datetime | None = None,
        prompt_cache: PromptCache = PromptCache.DEFAULT,
    ) -> Cost:
        target = self._target(model, service)
        if target is None:
            return unknown_cost(f"no service is known for the model {model!r}")
        facts = self._facts(target, self._time(at))
        cost = cost_at(facts.prices, usage, model=target.model, prompt_cache=prompt_cache)
        if cost.reason.startswith("no price") and not self._prices.is_installed:
            return unknown_cost(f"{cost.reason}; the package of prices is not installed ({INSTALL_HINT})")
        return cost

    def _target(self, model: str, service: LLMService | str | None) -> ModelTarget | None:
        check_identifier("model", model)
        known = self._aliases.resolve(model)
        if service is None:
            return known
        wanted = LLMService.from_name(service)
        return known if known is not None and known.service is wanted else ModelTarget(service=wanted, model=model)

    def _facts(self, target: ModelTarget, at: datetime) -> ModelFacts:
        found = ModelFacts(service=target.service, model=target.model)
        for layer in self._read():
            for name in _names(target.model):
                if (known := layer.get(target.service, {}).get(name)) is not None:
                    found = found.over(known)
        priced = self._prices.find(target.service, target.model, at)
        return found if priced is None else found.over(priced)

    def _all_of(self, service: LLMService, at: datetime) -> Iterator[ModelFacts]:
        names = {name for layer in self._read() for name in layer.get(service, {})}
        names.update(facts.model for facts in self._prices.models(service, at))
        for name in sorted(names):
            yield self._facts(ModelTarget(service=service, model=name), at)

    def _read(self) -> tuple[_Facts, _Facts]:
        if self._layers is None:
            with self._lock:
                if self._layers is None:
                    user = read_catalog_file(self._user_file) if self._user_file is not None else {}
                    self._layers = (user, read_table())
        return self._layers

    def _time(self, at: datetime | None) -> datetime:
        if at is None:
            return self._clock.now()
        if at.tzinfo is None:
            raise ValidationError("'at' must be a time with a zone.", field="at")
        return at

    def __repr__(self) -> str:
        return f"<LayeredCatalog {'read' if self._layers else 'not read yet'}>"


def read_table() -> _Facts:
    """dipeo's own table of what models can do: facts, each with the day it was looked up and where."""
    import json

    text = files("dipeo.infrastructure.catalog").joinpath(TABLE).read_text(encoding="utf-8")
    document = json.loads(text)
    sources = document["sources"]
    facts = read_facts(document["services"], source="")
    return by_service(evolve(each, sources=tuple(f"{sources[key]}" for key in each.sources)) for each in facts)


def _names(model: str) -> tuple[str, ...]:
    """The name, and what stands before a snapshot's day."""
    snapshot = _SNAPSHOT.fullmatch(model)
    return (model, snapshot[1]) if snapshot else (model,)
