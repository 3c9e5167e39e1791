"""A secret gives its value to nobody who does not ask for it by name."""

import copy
import json
import logging
import pickle
import string
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.errors import MalformedAPIKeyError
from dipeo.domain.secret import Secret

CANARY = "sk-canary-7f3a9b2c"

keys = st.text(string.ascii_letters + string.digits + "-_.+/=", min_size=8, max_size=60)


def is_unquoted(value: str) -> bool:
    """Whether the value does not begin and end with the same quotation mark."""
    return value[0] != value[-1] or value[0] not in "'\""


class TestShowing:
    """Every way to print it shows a mask of one length."""

    def test_it_prints_as_a_mask(self) -> None:
        """repr, str, formatting, lists and logs show three stars, whatever the value."""
        secret = Secret(CANARY)
        shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret!s}", f"{secret!a}", f"{[secret]}"]
        shown += ["%s %r" % (secret, secret), "{0} {0!r}".format(secret), f"{ {'k': secret} }"]  # noqa: UP031, UP032
        assert all("***" in text for text in shown)
        assert not any(CANARY[:6] in text or CANARY[-6:] in text for text in shown)
        assert repr(Secret("a")) == repr(Secret("a" * 100))

    def test_it_prints_as_a_mask_in_logs(self, caplog: pytest.LogCaptureFixture) -> None:
        """A secret that is logged by mistake is masked."""
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("x").warning("key %s %r", Secret(CANARY), {"key": Secret(CANARY)})
        assert CANARY not in caplog.text

    def test_a_format_specification_cannot_get_at_it(self) -> None:
        """Padding and precision are refused rather than applied to the value."""
        with pytest.raises(TypeError) as caught:
            format(Secret(CANARY), ">40")
        assert CANARY not in str(caught.value)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_it_does_not_pickle(self, protocol: int) -> None:
        """No protocol writes it, and the refusal does not show it."""
        with pytest.raises(TypeError) as caught:
            pickle.dumps({"key": Secret(CANARY)}, protocol=protocol)
        assert CANARY not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy])
    def test_it_is_not_copied(self, copying: Any) -> None:
        """Copying goes the way of pickling: there is one carrier of the value."""
        with pytest.raises(TypeError):
            copying(Secret(CANARY))

    def test_it_is_no_json_and_has_no_dict(self) -> None:
        """What walks over attributes finds nothing to write."""
        secret = Secret(CANARY)
        assert not hasattr(secret, "__dict__")
        with pytest.raises(TypeError):
            vars(secret)
        with pytest.raises(TypeError) as caught:
            json.dumps({"key": secret})
        assert CANARY not in str(caught.value)

    def test_it_gives_its_value_when_asked(self) -> None:
        """The wire gets the value itself."""
        assert Secret(CANARY).reveal() == CANARY


class TestFingerprint:
    """Keys can be told apart without being seen."""

    @given(value=keys)
    @settings(max_examples=50)
    def test_it_is_stable_and_reveals_nothing(self, value: str) -> None:
        """The same key has the same short fingerprint, in which the key does not occur."""
        fingerprint = Secret(value).fingerprint
        assert fingerprint == Secret(value, name="other").fingerprint
        assert len(fingerprint) == 12
        assert set(fingerprint) <= set(string.hexdigits)
        assert value not in fingerprint

    def test_it_is_the_same_in_every_process(self) -> None:
        """Records of different days can be compared: the fingerprint is a fixed function of the key."""
        assert Secret("sk-test").fingerprint == "30a2607fdf46"

    @given(first=keys, second=keys)
    @settings(max_examples=50)
    def test_secrets_are_equal_when_their_values_are(self, first: str, second: str) -> None:
        """Equality and hash follow the value, so that equal keys share connections."""
        assert (Secret(first) == Secret(second)) is (first == second)
        assert hash(Secret(first)) == hash(Secret(first))
        assert Secret(first) != first
        assert (Secret(first).fingerprint == Secret(second).fingerprint) is (first == second)


class TestRedaction:
    """The value is masked wherever somebody else repeats it."""

    @given(value=keys, before=st.text(max_size=20), after=st.text(max_size=20))
    @settings(max_examples=80)
    def test_the_value_is_masked_wherever_it_stands(self, value: str, before: str, after: str) -> None:
        """However the text goes on, the value is not in it afterwards."""
        redacted = Secret(value).redact(f"{before}{value}{after}{value}")
        assert value not in redacted
        assert "***" in redacted

    @given(text=st.text(max_size=50))
    @settings(max_examples=30)
    def test_other_text_is_left_alone(self, text: str) -> None:
        """A text without the value is the same afterwards."""
        assert Secret(CANARY).redact(text) == text


class TestMalformed:
    """What no key has is refused, and is not shown by the refusal."""

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " ",
            f"{CANARY}\n",
            f"{CANARY}\r\n",
            f"\t{CANARY}",
            f"{CANARY} x",
            f"{CANARY}\0",
            f"{CANARY}\x7f",
            f"{CANARY}é",
            f"{CANARY}\u200b",
            f"{CANARY}\ud800",
            f"\ufeff{CANARY}",
            f'"{CANARY}"',
            f"'{CANARY}'",
        ],
    )
    def test_it_is_refused_without_being_shown(self, value: str) -> None:
        """Neither the message, the facts nor the traceback hold the value; they name the key."""
        with pytest.raises(MalformedAPIKeyError) as caught:
            Secret(value, name="OPENAI_API_KEY")
        error = caught.value
        assert error.field == "OPENAI_API_KEY"
        shown = "".join(traceback.format_exception(error)) + repr(error) + json.dumps(error.to_dict())
        assert CANARY not in shown
        assert error.__cause__ is None
        assert error.__context__ is None

    @pytest.mark.parametrize("value", [None, 5, b"sk-x", ["sk-x"], True, Secret("sk-x")])
    def test_what_is_no_text_is_refused(self, value: Any) -> None:
        """Bytes, numbers and secrets in place of a value are refused like any other malformed key."""
        with pytest.raises(MalformedAPIKeyError):
            Secret(value)

    @given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).filter(is_unquoted))
    @settings(max_examples=40)
    def test_every_line_of_printable_ascii_is_a_key(self, value: str) -> None:
        """Nothing is said about how long a key is or how it begins, but for quotation marks around it."""
        assert Secret(value).reveal() == value
