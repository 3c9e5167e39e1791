"""Prompt files of a directory, and what there is to say about one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from dipeo.domain.errors import DipeoError, PromptRefusedError
from dipeo.domain.model import ModelTarget
from dipeo.domain.sampling import Sampling
from dipeo.entrypoints.cli.service_choice import Backend
from dipeo.entrypoints.cli.shell_completion import PROMPT_SUFFIXES

if TYPE_CHECKING:
    from dipeo.domain.person import Person
    from dipeo.domain.ports.prompts import PromptPort
    from dipeo.domain.prompt import PromptFile


@frozen(kw_only=True)
class ListedPrompt:
    """A prompt file, named as it is asked for; `prompt` is None where it is refused, and `refusal` says why."""

    file: str
    prompt: "PromptFile | None" = None
    target: ModelTarget | None = None
    refusal: str = ""

    def to_dict(self) -> dict[str, object]:
        """The file as JSON values, without its text."""
        prompt, target = self.prompt, self.target
        return {
            "file": self.file,
            "id": Path(self.file).stem,
            "name": prompt.name if prompt else None,
            "description": prompt.description if prompt else None,
            "model": prompt.model if prompt else None,
            "service": target.service.value if target else None,
            "refusal": self.refusal or None,
        }


def list_prompts(backend: Backend, folder: str) -> list[ListedPrompt]:
    """The prompt files that lie in the folder itself, by name. Raises `PromptRefusedError` for a folder outside."""
    base = backend.settings.base_dir.resolve()
    path = (base / folder).resolve()
    if not path.is_relative_to(base):
        raise PromptRefusedError(f"The directory {folder!r} lies outside the base directory.", field="folder")
    if not path.is_dir():
        raise PromptRefusedError(
            f"There is no directory {folder!r}.",
            field="folder",
            suggestion=f"It was looked for in {str(base)!r}; '.' stands for that itself.",
        )
    names = sorted(entry.name for entry in path.iterdir() if _is_offered(entry))
    prompts = backend.container().prompts()
    return [_listed(backend, prompts, (path / name).relative_to(base).as_posix()) for name in names]


def person_in(backend: Backend, file: str, *, fallbacks: Sequence[str] | None) -> "Person":
    """The person of a prompt file. `fallbacks` that are given take the place of the file's."""
    from dipeo.facade import load_person

    person = load_person(file, base_dir=backend.settings.base_dir)
    if not fallbacks:
        return person
    return attrs.evolve(person, llm_config=attrs.evolve(person.llm_config, fallbacks=fallbacks))


def target_of(backend: Backend, prompt: "PromptFile") -> ModelTarget | None:
    """The model that speaks for the person, and where; None where the file or its model's name does not say."""
    if prompt.model is None:
        return None
    known = backend.container().aliases().resolve(prompt.model)
    if prompt.service is None or (known is not None and known.service is prompt.service):
        return known
    return ModelTarget(service=prompt.service, model=prompt.model)


def prompt_as_dict(prompt: "PromptFile", target: ModelTarget | None) -> dict[str, object]:
    """All that the file says, as JSON values, and where its model leads."""
    leads_to = {"service": target.service.value, "model": target.model} if target else None
    memory = str(prompt.memory) if prompt.memory is not None else None
    return {**attrs.asdict(prompt), "memory": memory, "target": leads_to}


def settings_in_words(sampling: Sampling) -> str:
    """The settings that are given: `temperature 0.2, stop ['END']`."""
    given = {name: value for name, value in attrs.asdict(sampling).items() if value is not None}
    return ", ".join(f"{name} {list(value) if isinstance(value, tuple) else value}" for name, value in given.items())


def _is_offered(entry: Path) -> bool:
    return entry.suffix in PROMPT_SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()


def _listed(backend: Backend, prompts: "PromptPort", file: str) -> ListedPrompt:
    try:
        prompt = prompts.load(file)
    except DipeoError as error:
        return ListedPrompt(file=file, refusal=error.message)
    if prompt is None:
        return ListedPrompt(file=file, refusal="There is no such file.")
    return ListedPrompt(file=file, prompt=prompt, target=target_of(backend, prompt))
