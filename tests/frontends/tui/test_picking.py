"""Choosing from a list by typing."""

from hypothesis import given
from hypothesis import strategies as st

from chinwag.frontends.tui import picking
from chinwag.frontends.tui.state import Picker
from chinwag.talk.event import Choice

LABELS = ("/model", "/help", "/new", "/exit", "/export")


def picker(*labels: str, typed: str = "", at: int = 0) -> Picker:
    return Picker("things", tuple(Choice(label, label) for label in labels), typed, at)


def labels(found) -> list[str]:
    return [choice.label for choice in found]


def test_the_best_comes_first():
    assert labels(picking.fitting(picker(*LABELS, typed="ex"))) == ["/exit", "/export"]
    assert labels(picking.fitting(picker(*LABELS, typed="ml"))) == ["/model"]
    assert labels(picking.fitting(picker("a tram", "tram", "xtram", typed="tram"))) == [
        "tram",
        "a tram",
        "xtram",
    ]


def test_every_word_must_fit():
    assert labels(picking.fitting(picker("two days in lisbon", "two cats", typed="two lis"))) == [
        "two days in lisbon"
    ]


def test_typing_begins_at_the_top_and_backspace_widens():
    moved = picking.moved(picker(*LABELS), 3)
    typed = picking.typed(moved, "x")
    assert (typed.at, typed.typed) == (0, "x")
    assert picking.typed(typed, "").typed == ""


def test_nothing_fits_nothing_is_chosen():
    assert picking.chosen(picker(*LABELS, typed="qqq")) is None


@given(st.lists(st.text(max_size=8), max_size=12), st.text(max_size=4), st.integers(-20, 20))
def test_the_cursor_stays_in_the_list_and_only_fitting_things_are_shown(names, typed, by):
    moved = picking.moved(picker(*names, typed=typed), by)
    found = picking.fitting(moved)
    assert 0 <= moved.at <= max(0, len(found) - 1)
    assert set(found) <= set(moved.choices)
    if not typed.split():
        assert found == moved.choices
