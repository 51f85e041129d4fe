"""What `/history`, `/tokens`, the transcript and the footer show of windows, marks and budgets."""

from __future__ import annotations

import pytest

from chinwag.commands.context import BAR, _picture
from chinwag.engine.room import Filling
from chinwag.frontends.tui.drawing import Folds
from chinwag.frontends.tui.footer import pieces
from chinwag.frontends.tui.items import laid
from chinwag.frontends.tui.state import Said
from chinwag.frontends.tui.update import opened
from chinwag.talk.entry import Compacted, Hidden, Mark, Marked, UserSaid
from chinwag.talk.message import Text
from chinwag.text.cells import width
from support.engine import Player
from support.fakes import Status, blank


async def test_history_marks_what_is_pinned_excluded_or_not_sent(place):
    for text in ("one", "two", "three", "four"):
        await place(text)
    asked = [n for n, e in place.talk.session.said() if isinstance(e, UserSaid)]
    await place(f"/pin {asked[0]}")
    await place(f"/exclude {asked[3]}")
    await place("/window 4")
    await place("/history")
    lines = {n: line for n in asked for line in place.page.splitlines() if f"**{n} you**" in line}
    assert "(pinned)" in lines[asked[0]]
    assert "(not sent any more)" in lines[asked[1]]
    assert "(" not in lines[asked[2]]
    assert "(excluded)" in lines[asked[3]]
    await place("/undo")
    await place("/history 8")
    assert "(not sent any more)" not in place.page


async def test_what_the_server_counts_is_shown_and_believed(place):
    class Exact(Player):
        async def count(self, request):
            return 4_321

    counting = Exact(name="lab")
    place.talk._directory.players["lab"] = counting
    place.talk._models._directory.players["lab"] = counting
    await place("one two three")
    await place("/tokens")
    assert "4,321 of 32,768 tokens" in place.page
    assert "counted by the server" in place.page


@pytest.mark.parametrize(
    "filled",
    [
        Filling(32_768),
        Filling(1_000, system=17, tools=300, summary=20, history=332, reserve=300),
        Filling(1_000, system=600, tools=300, summary=20, history=4_000, reserve=900),
        Filling(10**6, system=1, tools=1, summary=1, history=1, reserve=1),
        Filling(0),
    ],
)
def test_the_picture_is_as_wide_as_the_bar_and_shows_whatever_is_there(filled):
    drawn = _picture(filled)
    assert BAR <= width(drawn) <= BAR + 5
    shown = {"system": "█", "tools": "▓", "summary": "▚", "history": "▒", "reserve": "░"}
    assert all((getattr(filled, name) > 0) == (ink in drawn) for name, ink in shown.items())


# -- the transcript -------------------------------------------------------------------------------


def drawn(entry, columns=80) -> str:
    lines = []
    for stretch in laid(Said(9, entry), Folds(columns), _no_markdown, _no_markdown):
        lines += ["".join(text for _, text in line) for line in stretch.lines()]
    assert all(width(line) <= columns for line in lines)
    return "\n".join(lines)


def _no_markdown(text, columns):
    raise AssertionError("these are lines of our own")


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_each_change_of_the_view_is_one_line_in_its_place(columns):
    for entry in (
        Compacted(summary="", through=8, why="trim"),
        Compacted(summary="as before", through=8, why="window"),
        Hidden(ns=(3,), why="prune"),
        Marked(of=3, mark=Mark.PIN),
    ):
        lines = [line for line in drawn(entry, columns).splitlines() if line.strip()]
        assert 1 <= len(lines) <= (1 if columns == 80 else 5)


def test_they_say_what_happened_and_what_takes_it_back():
    assert "1 to 8 are no longer sent (trim); /undo" in drawn(
        Compacted(summary="", through=8, why="trim")
    )
    summary = drawn(Compacted(summary="they spoke of tides", through=8))
    assert "told to the model as this summary" in summary
    assert "they spoke of tides" in summary
    assert "3 is no longer sent (prune)" in drawn(Hidden(ns=(3,), why="prune"))
    assert "2 messages are no longer sent (topic: x)" in drawn(Hidden(ns=(3, 5), why="topic: x"))
    assert "message 3 is pinned" in drawn(Marked(of=3, mark=Mark.PIN))
    assert "message 3 is excluded" in drawn(Marked(of=3, mark=Mark.EXCLUDE))
    assert "as any other" in drawn(Marked(of=3, mark=Mark.NONE))


def test_the_reason_is_foreign_text():
    assert "\x1b" not in drawn(Hidden(ns=(3,), why="\x1b[31mred"))
    assert "\x1b" not in drawn(Compacted(summary="", through=3, why="a\x1b]0;x\x07"))


# -- the footer -----------------------------------------------------------------------------------


def test_the_footer_says_how_much_of_a_budget_is_spent():
    def text(columns, **status):
        return "".join(part for _, part in pieces(opened(blank()), Status(**status), None, columns))

    assert "budget: $0.412 of $0.500" in text(80, budget="$0.412 of $0.500")
    assert "budget" not in text(80)
    assert width(text(30, budget="$0.412 of $0.500")) <= 30


async def test_a_budget_is_near_from_its_half_on(place):
    purse = place.talk.purse
    assert purse.share == 0
    await place("/budget 40 tokens")
    assert purse.share == 0
    await place("one two")
    assert 0 < purse.share <= 1
    place.talk.settle(UserSaid(parts=(Text("x"),)), [].append)
    await place("/budget off")
    assert purse.share == 0
