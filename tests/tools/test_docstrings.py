"""What a docstring says of each parameter, in each of the forms people write."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.tools.docstrings import read

GOOGLE = """Find flights.

    Looks at every airline: all of them.

    Args:
        origin (str): Where it
            begins: an airport.
        to: The end.
        when (str, optional): The day.
        **more: Other things.

    Returns:
        A list: of flights.
    """
NUMPY = """Find flights.

    Looks at every airline: all of them.

    Parameters
    ----------
    origin : str
        Where it
        begins: an airport.
    to
        The end.
    when : {'a', 'b'}, optional
        The day.
    x, y : int
        Where on the map.

    Returns
    -------
    list
        Of flights.
    """
REST = """Find flights.

    Looks at every airline: all of them.

    :param origin: Where it
        begins: an airport.
    :type origin: str
    :param str to: The end.
    :param when: The day.
    :returns: A list.
    :raises ValueError: never
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_each_form(text):
    says, said = read(text)
    assert says == "Find flights.\n\nLooks at every airline: all of them."
    assert said["origin"] == "Where it begins: an airport."
    assert said["to"] == "The end."
    assert said["when"] == "The day."
    assert not said.keys() - {"origin", "to", "when", "more", "x", "y"}


def test_names_that_share_what_is_said():
    assert read(NUMPY)[1]["y"] == "Where on the map."


def test_one_of_no_form_is_all_description():
    text = "Do it.\n\nNote: args are fun: see below.\nExample text here"
    assert read(text) == (text, {})
    assert read(None) == ("", {})
    assert read("") == ("", {})


def test_a_section_without_entries():
    assert read("Do.\n\nArgs:\n    \nReturns:\n    x") == ("Do.", {})


def test_an_empty_line_between_parameters():
    assert read("Do.\n\nArgs:\n    a: one\n\n    b: two\n")[1] == {"a": "one", "b": "two"}


@given(st.text("ab:\n -()*,Argsparm", max_size=200))
def test_nothing_in_one_is_an_error(text):
    says, said = read(text)
    assert says in inspect.cleandoc(text)
    assert all(name.isidentifier() or name.isalnum() for name in said)
