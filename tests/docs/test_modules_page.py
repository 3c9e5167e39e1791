"""The page of modules is what the docstrings say."""

from __future__ import annotations

import re

from tests.docs.generate_reference import COMMAND, TARGET, page


def test_the_page_of_modules_is_up_to_date() -> None:
    """The page is what the generator writes."""
    is_same = TARGET.read_text(encoding="utf-8") == page()
    assert is_same, f"docs/reference/modules.md is not what the docstrings say; write it again with: {COMMAND}"


def test_the_page_of_modules_shows_what_is_public() -> None:
    """Domain, ports, facade and what tests use are in it; nothing private is, and no address of an object."""
    text = page()
    for heading in ("## dipeo.facade", "### connect()", "### Person", "### ChatModelPort", "### ProviderSimulator"):
        assert f"\n{heading}\n" in text
    assert not re.search(r"^#+ .*\b_", text, re.MULTILINE)
    assert not re.search(r" at 0x[0-9a-f]+", text)
