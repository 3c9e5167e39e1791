"""The order of the stations between the service and the pool; written here and nowhere else."""

from dipeo.config import Settings
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.ports.tokens import TokenCounterPort
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
) -> ChatModelPort:
    """Retries around one attempt, its record around its time limit around the pool.

    A `counter` that learns is told what every answered request used.
    """
    limited = TimeLimitedModel(pool, clock)
    observe = counter.observe if isinstance(counter, CalibratingTokenCounter) else None
    metered = MeteredModel(limited, ledger=ledger, keys=keys, clock=clock, observe=observe)
    return RetryingModel(metered, clock, retries_unknown_outcome=settings.retries_unknown_outcome)


def build_errands(model: ChatModelPort, *, clock: ClockPort) -> ChatModelPort:
    """Retries around the time limit around what costs nothing, and is therefore not recorded: lists and counts."""
    return RetryingModel(TimeLimitedModel(model, clock), clock)
