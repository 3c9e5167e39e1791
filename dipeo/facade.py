"""The names that applications import, wired by the container."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypedDict, Unpack

from dipeo.config import Settings
from dipeo.container.root import Container
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import PromptRefusedError
from dipeo.domain.memory import RememberEverything
from dipeo.domain.model import ModelTarget
from dipeo.domain.person import Person, PersonLLMConfig
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.catalog import ModelCatalogPort
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.embeddings import EmbeddingPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.listing import ModelListPort
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.ports.prompt_size import PromptSizePort
from dipeo.domain.ports.prompts import PromptPort
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.domain.service import LLMService
from dipeo.infrastructure.catalog.aliases import DEFAULT_ALIASES, InMemoryAliases
from dipeo.infrastructure.llm.drivers.base import WireOpener
from dipeo.infrastructure.llm.drivers.factory import AdapterBuilder
from dipeo.infrastructure.llm.drivers.message_formatter import MessageFormatter
from dipeo.infrastructure.llm.drivers.system_prompt_handler import SystemPromptHandler
from dipeo.infrastructure.prompts.file_prompts import FilePrompts
from dipeo.infrastructure.sync_door import BackgroundLoop, SyncLLMService

__all__ = [
    "Parts",
    "connect",
    "connect_embeddings",
    "connect_sync",
    "load_person",
    "wired",
]


class Parts(TypedDict, total=False):
    """What can be put in place of dipeo's own parts.

    `pool` stands for the providers alone: retries, deadlines and records stay around it. `model` stands for the whole
    stack below the service.
    """

    clock: ClockPort
    keys: APIKeyPort
    ledger: LedgerPort
    aliases: AliasPort | Mapping[str, ModelTarget]
    prompts: PromptPort
    formatter: MessageFormatter
    system_prompts: SystemPromptHandler
    builders: Mapping[LLMService, AdapterBuilder]
    counter: TokenCounterPort
    catalog: ModelCatalogPort
    embeddings: EmbeddingPort
    model_lists: ModelListPort
    prompt_sizes: PromptSizePort
    open_wire: WireOpener
    pool: ChatModelPort
    model: ChatModelPort


@asynccontextmanager
async def connect(settings: Settings | None = None, **parts: Unpack[Parts]) -> AsyncIterator[LLMServicePort]:
    """The wired service; leaving the block closes every connection of this event loop.

    async with dipeo.connect() as llm:
        completion = await llm.complete([{"role": "user", "content": "Hello"}], "gpt-5.4-mini")

    `settings` default to `Settings.from_env()`. Raises `ConfigurationError` for settings that cannot be used.
    """
    container = wired(settings, **parts)
    try:
        yield container.service()
    finally:
        await _close(container, parts)


@asynccontextmanager
async def connect_embeddings(settings: Settings | None = None, **parts: Unpack[Parts]) -> AsyncIterator[EmbeddingPort]:
    """The wired service for embeddings; leaving the block closes every connection of this event loop.

    async with connect_embeddings() as embeddings:
        result = await embeddings.embed(["one text", "another"], "text-embedding-3-small")

    It takes the settings and parts of `connect()`. Those who complete as well have both from one `wired()`.
    """
    container = wired(settings, **parts)
    try:
        yield container.embeddings()
    finally:
        await _close(container, parts)


@contextmanager
def connect_sync(settings: Settings | None = None, **parts: Unpack[Parts]) -> Iterator[SyncLLMService]:
    """The wired service for code that is not async: safe under a running event loop and from many threads.

    The same coroutines run on one loop in a background thread, which ends with the block.
    """
    container = wired(settings, **parts)
    with BackgroundLoop() as loop:
        try:
            yield SyncLLMService(container.service(), loop)
        finally:
            loop.run(_close(container, parts))


def wired(settings: Settings | None = None, **parts: Unpack[Parts]) -> Container:
    """The container with these parts in place, for those who want more of it than the service.

    Such as `wired().context()`, which prepares what a person who forgets is sent.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"connect() takes Settings, not {type(settings).__name__}: write dipeo.Settings(...).")
    container = Container(settings or Settings.from_env())
    for name, part in parts.items():
        if name not in Parts.__annotations__:
            known = ", ".join(sorted(Parts.__annotations__))
            raise TypeError(f"connect() has no part {name!r}; the parts are {known}.")
        getattr(container, name).override(part)
    aliases = parts.get("aliases")
    if isinstance(aliases, Mapping):
        # Given as they are, they come on top of dipeo's own.
        container.aliases.override(InMemoryAliases({**DEFAULT_ALIASES, **aliases}))
    return container


def load_person(
    path: str | os.PathLike[str],
    *,
    base_dir: str | os.PathLike[str] | None = None,
    prompt_variables: Mapping[str, str] | None = None,
    conversation: Conversation | None = None,
) -> Person:
    """The person that a prompt file describes; the file's name is their id.

    The front matter gives the name, the model, the fallbacks and the memory. `base_dir` defaults to the settings', as
    `connect()` does. Raises `PromptRefusedError` for a file that is missing, may not be read, or names no model.
    """
    folder = Settings.from_env().base_dir if base_dir is None else base_dir
    name = os.fspath(path)
    file = FilePrompts(folder).load(name)
    if file is None or file.model is None:
        raise PromptRefusedError(
            f"The prompt file {name!r} names no model." if file else f"There is no prompt file {name!r}.",
            field="model" if file else "prompt_file",
            suggestion="Add 'model: ...' to its front matter."
            if file
            else f"It was looked for in {os.fspath(folder)!r}.",
        )
    config = PersonLLMConfig(
        prompt_file=name,
        model=file.model,
        service=file.service,
        fallbacks=file.fallbacks,
        prompt_variables=prompt_variables or {},
    )
    person = Person(
        id=Path(path).stem,
        name=file.name or Path(path).stem,
        llm_config=config,
        memory=file.memory or RememberEverything(),
    )
    return person if conversation is None else person.joining(conversation)


async def _close(container: Container, parts: Parts) -> None:
    """Closes what the container has made; what the caller brought along is the caller's to close."""
    if "pool" not in parts and "model" not in parts:
        await container.pool().aclose()
