"""The footer keeps what matters at every width."""

import pytest

from chinwag.frontends.tui.footer import pieces, rate
from chinwag.frontends.tui.state import Live
from chinwag.frontends.tui.update import opened
from chinwag.talk.delta import TextDelta, UsageDelta
from chinwag.talk.draft import Draft
from chinwag.talk.usage import Usage
from chinwag.text.cells import width
from support.fakes import Status, blank


def text(columns, *, draft=None, busy=False, **status) -> str:
    state = opened(blank())
    if busy:
        from msgspec.structs import replace

        state = replace(state, busy=True)
    return "".join(part for _, part in pieces(state, Status(**status), draft, columns))


@pytest.mark.parametrize("columns", range(1, 120, 7))
def test_it_is_never_wider_than_the_screen(columns):
    assert width(text(columns, draft=(6, False), busy=True, store="redis://h:1/0")) <= columns


def test_what_matters_outlives_the_bar_and_long_numbers():
    assert text(40, draft=(6, True), busy=True) == " 3.4k/33k  draft 6 · saved · esc stops"
    assert text(20, busy=True) == " 3.4k/33k  esc stops"


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_problem_with_saving_is_never_dropped(columns):
    assert "NOT SAVED" in text(columns, used=31000, exact=False, save_problem="full")
    assert "NOT SAVED" in text(columns, used=31000, save_problem="full", draft=(6, True), busy=True)


def test_counts_that_are_not_exact_say_so():
    assert text(90, exact=False).startswith(" ~3,412 of 32,768 ")
    assert "draft ~6" in text(90, draft=(6, False))


def test_stores_that_are_not_files_and_private_talks_are_named():
    assert "memory:" in text(100, store="memory:")
    assert "private" in text(100, private=True)


def test_speed_is_that_of_decoding_and_exact_once_reported():
    draft = Draft().add(TextDelta("word " * 100))
    live = Live(draft, asked=0.0, first=10.0, last=12.0, characters=420)
    assert rate(live) == "~50/s"
    told = draft.add(UsageDelta(Usage(output=90)))
    assert rate(Live(told, 0.0, 10.0, 12.0, 420)) == "45/s"
    assert rate(Live(draft, 0.0, 10.0, 10.1, 420)) == ""
