"""Shortens what people write."""

from assistant.headline import headline

__all__ = ["headline"]
