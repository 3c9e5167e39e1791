"""A prompt file says what its person remembers."""

from pathlib import Path

import pytest

from dipeo.domain.errors import PromptRefusedError
from dipeo.domain.memory import Goldfish, LastMessages, LastTokens, MemoryPolicy, RememberEverything
from dipeo.facade import load_person
from dipeo.infrastructure.prompts.front_matter import parse_prompt


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        ("last 20 messages", LastMessages(20)),
        ("last 4000 tokens", LastTokens(4000)),
        ("goldfish", Goldfish()),
        ("everything", RememberEverything()),
        ("", None),
    ],
)
def test_the_front_matter_has_a_key_for_it(words: str, policy: MemoryPolicy | None) -> None:
    """The words are those of `parse_memory()`, and a key without a value says nothing."""
    assert parse_prompt(f"---\nmemory: {words}\n---\nSay hello.", name="a.md").memory == policy


@pytest.mark.parametrize("words", ["sometimes", "5", "last 0 tokens", "[goldfish]", "{last: 5}", "true"])
def test_other_words_are_refused(words: str) -> None:
    """The file is refused by the key."""
    with pytest.raises(PromptRefusedError) as caught:
        parse_prompt(f"---\nmemory: {words}\n---\nSay hello.", name="a.md")
    assert "'memory'" in caught.value.message


@pytest.mark.parametrize(
    ("line", "policy"), [("memory: last 20 messages\n", LastMessages(20)), ("", RememberEverything())]
)
def test_a_person_is_loaded_with_it(tmp_path: Path, line: str, policy: MemoryPolicy) -> None:
    """`load_person()` gives the person what the file says, else the memory of everything."""
    (tmp_path / "host.md").write_text(f"---\nmodel: m\n{line}---\nYou are a host.", encoding="utf-8")
    assert load_person("host.md", base_dir=tmp_path).memory == policy
