"""Reads facts of models from plain documents, dipeo's own table and the user's file alike; strict, and by name."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from dipeo.domain.catalog import UNKNOWN, Modality, ModelFacts, NotKnown, Prices, TokenPrice
from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import ConfigurationError, DipeoError
from dipeo.domain.service import LLMService

_T = TypeVar("_T")

_UNKNOWN_WORD: Final = "unknown"
_MAX_TOKENS: Final = 2**53


class FactError(ConfigurationError):
    """A document does not say what it should; `field` names the place."""


def read_facts(document: object, *, source: str) -> tuple[ModelFacts, ...]:
    """The facts in a document: services, below each its models by name, below each what is known.

    Raises `FactError` naming the key of the line that is not understood.
    """
    facts: list[ModelFacts] = []
    for service_name, models in _mapping(document, "the document").items():
        place = str(service_name)
        try:
            service = LLMService.from_name(place)
        except DipeoError:
            known = ", ".join(LLMService)
            raise _refused(place, "is no service", f"Known services: {known}.") from None
        for name, said in _mapping(models, place).items():
            facts.append(_model(service, name, said, place=f"{place}.{name}", source=source))
    return tuple(facts)


def _model(service: LLMService, name: object, said: object, *, place: str, source: str) -> ModelFacts:
    try:
        model = check_identifier("model", name)
    except DipeoError:
        raise _refused(place, "is no name of a model", "Write it as text, as the service has it.") from None
    values: dict[str, Any] = {}  # each value has the type of its own field
    for key, value in _mapping(said, place).items():
        reader = _READERS.get(str(key))
        where = f"{place}.{key}"
        if reader is None:
            raise _refused(where, "is not known", f"Known keys: {', '.join(sorted(_READERS))}.")
        values[_FIELDS.get(str(key), str(key))] = UNKNOWN if value == _UNKNOWN_WORD else reader(value, where)
    values.setdefault("sources", (source,))
    return ModelFacts(service=service, model=model, **values)


def _count(value: object, place: str) -> int:
    if type(value) is not int or not 0 < value <= _MAX_TOKENS:
        raise _refused(place, f"must be a whole number from 1, not {value!r}")
    return value


def _flag(value: object, place: str) -> bool:
    if not isinstance(value, bool):
        raise _refused(place, f"must be true, false or unknown, not {value!r}")
    return value


def _day(value: object, place: str) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _refused(place, f"must be a day such as 2026-11-23, not {value!r}") from None


def _retirement(value: object, place: str) -> date | None:
    return None if value is None else _day(value, place)


def _inputs(value: object, place: str) -> frozenset[Modality]:
    known = ", ".join(Modality)
    if not isinstance(value, list) or not value:
        raise _refused(place, "must be a list of what the model takes", f"Known: {known}.")
    found = set()
    for each in value:
        if each not in list(Modality):
            raise _refused(place, f"holds {each!r}, which is no kind of input", f"Known: {known}.")
        found.add(Modality(each))
    return frozenset(found)


def _sources(value: object, place: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise _refused(place, "must be a text, or a list of texts")
    return tuple(texts)


def _prices(value: object, place: str) -> Prices:
    prices: dict[str, TokenPrice | NotKnown] = {}
    for key, said in _mapping(value, place).items():
        where = f"{place}.{key}"
        if str(key) not in _PRICE_KEYS:
            raise _refused(where, "is not known", f"Known keys: {', '.join(_PRICE_KEYS)}.")
        prices[str(key)] = UNKNOWN if said == _UNKNOWN_WORD else _price(said, where)
    return Prices(**prices)


def _price(value: object, place: str) -> TokenPrice:
    """One price, or a mapping of the input tokens above which a price holds to that price."""
    if not isinstance(value, Mapping):
        return TokenPrice(usd=_usd(value, place))
    steps: dict[int, Decimal] = {}
    for start, usd in value.items():
        if type(start) is not int or start < 0:
            raise _refused(f"{place}.{start}", "must be a whole number of input tokens from 0")
        steps[start] = _usd(usd, f"{place}.{start}")
    if 0 not in steps:
        raise _refused(place, "must say what holds above 0 input tokens")
    first = steps.pop(0)
    return TokenPrice(usd=first, steps=tuple(sorted(steps.items())))


def _usd(value: object, place: str) -> Decimal:
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    try:
        # Through its shortest text, so that 0.1 is a tenth.
        usd = Decimal(str(value)) if is_number else Decimal(math.nan)
    except InvalidOperation:
        usd = Decimal(math.nan)
    if not usd.is_finite() or usd < 0:
        raise _refused(place, f"must be US dollars for a million tokens from 0, not {value!r}")
    return usd


def _mapping(value: object, place: str) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise _refused(place, "must be a mapping of keys to values")
    return value


_PRICE_KEYS: Final = ("input", "output", "cached", "cache_write", "cache_write_long")
_READERS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "context_window_tokens": _count,
    "max_output_tokens": _count,
    "inputs": _inputs,
    "takes_tools": _flag,
    "takes_schema": _flag,
    "takes_sampling": _flag,
    "reasons": _flag,
    "is_deprecated": _flag,
    "released_on": _day,
    "retires_on": _retirement,
    "as_of": _day,
    "sources": _sources,
    "usd_per_million_tokens": _prices,
}
_FIELDS: Final[Mapping[str, str]] = {"usd_per_million_tokens": "prices"}


def _refused(place: str, problem: str, suggestion: str | None = None) -> FactError:
    return FactError(f"{place!r} {problem}.", field=place, suggestion=suggestion)


def by_service(facts: Iterable[ModelFacts]) -> Mapping[LLMService, Mapping[str, ModelFacts]]:
    """The facts, by service and name."""
    found: dict[LLMService, dict[str, ModelFacts]] = {}
    for each in facts:
        found.setdefault(each.service, {})[each.model] = each
    return found
