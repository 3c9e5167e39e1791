"""Texts as vectors: what providers are sent for them, and the service around it."""
