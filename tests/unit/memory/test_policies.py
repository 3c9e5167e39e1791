"""How a person forgets, as a value and in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.errors import ValidationError
from dipeo.domain.memory import Goldfish, LastMessages, LastTokens, MemoryPolicy, RememberEverything, parse_memory
from dipeo.domain.person import Person, PersonLLMConfig

CONFIG = PersonLLMConfig(model="m")
NOT_COUNTS = (0, -1, True, 1.0, 2**31, "5", None)
POLICIES = st.one_of(
    st.sampled_from([RememberEverything(), Goldfish()]),
    st.builds(LastMessages, st.integers(1, 2**31 - 1)),
    st.builds(LastTokens, st.integers(1, 2**31 - 1)),
)


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        ("everything", RememberEverything()),
        ("goldfish", Goldfish()),
        ("last 20 messages", LastMessages(20)),
        ("last 1 message", LastMessages(1)),
        ("last 4000 tokens", LastTokens(4000)),
        ("last 1 token", LastTokens(1)),
        (" Last  20\nMessages ", LastMessages(20)),
        ("Goldfish", Goldfish()),
    ],
)
def test_words_are_policies(words: str, policy: MemoryPolicy) -> None:
    """Four ways to forget have words; case and extra space do not matter."""
    assert parse_memory(words) == policy


@given(policy=POLICIES)
def test_a_policy_says_itself(policy: MemoryPolicy) -> None:
    """What a policy prints is read as the same policy."""
    assert parse_memory(str(policy)) == policy


@pytest.mark.parametrize(
    "words",
    [
        "",
        "nothing",
        "20 messages",
        "last messages",
        "last -5 messages",
        "last 0 messages",
        "last 1.5 tokens",
        "last 4_000 tokens",
        "last ٤ tokens",
        "last 9999999999 tokens",
        "last 99999999999 tokens",
        "last 20 messages or so",
        "last 20 minutes",
        "\ud800",
        5,
        None,
    ],
)
def test_other_words_are_refused(words: Any) -> None:
    """The refusal names the memory."""
    with pytest.raises(ValidationError) as caught:
        parse_memory(words)
    assert caught.value.field == "memory"


def test_a_refusal_says_what_can_be_written() -> None:
    """The suggestion has an example of each, and the message is short however long the text."""
    with pytest.raises(ValidationError) as caught:
        parse_memory("a few" * 1000)
    assert len(caught.value.message) < 100
    for words in ("everything", "goldfish", "last 20 messages", "last 4000 tokens"):
        assert f"'{words}'" in (caught.value.suggestion or "")


@given(text=st.text())
def test_any_text_is_a_policy_or_a_refusal(text: str) -> None:
    """No text brings another error about."""
    try:
        policy = parse_memory(text)
    except ValidationError:
        return
    assert parse_memory(str(policy)) == policy


@pytest.mark.parametrize("value", NOT_COUNTS)
def test_limits_are_counts(value: Any) -> None:
    """A limit that is no whole number from one on is refused by its name."""
    with pytest.raises(ValidationError) as caught:
        LastMessages(value)
    assert caught.value.field == "count"
    with pytest.raises(ValidationError) as caught:
        LastTokens(value)
    assert caught.value.field == "max_tokens"


def test_persons_remember_everything_unless_told() -> None:
    """The memory of a person is a policy, given as one or in words, and part of who they are."""
    assert Person(id="ada", llm_config=CONFIG).memory == RememberEverything()
    assert Person(id="ada", llm_config=CONFIG, memory=LastMessages(2)).memory == LastMessages(2)
    assert Person(id="ada", llm_config=CONFIG, memory="last 2 messages").memory == LastMessages(2)
    assert Person(id="ada", llm_config=CONFIG, memory="goldfish") != Person(id="ada", llm_config=CONFIG)


@pytest.mark.parametrize("memory", ["vaguely", 5, None, RememberEverything, ["goldfish"]])
def test_a_memory_that_is_none_is_refused(memory: Any) -> None:
    """Anything else than a policy is refused by name."""
    with pytest.raises(ValidationError) as caught:
        Person(id="ada", llm_config=CONFIG, memory=memory)
    assert caught.value.field == "memory"


def test_a_person_takes_their_memory_along() -> None:
    """Joining another conversation changes nothing about it; what was seen is seen, forgotten or not."""
    ada = Person(id="ada", llm_config=CONFIG, memory="goldfish")
    ada.says("one")
    ada.says("two")
    assert [message.text for message in ada.get_messages()] == ["one", "two"]
    assert ada.joining(ada.conversation.fork()).memory == Goldfish()
