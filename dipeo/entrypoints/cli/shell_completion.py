"""What the shell can complete: persons' files, services, aliases."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer

PROMPT_SUFFIXES: Final = (".md", ".txt")
"""What the files are called that are offered and listed as prompts; any other can be named all the same."""

_MAX_FOLDERS: Final = 200
"""Folders that are looked into while somebody waits for the next word."""


def complete_person_file(ctx: typer.Context, incomplete: str) -> list[str]:
    """The prompt files below the base directory whose names begin like this."""
    base = _base_dir(ctx.params.get("base_dir"))
    names = (path.relative_to(base).as_posix() for path in _prompt_files(base))
    return sorted(name for name in names if name.startswith(incomplete))


def complete_service(incomplete: str) -> list[str]:
    """The services whose names begin like this."""
    from dipeo.domain.service import LLMService

    return [service.value for service in LLMService if service.value.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """The aliases that begin like this; models are for `dipeo models` to list."""
    from dipeo.infrastructure.catalog.aliases import DEFAULT_ALIASES

    return [alias for alias in DEFAULT_ALIASES if alias.startswith(incomplete)]


def _base_dir(given: Path | None) -> Path:
    from dipeo.config import Settings
    from dipeo.domain.errors import DipeoError

    if given is not None:
        return given
    try:
        return Settings.from_env().base_dir
    except DipeoError:
        # A bad setting is for the command to report; here it would land on the line that is being typed.
        return Path()


def _prompt_files(base: Path) -> Iterator[Path]:
    for number, (folder, folders, files) in enumerate(os.walk(base)):
        if number >= _MAX_FOLDERS:
            return
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.endswith(PROMPT_SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)
