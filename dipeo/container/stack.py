"""The order of the stations between the service and the pool; written here and nowhere else."""

from collections.abc import Callable

from dipeo.config import Settings
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.candidates import WindowOf
from dipeo.infrastructure.llm.drivers.circuits import Circuits
from dipeo.infrastructure.llm.drivers.retry_budget import RetryBudget
from dipeo.infrastructure.llm.wrappers.breaker import BreakerModel
from dipeo.infrastructure.llm.wrappers.fallback import FallbackModel
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.infrastructure.llm.wrappers.retrying import RetryingModel
from dipeo.infrastructure.llm.wrappers.time_limited import TimeLimitedModel
from dipeo.infrastructure.token_calibration import CalibratingTokenCounter


def build_stack(
    pool: ChatModelPort,
    *,
    settings: Settings,
    ledger: LedgerPort,
    keys: APIKeyPort,
    clock: ClockPort,
    counter: TokenCounterPort | None = None,
    catalog: Callable[[], ModelCatalogPort] | None = None,
) -> ChatModelPort:
    """Fallbacks, retries, hedging, the breaker, then one attempt: its record around its time limit around the pool.

    A station that is not configured is neither built nor imported. A `counter` that learns is told what every answered
    request used. The `catalog` is fetched when a size is first asked for; without one nothing falls back: that is for
    what only the same model can do, such as embeddings.
    """
    limited = TimeLimitedModel(pool, clock)
    observe = counter.observe if isinstance(counter, CalibratingTokenCounter) else None
    model: ChatModelPort = MeteredModel(limited, ledger=ledger, keys=keys, clock=clock, observe=observe)
    if failures := settings.breaker_failures:
        circuits = Circuits(keys, clock, failures=failures, cool_down_s=settings.breaker_cool_down_s)
        model = BreakerModel(model, circuits)
    if share := settings.hedge_share:
        from dipeo.infrastructure.llm.drivers.latencies import LatencyBook
        from dipeo.infrastructure.llm.wrappers.hedging import HedgedModel

        model = HedgedModel(model, clock, LatencyBook(share=share))
    budget = None if settings.retry_share is None else RetryBudget(clock, share=settings.retry_share)
    model = RetryingModel(model, clock, retries_unknown_outcome=settings.retries_unknown_outcome, budget=budget)
    return model if catalog is None else FallbackModel(model, clock, window_of=_windows(catalog))


def _windows(catalog: Callable[[], ModelCatalogPort]) -> WindowOf:
    def window_of(service: LLMService, model: str) -> int | None:
        from dipeo.domain.catalog import UNKNOWN  # loaded when somebody falls back

        window_tokens = catalog().facts(model, service=service).context_window_tokens
        return None if window_tokens is UNKNOWN else window_tokens

    return window_of


def build_errands(model: ChatModelPort, *, clock: ClockPort) -> ChatModelPort:
    """Retries around the time limit around what costs nothing, and is therefore not recorded: lists and counts."""
    return RetryingModel(TimeLimitedModel(model, clock), clock)
