"""A project's test that has nothing to do with dipeo; run by pytest in a process of its own."""

import sys


def test_nothing_of_it_is_loaded() -> None:
    """No HTTP package, no simulator and no settings were loaded for this test."""
    heavy = {"aiohttp", "attr", "attrs", "orjson", "dipeo.config", "dipeo.testing", "dipeo.facade", "dipeo.container"}
    assert not heavy & set(sys.modules)
