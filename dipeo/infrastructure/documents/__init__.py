"""Conversations in files."""
