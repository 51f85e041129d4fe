"""Finding in the conversation: where, marked how, and back again."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from chinwag.frontends.tui import finding
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.update import opened
from chinwag.talk import event as e
from chinwag.talk.grown import Grown
from support.fakes import FakeDesk, long_talk, said, talk
from support.pilot import pilot


def lines(*texts):
    return [[("", text)] if text else [] for text in texts]


def test_words_are_found_without_regard_to_case_and_line_ends():
    items = opened(talk("Two DAYS in\nLisbon", "Take the tram", "days", "none")).items
    every = range(len(items))
    assert finding.holding(items, every, "days  in lisbon") == [0]
    assert finding.holding(items, every, "DAYS") == [0, 2]
    assert finding.holding(items, every, " ") == []
    assert finding.holding(items, every, "in days") == [], "words stand in their order"


def test_words_are_found_across_marks():
    items = opened(talk("q", "Take **line `28`** before *nine*")).items
    assert finding.holding(items, [1], "line 28 before nine") == [1]
    assert finding.holding(items, [1], "`28`") == [1], "and the marks themselves"


def test_what_was_wrapped_is_marked_on_both_lines():
    drawn = [[("", "    "), ("class:md.strong", "take the")], [("", "    "), ("", "tram home")]]
    wanted = finding.pattern("the tram")
    assert finding.hit_lines(drawn, wanted) == [0]
    assert finding.marked(drawn, wanted, 0) == [
        [("", "    "), ("class:md.strong", "take "), ("class:md.strong class:found.at", "the")],
        [("", "    "), (" class:found.at", "tram"), ("", " home")],
    ]


@given(st.lists(st.text("ab c", max_size=8), max_size=6), st.text("ab ", min_size=1, max_size=3))
def test_marking_changes_looks_and_no_letter(texts, text):
    wanted = finding.pattern(text)
    if wanted is None:
        return
    drawn = lines(*texts)
    marked = finding.marked(drawn, wanted, None)
    assert ["".join(t for _, t in line) for line in marked] == texts
    hits = "".join(t for line in marked for style, t in line if "found" in style)
    there = wanted.search(" ".join(t.strip() for t in texts))
    assert bool(hits) == bool(there)


async def test_ctrl_f_finds_as_one_types_and_escape_goes_back():
    session = talk(*[f"Question {n} about {'trams' if n % 6 == 0 else 'boats'}" for n in range(60)])
    async with pilot(FakeDesk(session)) as p:
        await p.press("pageup")
        before = p.text()
        await p.type("draft")
        await p.press("ctrl+f")
        await p.type("TRAMS")
        assert "find: TRAMS" in p.text()
        find = p.shell.state.find
        assert (find.total, find.nth) == (10, 9)
        assert "Question 48 about trams" in p.text()
        await p.press("up")
        assert "Question 42 about trams" in p.text()
        await p.press("enter", "n")
        assert p.shell.state.find.nth == 7
        await p.type("N")
        assert p.shell.state.find.nth == 8
        await p.press("escape")
        assert p.shell.state.find is None
        assert p.shell.buffer.text == "draft"
        await p.press("ctrl+c")
        assert p.text().split("\n")[:15] == before.split("\n")[:15]


async def test_enter_stays_where_it_was_found():
    async with pilot(FakeDesk(long_talk(80))) as p:
        await p.press("ctrl+f")
        await p.type("Question 12")
        await p.press("enter", "enter")
        assert p.shell.state.find is None
        assert "Question 12?" in p.text()
        await p.type("typed again")
        assert p.shell.buffer.text == "typed again"


async def test_behind_the_first_comes_the_last_and_nowhere_is_said():
    async with pilot(FakeDesk(talk("tram one", "x", "tram two", "y"))) as p:
        await p.press("ctrl+f")
        await p.type("tram")
        seen = []
        for _ in range(3):
            seen.append(p.shell.state.find.nth)
            await p.press("up")
        assert seen == [2, 1, 2]
        await p.type("zz")
        assert "nowhere" in p.text()
        await p.press("backspace", "backspace")
        assert p.shell.state.find.nth == 2


async def test_a_command_lands_on_it_and_letters_are_keys_at_once():
    desk = FakeDesk(long_talk(80), script={"/find Question 2": [e.Sought("Question 2", ())]})
    async with pilot(desk) as p:
        await p.type("/find Question 2")
        await p.press("enter")
        assert p.shell.state.find.total == 6
        assert "Question 28?" in p.text()
        await p.press("n", "n")
        assert p.shell.state.find.text == "Question 2"
        assert "Question 24?" in p.text()


async def test_the_view_moves_no_more_than_it_must():
    async with pilot(FakeDesk(talk("tram", "tram", "tram", "end"))) as p:
        before = p.shell.state.anchor
        await p.press("ctrl+f")
        await p.type("tram")
        await p.press("up", "up")
        assert p.shell.state.anchor == before


async def test_an_answer_may_come_while_one_reads():
    desk = FakeDesk(long_talk(60), script={"go": said("go", "more " * 400)})
    async with pilot(desk) as p:
        await p.press("ctrl+f")
        await p.type("Question 10")
        seen = p.text().split("\n")[2:14]
        p.shell._spawn(desk.handle("go", p.shell.dispatch))
        await asyncio.sleep(0.1)
        await p.idle()
        assert p.text().split("\n")[2:14] == seen


def test_a_long_talk_is_looked_through_once_a_letter():
    items = opened(long_talk(2000)).items

    class Seen:
        state = s.UiState(session=None, items=items)

    finder = finding.Finder(Seen(), lambda: (80, 20))
    assert len(finder._there("question")) == 1000
    finder._known = (finder._known[0], items, finder._known[2][:3])
    assert len(finder._there("question 1")) <= 3, "only what held the beginning is looked at"
    Seen.state = s.UiState(session=None, items=Grown(items))
    assert len(finder._there("question 1")) > 3


def test_the_prompt_fits_any_width():
    from chinwag.text.cells import width

    for columns in (10, 20, 40, 80):
        for text in ("", "窓" * 60, "tram"):
            line, at = finding.prompt(s.Find(text=text, item=3, nth=2, total=9), columns)
            assert sum(width(t) for _, t in line) <= columns
            assert at < columns or columns == 10


def test_words_of_the_answer_that_comes_are_not_said_to_be_nowhere():
    lost = s.Find(text="fox")
    line = "".join(text for _, text in finding.prompt(lost, 80, coming=True)[0])
    assert "not before this answer" in line
    assert "nowhere" in "".join(text for _, text in finding.prompt(lost, 80)[0])
