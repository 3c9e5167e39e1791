"""The composition root."""

from functools import partial

from dependency_injector import containers, providers

from dipeo.config import Settings
from dipeo.container.adapters import adapter_builders
from dipeo.container.beside import build_catalog, build_context, build_embeddings, build_model_lists, build_prompt_sizes
from dipeo.container.key_sources import build_keys
from dipeo.container.stack import build_stack
from dipeo.container.wires import ChosenWires, modules_for
from dipeo.infrastructure.catalog.aliases import InMemoryAliases
from dipeo.infrastructure.clock import SystemClock
from dipeo.infrastructure.ledger.in_memory import InMemoryLedger
from dipeo.infrastructure.llm.drivers.endpoints import EndpointDirectory
from dipeo.infrastructure.llm.drivers.factory import AdapterFactory
from dipeo.infrastructure.llm.drivers.message_formatter import MessageFormatter
from dipeo.infrastructure.llm.drivers.pool import PooledModel
from dipeo.infrastructure.llm.drivers.service import LLMInfraService
from dipeo.infrastructure.llm.drivers.system_prompt_handler import SystemPromptHandler
from dipeo.infrastructure.prompts.file_prompts import FilePrompts
from dipeo.infrastructure.token_calibration import CalibratingTokenCounter

# dependency-injector's Singleton is not thread-safe; every shared object is therefore a ThreadSafeSingleton.
_Shared = providers.ThreadSafeSingleton


class Container(containers.DeclarativeContainer):
    """Binds every port to what implements it. Override a provider to put something else in its place.

    Nothing in it is async: what must be closed is closed by the facade.
    """

    settings = providers.Dependency(instance_of=Settings)

    # what the core needs from outside
    clock = _Shared(SystemClock)
    keys = _Shared(build_keys, settings)
    ledger = _Shared(InMemoryLedger)
    aliases = _Shared(InMemoryAliases)
    prompts = _Shared(FilePrompts, settings.provided.base_dir)
    counter = _Shared(CalibratingTokenCounter, aliases=aliases)
    catalog = _Shared(build_catalog, aliases=aliases, clock=clock, user_file=settings.provided.catalog_file)

    # from a request to a provider
    open_wire = _Shared(ChosenWires, settings.provided.wires)
    builders = _Shared(adapter_builders, open_wire, apis=settings.provided.apis)
    factory = _Shared(AdapterFactory, builders, modules_for=providers.Callable(partial, modules_for, open_wire))
    endpoints = _Shared(EndpointDirectory, settings.provided.base_urls, keys)
    pool = _Shared(PooledModel, factory.provided.create, endpoints, clock)
    model = _Shared(
        build_stack,
        pool,
        settings=settings,
        ledger=ledger,
        keys=keys,
        clock=clock,
        counter=counter,
        catalog=catalog.provider,
    )

    # what applications see
    formatter = _Shared(MessageFormatter)
    system_prompts = _Shared(SystemPromptHandler, prompts=prompts)
    service = _Shared(
        LLMInfraService,
        model,
        aliases=aliases,
        system_prompts=system_prompts,
        clock=clock,
        formatter=formatter,
        timeout_s=settings.provided.timeout_s,
        first_token_timeout_s=settings.provided.first_token_timeout_s,
        idle_timeout_s=settings.provided.idle_timeout_s,
        max_attempts=settings.provided.max_attempts,
    )

    # what there is beside completing
    embeddings = _Shared(
        build_embeddings,
        pool,
        settings=settings,
        ledger=ledger,
        keys=keys,
        clock=clock,
        aliases=aliases,
        counter=counter,
    )
    model_lists = _Shared(build_model_lists, pool, settings=settings, clock=clock)
    prompt_sizes = _Shared(
        build_prompt_sizes, pool, settings=settings, clock=clock, aliases=aliases, system_prompts=system_prompts
    )
    context = _Shared(build_context, service, counter=counter, catalog=catalog)
