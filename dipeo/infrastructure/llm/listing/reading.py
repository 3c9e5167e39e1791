"""Reads the lists of models that services send, in whatever shape they have.

Sources of the shapes: each service's own reference to its list of models, and for Anthropic a recorded reply. What a
service does not say is unknown, and so is what it says in a way that is not understood.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from attrs import evolve

from dipeo.domain.catalog import (
    TOKENS_PER_PRICE,
    UNKNOWN,
    Modality,
    ModelFacts,
    NotKnown,
    Prices,
    TokenPrice,
)
from dipeo.domain.errors import MalformedResponseError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.answer import object_in

_LISTS: Final = ("data", "models")
_NAMES: Final = ("id", "name", "model")
_MAX_NAME_CHARS: Final = 256
_WINDOWS: Final = ("max_input_tokens", "inputTokenLimit", "context_length", "context_window", "max_context_length")
_OUTPUTS: Final = ("max_tokens", "outputTokenLimit", "max_completion_tokens")


def read_models(body: JsonValue, *, service: LLMService) -> tuple[ModelFacts, ...]:
    """The models of one page, by name, each once. Raises `MalformedResponseError` for what is no list of models.

    The list stands alone, or under `data` or `models`; an entry is a name, or an object with an `id` or a `name`. What
    is not understood in a list is left out.
    """
    if isinstance(body, dict):
        body = next((body[key] for key in _LISTS if isinstance(body.get(key), list)), None)
    if not isinstance(body, list):
        raise MalformedResponseError("The provider answered with no list of models.")
    named = {name: entry for entry in body if (name := _name_of(entry, service))}
    return tuple(_facts(service, name, object_in(named[name])) for name in sorted(named))


def _name_of(entry: JsonValue, service: LLMService) -> str:
    candidates = [entry.get(key) for key in _NAMES] if isinstance(entry, dict) else [entry]
    name = next((text.strip() for text in candidates if isinstance(text, str) and text.strip()), "")
    if service is LLMService.GOOGLE:
        name = name.removeprefix("models/")
    return name if len(name) <= _MAX_NAME_CHARS and name.isprintable() else ""


def _facts(service: LLMService, name: str, entry: JsonObject) -> ModelFacts:
    facts = ModelFacts(
        service=service,
        model=name,
        context_window_tokens=_first_count(entry, _WINDOWS),
        max_output_tokens=_first_count(entry, _OUTPUTS),
        released_on=_day(entry.get("created_at") or entry.get("created")),
        sources=(f"the list of models of {service.value}",),
    )
    reader = _READERS.get(service)
    return reader(facts, entry) if reader else facts


def _with_anthropic(facts: ModelFacts, entry: JsonObject) -> ModelFacts:
    said = object_in(entry.get("capabilities"))
    images, documents = _supported(said, "image_input"), _supported(said, "pdf_input")
    inputs: frozenset[Modality] | NotKnown = UNKNOWN
    if images is not UNKNOWN and documents is not UNKNOWN:
        taken = ((Modality.TEXT, True), (Modality.IMAGE, images), (Modality.DOCUMENT, documents))
        inputs = frozenset(modality for modality, is_taken in taken if is_taken)
    schema, thinking = _supported(said, "structured_outputs"), _supported(said, "thinking")
    return evolve(facts, inputs=inputs, takes_schema=schema, reasons=thinking)


def _with_google(facts: ModelFacts, entry: JsonObject) -> ModelFacts:
    return evolve(facts, reasons=_flag(entry.get("thinking")))


def _with_mistral(facts: ModelFacts, entry: JsonObject) -> ModelFacts:
    said = object_in(entry.get("capabilities"))
    vision = _flag(said.get("vision"))
    retires = entry.get("deprecation")
    has_said = "deprecation" in entry
    return evolve(
        facts,
        takes_tools=_flag(said.get("function_calling")),
        inputs=UNKNOWN
        if vision is UNKNOWN
        else frozenset({Modality.TEXT, Modality.IMAGE} if vision else {Modality.TEXT}),
        is_deprecated=retires is not None if has_said else UNKNOWN,
        retires_on=None if has_said and retires is None else _day(retires),
    )


def _with_openrouter(facts: ModelFacts, entry: JsonObject) -> ModelFacts:
    top, parameters = object_in(entry.get("top_provider")), entry.get("supported_parameters")
    said = object_in(entry.get("architecture")).get("input_modalities")
    prices = object_in(entry.get("pricing"))

    def takes(name: str) -> bool | NotKnown:
        return name in parameters if isinstance(parameters, list) else UNKNOWN

    return evolve(
        facts,
        max_output_tokens=_first_count(top, _OUTPUTS),
        inputs=frozenset(_MODALITIES[each] for each in said if isinstance(each, str) and each in _MODALITIES)
        if isinstance(said, list)
        else UNKNOWN,
        takes_tools=takes("tools"),
        takes_schema=takes("structured_outputs"),
        takes_sampling=takes("temperature"),
        reasons=takes("reasoning"),
        prices=Prices(
            input=_price(prices.get("prompt")),
            output=_price(prices.get("completion")),
            cached=_price(prices.get("input_cache_read")),
            cache_write=_price(prices.get("input_cache_write")),
        ),
    )


_READERS: Final = {
    LLMService.ANTHROPIC: _with_anthropic,
    LLMService.GOOGLE: _with_google,
    LLMService.MISTRAL: _with_mistral,
    LLMService.OPENROUTER: _with_openrouter,
}
_MODALITIES: Final[Mapping[str, Modality]] = {**{each.value: each for each in Modality}, "file": Modality.DOCUMENT}


def _supported(said: JsonObject, name: str) -> bool | NotKnown:
    return _flag(object_in(said.get(name)).get("supported"))


def _flag(value: JsonValue) -> bool | NotKnown:
    return value if isinstance(value, bool) else UNKNOWN


def _first_count(entry: JsonObject, names: tuple[str, ...]) -> int | NotKnown:
    counts = (entry.get(name) for name in names)
    return next((count for count in counts if type(count) is int and count > 0), UNKNOWN)


def _day(value: JsonValue) -> date | NotKnown:
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value).date()
        if type(value) is int and value > 0:
            return datetime.fromtimestamp(value, UTC).date()
    except (ValueError, OverflowError, OSError):
        pass  # a date that is none is as good as not said
    return UNKNOWN


def _price(usd_per_token: JsonValue) -> TokenPrice | NotKnown:
    """OpenRouter's prices are texts, for one token; a negative one says that it depends."""
    if not isinstance(usd_per_token, str):
        return UNKNOWN
    try:
        usd = Decimal(usd_per_token) * TOKENS_PER_PRICE
    except InvalidOperation:
        return UNKNOWN
    return TokenPrice(usd=usd.normalize()) if usd.is_finite() and usd >= 0 else UNKNOWN


def next_page(body: JsonValue, *, service: LLMService) -> str | None:
    """What stands for the page after this one; None for the last."""
    if not isinstance(body, dict):
        return None
    if service is LLMService.ANTHROPIC:
        token = body.get("last_id") if body.get("has_more") is True else None
    else:
        token = body.get("nextPageToken") if service is LLMService.GOOGLE else None
    return token if isinstance(token, str) and token else None
