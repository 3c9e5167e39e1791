"""Finds a person's instructions, and the role in which a model wants them."""

import logging
import os

from attrs import frozen

from dipeo.domain.completion import Role
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.prompts import PromptPort
from dipeo.domain.prompt import PromptFile, fill_in
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.openai_roles import knows_developer
from dipeo.infrastructure.prompts.file_prompts import FilePrompts

_LOG = logging.getLogger("dipeo.prompts")


@frozen(kw_only=True)
class ResolvedPrompt:
    """A person's instructions, the file they came from if any, and what a caller should know about it."""

    text: str | None
    file: PromptFile | None = None
    notes: tuple[str, ...] = ()


class SystemPromptHandler:
    """The prompt file if there is one that loads, else the inline prompt, else none.

    Give it a `base_dir` below which prompt files lie, or any `PromptPort`.
    """

    def __init__(self, base_dir: str | os.PathLike[str] = ".", *, prompts: PromptPort | None = None) -> None:
        self._prompts = prompts if prompts is not None else FilePrompts(base_dir)

    def get_system_prompt(self, llm_config: PersonLLMConfig) -> str | None:
        """The instructions as text. Raises as `resolve()` does."""
        return self.resolve(llm_config).text

    def resolve(self, llm_config: PersonLLMConfig) -> ResolvedPrompt:
        """The instructions with their variables filled in, and where they came from.

        Falling back from a missing file is logged and noted. Raises `PromptRefusedError` for a file that may not be
        read, and `ValidationError` for a variable without a value.
        """
        name = llm_config.prompt_file
        values = llm_config.prompt_variables
        inline = fill_in(llm_config.system_prompt, values) if llm_config.system_prompt else None
        if name is None:
            return ResolvedPrompt(text=inline)
        file = self._prompts.load(name)
        if file is not None:
            return ResolvedPrompt(text=file.render(values), file=file)
        instead = "the inline prompt is used" if inline else "there is no prompt"
        note = f"The prompt file {name!r} was not found: {instead}."
        _LOG.warning("%s", note)
        return ResolvedPrompt(text=inline, notes=(note,))

    def get_system_role(self, service: LLMService, model: str) -> Role:
        """The role in which instructions are sent: `developer` for the OpenAI models that know it, else `system`."""
        if service is LLMService.OPENAI and knows_developer(model):
            return Role.DEVELOPER
        return Role.SYSTEM
