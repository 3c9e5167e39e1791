"""Prompt files: text in a base directory, with optional front matter."""

from dipeo.infrastructure.prompts.file_prompts import FilePrompts
from dipeo.infrastructure.prompts.front_matter import parse_prompt

__all__ = ["FilePrompts", "parse_prompt"]
