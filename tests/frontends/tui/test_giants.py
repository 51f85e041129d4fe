"""Giant blocks: whatever a server sends, no step looks at all of it (counted, not timed)."""

import pytest

from chinwag.context.counting import LOOKED_AT, estimate
from chinwag.frontends.tui import cutting, giants, items
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.drawing import Folds, long, plain
from chinwag.frontends.tui.finding import Finder
from chinwag.frontends.tui.markdown import GIVEN_UP, WINDOW, Document
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.state import Said
from chinwag.frontends.tui.theme import THEMES
from chinwag.frontends.tui.transcript import Transcript
from chinwag.frontends.tui.update import opened, update
from chinwag.talk import event as e
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AssistantSaid, UserSaid
from chinwag.talk.message import Call, Text, Thinking
from chinwag.talk.session import fold
from support.fakes import blank, entry, talk

RENDERER = Renderer(THEMES["auto"])
GIANTS = {
    "emoji": "👨‍👩‍👧" * 6_000,
    "links": "[a](http://x) " * 3_000,
    "brackets": "[" * 30_000,
    "backticks": "`" * 60_000,
    "bidi": "\u202e" * 20_000,
    "code": "```python\n" + "x=(1," * 12_000,
    "code letters": "```\n" + "é窓" * 15_000 + "\n```\n",
    "html": "<!--" + "a<b " * 15_000,
    "quotation": "> a b *c*\n" * 5_000,
    "table": "|a|b|\n|-|-|\n" + "|1|2|\n" * 5_000,
    "item": "- x\n" + "  word\n" * 6_000,
    "indented": "    x = 1\n" * 5_000,
    "heading": "# " + "a b " * 15_000,
    "marks": "क्षि" * 10_000,
    "arabic": "ﷺ" * 30_000,
    "entities": "&amp;" * 10_000,
    "addresses": "<http://x> " * 4_000,
    "underlines": "_a__b" * 10_000,
}
texts = pytest.mark.parametrize("text", GIANTS.values(), ids=GIANTS.keys())
MOST_LINES = 400  # of one stretch at 80 columns
MOST_OPEN = 1_100  # of the end, before it is too much


def fed(text: str, columns: int = 80) -> Document:
    document = Document(RENDERER, columns)
    document.feed(text)
    return document


def sizes(stretches) -> list[int]:
    return [len(stretch.lines()) for stretch in stretches]


def flat(lines) -> str:
    return "".join(text for line in lines for _, text in line)


def ids(lines) -> list[str]:
    return ["".join(text for _, text in line) for line in lines]


@texts
def test_no_stretch_holds_much_of_a_giant_block(text):
    document = fed(text)
    document.finish()
    assert max(sizes(document.stretches)) <= MOST_LINES
    for stretch in document.stretches:
        before = document.rendered
        stretch.lines()
        assert document.rendered - before <= cutting.HUGE


@texts
def test_while_it_grows_the_open_end_stays_small(text):
    document = Document(RENDERER, 80)
    for at in range(0, len(text), 9_000):
        document.feed(text[at : at + 9_000])
        more = True
        while more:
            more = document.step()
        document.show()
        for stretch in document.stretches[-1:]:
            assert len(stretch.lines()) <= MOST_OPEN


@texts
@pytest.mark.parametrize("size", [997, 5_000])
def test_however_it_came_in_the_lines_are_the_same(text, size):
    whole = fed(text, 60)
    whole.finish()
    document = Document(RENDERER, 60)
    for at in range(0, len(text), size):
        document.feed(text[at : at + size])
        document.step()
    document.finish()
    assert ids(document.lines) == ids(whole.lines) or text in UNSEAMED


UNSEAMED = (GIANTS["bidi"],)  # there is no place where it could be made safe in parts


@pytest.mark.parametrize("name", ["code", "code letters", "html", "table", "indented", "heading"])
def test_nothing_is_lost_of_what_is_shown_as_it_was_written(name):
    document = fed(GIANTS[name])
    document.finish()
    shown = "".join(flat(document.lines).replace(GIVEN_UP, "").split())
    written = "".join(GIANTS[name].replace("```python", "").replace("```", "").split())
    assert written in shown


def test_that_formatting_was_given_up_is_said_once():
    document = fed(GIANTS["table"] + "\n\nbetween\n\n" + GIANTS["quotation"])
    document.finish()
    assert ids(document.lines).count(GIVEN_UP) == 1
    assert "between" in ids(document.lines)


def test_a_giant_line_of_code_goes_on_in_full_rows_and_the_code_after_it_is_coloured():
    document = fed("```python\ndef f():\n" + "y" * 9_999 + "\n    return 1\n```\nafter\n", 80)
    document.finish()
    rows = [row for row in ids(document.lines) if row.startswith("  y")]
    assert {len(row) for row in rows[:-1]} == {80}
    assert "".join(rows).count("y") == 9_999
    styles = {style for line in document.lines for style, text in line if text.strip() == "return"}
    assert styles == {"class:code.keyword"}
    assert ids(document.lines)[-1] == "after"


