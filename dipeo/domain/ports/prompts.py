"""Prompt files."""

from typing import Protocol, runtime_checkable

from dipeo.domain.prompt import PromptFile


@runtime_checkable
class PromptPort(Protocol):
    """Where prompt files come from."""

    def load(self, name: str) -> PromptFile | None:
        """The prompt file of this name, or None where there is none.

        The name is a path below the base directory. Raises `PromptRefusedError` for a file that exists and may not be
        read (outside the base directory, no regular file, too large, not UTF-8, broken front matter) and for a name
        that could only lead outside.
        """
        ...
