"""Prompt files: text in a base directory, with optional front matter."""
