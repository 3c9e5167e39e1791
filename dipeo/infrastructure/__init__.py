"""Implements the ports."""
