"""What there is beside completing; imported when it is first asked for, because most programs complete and no more."""

from pathlib import Path
from typing import TYPE_CHECKING

from dipeo.config import Settings
from dipeo.container.stack import build_errands, build_stack
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.embeddings import EmbeddingPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.listing import ModelListPort
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.ports.prompt_size import PromptSizePort
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.infrastructure.llm.drivers.service import LLMInfraService
from dipeo.infrastructure.llm.drivers.system_prompt_handler import SystemPromptHandler

if TYPE_CHECKING:
    from dipeo.application.context import ContextPreparation


def build_catalog(*, aliases: AliasPort, clock: ClockPort, user_file: Path | None) -> ModelCatalogPort:
    """What is known of models: the user's file over dipeo's own table."""
    from dipeo.infrastructure.catalog.model_catalog import LayeredCatalog

    return LayeredCatalog(aliases=aliases, clock=clock, user_file=user_file)


def build_embeddings(
    pool: ChatModelPort,
    *,
    settings: Settings,
    ledger: LedgerPort,
    keys: APIKeyPort,
    clock: ClockPort,
    aliases: AliasPort,
    counter: TokenCounterPort,
) -> EmbeddingPort:
    """Embeddings over the same stations as completions, without fallbacks: vectors of two models have no likeness."""
    from dipeo.infrastructure.llm.embeddings.model import EmbeddingModel
    from dipeo.infrastructure.llm.embeddings.service import BatchingEmbeddings

    return BatchingEmbeddings(
        build_stack(EmbeddingModel(pool), settings=settings, ledger=ledger, keys=keys, clock=clock),
        aliases=aliases,
        clock=clock,
        counter=counter,
        timeout_s=settings.timeout_s,
        max_attempts=settings.max_attempts,
    )


def build_model_lists(pool: ChatModelPort, *, settings: Settings, clock: ClockPort) -> ModelListPort:
    """The lists of models that providers offer."""
    from dipeo.infrastructure.llm.listing.service import ListingModel, ProviderModelLists

    return ProviderModelLists(
        build_errands(ListingModel(pool), clock=clock),
        clock=clock,
        timeout_s=settings.timeout_s,
        max_attempts=settings.max_attempts,
    )


def build_prompt_sizes(
    pool: ChatModelPort,
    *,
    settings: Settings,
    clock: ClockPort,
    aliases: AliasPort,
    system_prompts: SystemPromptHandler,
) -> PromptSizePort:
    """What providers count a prompt to; a call is read as for a completion."""
    from dipeo.infrastructure.llm.counting.service import CountingModel, ProviderPromptSizes

    return ProviderPromptSizes(
        LLMInfraService(
            build_errands(CountingModel(pool), clock=clock),
            aliases=aliases,
            system_prompts=system_prompts,
            clock=clock,
            timeout_s=settings.timeout_s,
            max_attempts=settings.max_attempts,
        )
    )


def build_context(
    service: LLMServicePort, *, counter: TokenCounterPort, catalog: ModelCatalogPort
) -> "ContextPreparation":
    """What makes of a conversation what a person remembers of it; summaries are made by the service."""
    from dipeo.application.context import ContextPreparation
    from dipeo.application.summarizer import Summarizer

    return ContextPreparation(counter, catalog=catalog, summarizer=Summarizer(service))