def test_what_only_defines_links_shows_nothing_and_costs_nothing_to_pass():
    document = fed("[a]: http://x\n\n" * 300 + "see [a]\n")
    document.finish()
    assert len(document.stretches) == 1
    assert ids(document.lines) == ["see a (http://x)"]


def test_an_ordinary_block_is_laid_out():
    table = "| name | value |\n|---|---|\n" + "| one | two |\n" * 200
    assert cutting.weight(table) < cutting.HEAVY
    paragraph = "Some *words* with `code` and [a link](https://x.example/y) to read. " * 14
    assert cutting.markup(paragraph) < cutting.DENSE


def test_weight_never_falls_when_a_text_grows():
    for text in GIANTS.values():
        found = [cutting.weight(text[:n]) for n in range(0, 3_000, 100)]
        assert found == sorted(found)


@pytest.fixture
def transcript() -> Transcript:
    made = Transcript()
    made.use(RENDERER, Renderer(THEMES["auto"], breaks=False))
    return made


BIG = "one **two** [[three]]\n\n" * 40_000


def test_a_giant_answer_is_taken_in_in_slices_when_a_session_is_opened(transcript):
    assert cutting.effort(BIG) > giants.AT_ONCE
    state = opened(talk("q", BIG))
    first = ids(transcript.view(state, 80, 20).lines)
    assert "    one two [[three]]" in first  # its end is laid out from the first
    assert transcript.busy
    slices = 0
    while transcript.work():
        slices += 1
    assert slices > 2
    assert ids(transcript.view(state, 80, 20).lines) == first
    top = update(state, s.Scrolled(s.Anchor(1, 0)), 0.0)[0]
    assert "    one two [[three]]" in ids(transcript.view(top, 80, 20).lines)
    assert not transcript.busy


def test_at_another_width_what_was_begun_is_left(transcript):
    state = opened(talk("q", BIG))
    for columns in (80, 61, 80):
        transcript.view(state, columns, 20)
        transcript.work()
    while transcript.work():
        pass
    top = update(state, s.Scrolled(s.Anchor(1, 0)), 0.0)[0]
    assert "    one two [[three]]" in ids(transcript.view(top, 80, 20).lines)


def test_a_giant_answer_that_came_at_once_settles_in_slices(transcript):
    state = update(opened(blank()), e.Requested("o", "m"), 0.0)[0]
    state = update(state, e.Heard(TextDelta(BIG)), 1.0)[0]
    assert transcript.hear(state, 80)
    said = entry(1, BIG)
    state = update(state, e.Settled(1, said, fold(state.session, said)), 2.0)[0]
    transcript.settle(state, 80)
    assert "    one two [[three]]" in ids(transcript.view(state, 80, 20).lines)
    assert transcript.busy


def test_a_giant_question_thought_and_call_are_made_in_parts():
    folds = Folds(80, thinking=True, tools=True)
    text = "word " * 20_000
    parts = (Thinking(text), Call("1", "f", '{"a": "' + text + '"}'))
    for said in (UserSaid(parts=(Text(text),)), AssistantSaid(parts=parts)):
        made = items.laid(Said(1, said), folds, long, long)
        assert len(made) > 20
        assert max(sizes(made)) < 100


def test_in_parts_it_is_the_same_text():
    text = "".join(f"line {n} of many\n" for n in range(2_000))
    whole = plain(text, 60)
    assert [line for stretch in long(text, 60) for line in stretch.lines()] == whole


class Seen:
    """What a finder works on."""

    def __init__(self, transcript: Transcript, text: str) -> None:
        self.state = opened(talk("q", text))
        self.transcript = transcript

    def dispatch(self, what) -> None:
        self.state = update(self.state, what, 0.0)[0]


def test_searching_a_giant_answer_makes_no_more_than_is_seen(transcript):
    seen = Seen(transcript, f"{BIG}needle\n\n{BIG}")
    transcript.view(seen.state, 80, 20)
    while transcript.work():
        pass
    finder = Finder(seen, lambda: (80, 20))
    finder.begin("needle")
    assert finder.find is not None
    assert (finder.find.item, finder.find.total) == (1, 1)
    stretches = transcript.stretches(seen.state, 1, 80)
    assert 0.4 < seen.state.anchor.stretch / len(stretches) < 0.6
    assert sum(stretch._lines is not None for stretch in stretches) < 100


def test_of_a_giant_text_a_sample_is_counted():
    text = "some words and 12 figures, " * 40_000
    assert len(text) > LOOKED_AT
    assert estimate(text) == pytest.approx(5 * estimate(text[: len(text) // 5]), rel=0.05)


def test_a_step_takes_in_windows(transcript):
    document = fed("word " * 100_000)
    document.step()
    assert document.waiting or len(document.stretches) > WINDOW // 1_000
