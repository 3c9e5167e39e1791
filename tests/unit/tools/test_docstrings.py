"""Docstrings of all usual forms say what a function does, and what its parameters are."""

import pytest

from dipeo.application.shapes.docstring import read_docstring

GOOGLE = """Finds flights.

    Direct ones first.

    Args:
        origin (str): where from:
            a city
        day: when

    Returns:
        list: flights

    Raises:
        ValueError: never
    """
SPHINX = """Finds flights.

    Direct ones first.

    :param str origin: where from:
        a city
    :param day: when
    :type day: str
    :returns: flights
    """
NUMPY = """Finds flights.

    Direct ones first.

    Parameters
    ----------
    origin : str
        where from:
        a city
    day : str, optional
        when

    Returns
    -------
    list
        flights
    """


@pytest.mark.parametrize("text", [GOOGLE, SPHINX, NUMPY], ids=["google", "sphinx", "numpy"])
def test_every_form_says_the_same(text: str) -> None:
    """Summary and parameters are found in the form of Google, of Sphinx, and of numpy."""
    told = read_docstring(text)
    assert told.summary == "Finds flights.\n\nDirect ones first."
    assert told.parameters == {"origin": "where from: a city", "day": "when"}


def test_numpy_describes_several_at_once() -> None:
    """`a, b : int` describes both."""
    told = read_docstring("Adds.\n\nParameters\n----------\na, b : int\n    a number\n*rest\n    more")
    assert told.parameters == {"a": "a number", "b": "a number", "rest": "more"}


@pytest.mark.parametrize("text", [None, "", "\n  \n"])
def test_no_docstring_says_nothing(text: str | None) -> None:
    """What is not there has no summary and no parameters."""
    assert read_docstring(text).summary == ""
    assert read_docstring(text).parameters == {}


def test_an_unknown_form_is_all_summary() -> None:
    """Words that look like a section but are none stay where they are."""
    text = "Does it.\n\nThe args: are not here.\nNote that: this is text."
    assert read_docstring(text).summary == text


def test_sections_without_parameters_are_left_out() -> None:
    """What is returned and raised is no part of what the model is told."""
    assert read_docstring("Does it.\n\nReturns:\n    it\n\nExample:\n    it()").summary == "Does it."
