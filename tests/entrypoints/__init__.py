"""Tests of the ways in: the command line as its users run it."""
