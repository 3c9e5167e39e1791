"""Prices and windows from the `genai-prices` package, which carries its data and asks no network; an optional extra."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Final

from dipeo.domain.catalog import UNKNOWN, ModelFacts, NotKnown, Prices, TokenPrice
from dipeo.domain.service import LLMService

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

PRICES_SOURCE: Final = "genai-prices"
INSTALL_HINT: Final = "Run: pip install 'dipeo[catalog]'"

_PROVIDERS: Final[Mapping[LLMService, str]] = {
    LLMService.OPENAI: "openai",
    LLMService.ANTHROPIC: "anthropic",
    LLMService.GOOGLE: "google",
    LLMService.XAI: "x-ai",
    LLMService.GROQ: "groq",
    LLMService.MISTRAL: "mistral",
    LLMService.DEEPSEEK: "deepseek",
    LLMService.OPENROUTER: "openrouter",
}
_CLASSES: Final[Mapping[str, str]] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_long": "cache_write_1h_mtok",
}


class KnownPrices:
    """What the package knows; without the package, nothing. Imported when first asked, which takes half a second."""

    def __init__(self, module: str = "genai_prices.data_snapshot") -> None:
        self._module = module
        self._providers: Mapping[str, Provider] | None = None
        self._source = ""

    @property
    def is_installed(self) -> bool:
        """Whether the package is there."""
        return bool(self._loaded())

    def find(self, service: LLMService, model: str, at: datetime) -> ModelFacts | None:
        """What is known about the model at that time, or None."""
        provider = self._loaded().get(_PROVIDERS.get(service, ""))
        found = provider.find_model(model.removeprefix("models/")) if provider else None
        return self._facts(service, model, found, at) if found else None

    def models(self, service: LLMService, at: datetime) -> Iterator[ModelFacts]:
        """All models of a service that the package knows."""
        provider = self._loaded().get(_PROVIDERS.get(service, ""))
        for model in provider.models if provider else ():
            yield self._facts(service, model.id, model, at)

    def _facts(self, service: LLMService, name: str, found: "ModelInfo", at: datetime) -> ModelFacts:
        prices = vars(found.get_prices(at))
        return ModelFacts(
            service=service,
            model=name,
            context_window_tokens=found.context_window or UNKNOWN,
            is_deprecated=UNKNOWN if found.deprecated is None else found.deprecated,
            prices=Prices(**{ours: _price(prices.get(theirs)) for ours, theirs in _CLASSES.items()}),
            sources=(self._source,),
        )

    def _loaded(self) -> Mapping[str, "Provider"]:
        if self._providers is None:
            from importlib.metadata import version  # brings a megabyte, and is of no use without the package

            try:
                data_snapshot = import_module(self._module)
            except ModuleNotFoundError:
                self._providers = {}
            else:
                # The snapshot that comes with the package: fetching a newer one is for the user to ask of it.
                self._providers = {provider.id: provider for provider in data_snapshot.get_snapshot().providers}
                self._source = f"{PRICES_SOURCE} {version(PRICES_SOURCE)}"
        return self._providers


def _price(price: object) -> TokenPrice | NotKnown:
    if isinstance(price, Decimal):
        return TokenPrice(usd=price)
    base, tiers = getattr(price, "base", None), getattr(price, "tiers", None)
    if not isinstance(base, Decimal) or not isinstance(tiers, list):
        return UNKNOWN
    return TokenPrice(usd=base, steps=tuple((tier.start, tier.price) for tier in tiers))
