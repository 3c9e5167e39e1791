"""The composition root."""

from functools import partial

from dependency_injector import providers

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

# The rings are plain classes that hold providers. The library's own declarative container would load its wiring, and
# with that every web framework that is installed, for what nothing here uses.


class Outside:
    """What the core needs from outside."""

    def __init__(self, settings: Settings) -> None:
        self.clock = _Shared(SystemClock)
        self.keys = _Shared(build_keys, settings)
        self.ledger = _Shared(InMemoryLedger)
        self.aliases = _Shared(InMemoryAliases)
        self.prompts = _Shared(FilePrompts, settings.base_dir)
        self.counter = _Shared(CalibratingTokenCounter, aliases=self.aliases)
        self.catalog = _Shared(build_catalog, aliases=self.aliases, clock=self.clock, user_file=settings.catalog_file)


class Stack(Outside):
    """The way from a request to a provider."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.open_wire = _Shared(ChosenWires, settings.wires)
        self.builders = _Shared(adapter_builders, self.open_wire, apis=settings.apis)
        self.factory = _Shared(
            AdapterFactory, self.builders, modules_for=providers.Callable(partial, modules_for, self.open_wire)
        )
        self.endpoints = _Shared(EndpointDirectory, settings.base_urls, self.keys)
        self.pool = _Shared(PooledModel, self.factory.provided.create, self.endpoints, self.clock)
        self.model = _Shared(
            build_stack,
            self.pool,
            settings=settings,
            ledger=self.ledger,
            keys=self.keys,
            clock=self.clock,
            counter=self.counter,
            catalog=self.catalog.provider,
        )


class Container(Stack):
    """Binds every port to what implements it. Override a provider to put something else in its place.

    Each ring builds on the one before it; this one is what applications see. Nothing in it is async: what must be
    closed is closed by the facade.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.formatter = _Shared(MessageFormatter)
        self.system_prompts = _Shared(SystemPromptHandler, prompts=self.prompts)
        self.service = _Shared(
            LLMInfraService,
            self.model,
            aliases=self.aliases,
            system_prompts=self.system_prompts,
            clock=self.clock,
            formatter=self.formatter,
            timeout_s=settings.timeout_s,
            first_token_timeout_s=settings.first_token_timeout_s,
            idle_timeout_s=settings.idle_timeout_s,
            max_attempts=settings.max_attempts,
        )
        self.embeddings = _Shared(
            build_embeddings,
            self.pool,
            settings=settings,
            ledger=self.ledger,
            keys=self.keys,
            clock=self.clock,
            aliases=self.aliases,
            counter=self.counter,
        )
        self.model_lists = _Shared(build_model_lists, self.pool, settings=settings, clock=self.clock)
        self.prompt_sizes = _Shared(
            build_prompt_sizes,
            self.pool,
            settings=settings,
            clock=self.clock,
            aliases=self.aliases,
            system_prompts=self.system_prompts,
        )
        self.context = _Shared(build_context, self.service, counter=self.counter, catalog=self.catalog)
