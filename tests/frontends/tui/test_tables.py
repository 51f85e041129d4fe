"""Tables at any width: nothing left out, nothing too wide; and calls of tools on a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.frontends.tui.cards import asked, opened, returned, summary
from chinwag.frontends.tui.drawing import Folds
from chinwag.frontends.tui.markdown import render
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.theme import THEMES
from chinwag.talk.message import Result
from chinwag.text.cells import width

RENDERER = Renderer(THEMES["auto"])
TABLE = """| line | where it goes | price |
|:-----|:-------------:|------:|
| 28 | past the castle and down to the river, slowly | 3.00 |
| 15E | Belém | 12.50 |
"""


def drawn(text: str, columns: int) -> list[str]:
    return ["".join(part for _, part in line) for line in render(RENDERER, text, columns)]


def test_where_there_is_room_each_row_is_a_line():
    assert drawn(TABLE, 80) == [
        "line                  where it goes                  price",
        "28    past the castle and down to the river, slowly   3.00",
        "15E                       Belém                      12.50",
    ]


def test_where_there_is_less_the_widest_column_is_wrapped():
    assert drawn(TABLE, 34) == [
        "line      where it goes      price",
        "28     past the castle and    3.00",
        "       down to the river,",
        "             slowly",
        "15E           Belém          12.50",
    ]


def test_where_there_is_none_each_row_is_a_list():
    assert drawn(TABLE, 18) == [
        "line: 28",
        "where it goes:",
        "past the castle",
        "and down to the",
        "river, slowly",
        "price: 3.00",
        "",
        "line: 15E",
        "where it goes:",
        "Belém",
        "price: 12.50",
    ]


def test_a_table_of_heads_alone_and_a_row_that_is_too_short():
    assert drawn("| a | b |\n|---|---|\n", 20) == ["a  b"]
    assert drawn("| a | b |\n|---|---|\n| c |\n", 20) == ["a  b", "c"]


cells = st.text(st.sampled_from("ab 窓é👍`*"), max_size=30).map(str.strip)


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4), st.integers(1, 50))
def test_every_letter_is_there_and_no_line_is_too_wide(rows, columns):
    text = "| one | two | three |\n|---|---|---|\n" + "".join(
        f"| {' | '.join(row)} |\n" for row in rows
    )
    lines = drawn(text, columns)
    assert max(map(width, lines)) <= columns
    if columns > 1:
        for letter in "ab窓":
            said = text.replace("table", "").count(letter)
            assert "".join(lines).count(letter) >= said - text[:30].count(letter)


# -- calls ---------------------------------------------------------------------------------------


def words(lines) -> list[str]:
    return ["".join(part for _, part in line) for line in lines]


@pytest.mark.parametrize(
    ("arguments", "short"),
    [
        ('{"path": "a.md", "lines": 3}', "path=a.md lines=3"),
        ('{"on": true, "of": [1, 2]}', "on=true of=[1, 2]"),
        ("{broken", "{broken"),
        ("[1]", "[1]"),
        ('{"text": "' + "x" * 99 + '"}', "text=" + "x" * 39 + "…"),
    ],
)
def test_arguments_on_one_line(arguments, short):
    assert summary(arguments) == short


@pytest.mark.parametrize("columns", [20, 40, 100])
def test_folded_a_call_and_its_result_are_a_line_each(columns):
    call = asked("read_file", '{"path": "' + "deep/" * 40 + '"}', Folds(columns))
    result = returned(Result("c", "read_file", "first\n" + "more\n" * 500), 1.25, Folds(columns))
    assert len(call) == len(result) == 1
    assert max(map(width, words([*call, *result]))) <= columns
    assert words(call)[0].strip().startswith("→ read_fil")
    if columns == 100:
        assert words(result)[0].strip() == "← read_file: first · 1.2 s · 501 lines, Ctrl+O shows"


def test_open_they_show_everything():
    folds = Folds(80, tools=True)
    assert words(asked("f", '{"a": 1}', folds)) == ["    → f", "    {", '      "a": 1', "    }"]
    stretches = opened(Result("c", "f", "one\n\ntwo\n"), 0.0, folds)
    shown = words([line for stretch in stretches for line in stretch.lines()])
    assert shown == ["    ← f", "    one", "", "    two"]
    assert words(returned(Result("c", "f", ""), 0.0, Folds(80))) == ["    ← f: nothing"]
