"""Prompts are filled in by plain names, once, and by nothing else."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.errors import ValidationError
from dipeo.domain.prompt import PromptFile, fill_in

fragments = st.sampled_from(
    [
        "{name}",
        "{other}",
        "{name",
        "name}",
        "{",
        "}",
        "{{name}}",
        "{name!r}",
        "{name:>9}",
        "{name.x}",
        "{name[0]}",
        "a ",
    ]
)
templates = st.lists(fragments | st.text(max_size=4), max_size=8).map("".join)


class Leaky(str):
    """A text whose attributes and formatting give something away."""

    __slots__ = ()
    secret = "SECRET"

    def __format__(self, specification: str) -> str:
        return "SECRET"

    def __repr__(self) -> str:
        return "SECRET"


class TestFilling:
    """The substitution itself."""

    def test_known_names_are_replaced_wherever_they_stand(self) -> None:
        """Each place of each name gets its value."""
        assert fill_in("{a} and {b}, {a}.", {"a": "x", "b": "y"}) == "x and y, x."

    @pytest.mark.parametrize(
        "template",
        [
            "{a.__init__.__globals__[SECRET]}",
            "{a.secret}",
            "{a[0]}",
            "{a!r}",
            "{a!s}",
            "{a:>20000000}",
            "{ a }",
            "{}",
            "{0}",
            "{a",
            "a}",
            "{a-b}",
            "{a b}",
            "${a.b}",
            "{{a!r}}",
            '{"json": [1, 2]}',
            "{á}",
            "{a\n}",
        ],
    )
    def test_anything_but_a_plain_name_stands_as_it_is(self, template: str) -> None:
        """Attributes, indices, conversions, widths, numbers and JSON are text, however much they look like fields."""
        values = {"a": Leaky("x"), "b": "9", "0": "zero", "": "empty", "json": "j", "a-b": "ab", "á": "z"}
        assert fill_in(template, values) == template

    def test_a_width_costs_nothing(self) -> None:
        """A template of a few characters does not become megabytes."""
        assert len(fill_in("{a:>20000000}{a:0>99999999}", {"a": "x"})) < 50

    def test_what_was_filled_in_is_not_looked_at_again(self) -> None:
        """A value that looks like a template is text, in whichever order the names come."""
        values = {"a": "{b}", "b": "{a}{c}", "c": "deep"}
        assert fill_in("{a}{b}", values) == "{b}{a}{c}"

    def test_values_do_not_join_with_their_surroundings(self) -> None:
        """Braces around a value make no new field of it."""
        assert fill_in("{{a}}", {"a": "b", "b": "SECRET"}) == "{b}"
        assert fill_in("{a}b}", {"a": "{", "b": "SECRET"}) == "{b}"

    def test_backslashes_in_values_are_text(self) -> None:
        """A value is no replacement pattern."""
        assert fill_in("{a}", {"a": r"\1\g<0>\n"}) == r"\1\g<0>\n"

    def test_a_name_without_a_value_is_asked_for(self) -> None:
        """A variable whose value must be given, and is not, is refused by name."""
        with pytest.raises(ValidationError) as caught:
            fill_in("{a} {b}", {"a": "x", "b": None})
        assert caught.value.field == "prompt_variables.b"

    @pytest.mark.parametrize("value", ["\ud800", 5, ["x"]])
    def test_a_value_that_is_no_text_is_refused(self, value: object) -> None:
        """What cannot be sent is not filled in."""
        with pytest.raises(ValidationError) as caught:
            fill_in("{a}", {"a": value})  # type: ignore[dict-item]
        assert caught.value.field == "prompt_variables.a"

    @given(template=templates)
    @settings(max_examples=150)
    def test_text_without_known_names_is_unchanged(self, template: str) -> None:
        """Whatever the template, names that nobody knows stay."""
        assert fill_in(template, {}) == template
        assert fill_in(template, {"unheard_of": "x"}) == template.replace("{unheard_of}", "x")

    @given(template=templates, value=st.text(max_size=6))
    @settings(max_examples=150)
    def test_filling_in_is_replacing_and_nothing_else(self, template: str, value: str) -> None:
        """For one name, the result is that of a plain replacement of `{name}`."""
        assert fill_in(template, {"name": value}) == template.replace("{name}", value)

    @given(template=templates, one=templates, two=templates)
    @settings(max_examples=100)
    def test_two_names_are_filled_in_at_once(self, template: str, one: str, two: str) -> None:
        """Cut at its fields, the template keeps what is between them and gets each value exactly once."""
        pieces = re.split(r"(\{name\}|\{other\})", template)
        expected = "".join({"{name}": one, "{other}": two}.get(piece, piece) for piece in pieces)
        assert fill_in(template, {"name": one, "other": two}) == expected

    def test_many_braces_take_no_time(self) -> None:
        """A long text of nothing but braces and letters is read in one go."""
        began = time.perf_counter()
        for text in ("{" * 200_000, "{a" * 100_000, "{" + "a" * 200_000, "}{" * 100_000):
            assert fill_in(text, {"b": "x"}) == text
        assert time.perf_counter() - began < 2


class TestPromptFile:
    """A prompt with defaults."""

    def test_what_is_passed_goes_before_the_defaults(self) -> None:
        """Defaults fill what nobody said."""
        prompt = PromptFile(text="{a} {b}", variables={"a": "1", "b": "2"})
        assert prompt.render({}) == "1 2"
        assert prompt.render({"b": "3"}) == "1 3"

    def test_a_variable_without_a_default_must_be_given(self) -> None:
        """None as default means that a value is needed, if the text uses it."""
        prompt = PromptFile(text="{a}", variables={"a": None})
        assert prompt.render({"a": "x"}) == "x"
        with pytest.raises(ValidationError):
            prompt.render({})
        assert PromptFile(text="plain", variables={"a": None}).render({}) == "plain"

    def test_it_keeps_its_defaults(self) -> None:
        """Later changes to the mapping that was passed in change nothing."""
        variables: dict[str, str | None] = {"a": "1"}
        prompt = PromptFile(text="{a}", variables=variables)
        variables["a"] = "2"
        assert prompt.render({}) == "1"
