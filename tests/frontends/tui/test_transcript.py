"""The talk as lines: only what is seen is made, and a reader keeps his place."""

import pytest

from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.theme import THEMES
from chinwag.frontends.tui.transcript import Transcript
from chinwag.frontends.tui.update import opened, update
from chinwag.talk import event as e
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import Status
from chinwag.talk.session import fold
from chinwag.text.cells import width
from support.fakes import blank, entry, long_talk, talk


@pytest.fixture
def transcript() -> Transcript:
    made = Transcript()
    made.use(Renderer(THEMES["auto"]), Renderer(THEMES["auto"], breaks=False))
    return made


def plain(lines) -> list[str]:
    return ["".join(text for _, text in line).rstrip() for line in lines]


def test_a_frame_makes_what_is_seen_however_long_the_talk_is():
    made = []
    for count in (100, 10_000):
        transcript = Transcript()
        transcript.use(Renderer(THEMES["auto"]), Renderer(THEMES["auto"]))
        transcript.view(opened(long_talk(count)), 80, 20)
        made.append(transcript.made)
    assert made[0] == made[1] <= 20


def test_a_second_frame_makes_nothing(transcript):
    state = opened(long_talk(100))
    transcript.view(state, 80, 20)
    made = transcript.made
    transcript.view(state, 80, 20)
    assert transcript.made == made


def test_scrolling_back_and_on_shows_every_line_once(transcript):
    state = opened(long_talk(30))
    seen = [transcript.view(state, 60, 10)]
    for _ in range(200):
        anchor = transcript.moved(state, -10, 60, 10)
        if anchor == state.anchor:
            break
        state = update(state, s.Scrolled(anchor), 0.0)[0]
        seen.append(transcript.view(state, 60, 10))
    assert plain(seen[-1].lines)[0].split() == ["2", "you", "09:31"]
    backwards = [line for view in reversed(seen[:-1]) for line in plain(view.lines)]
    for n in range(4, 30):
        assert sum(f"Answer {n}:" in line or f"Question {n}?" in line for line in backwards) == 1


def test_a_reader_who_left_the_end_is_not_moved_by_what_arrives(transcript):
    state = opened(long_talk(30))
    state = update(state, s.Scrolled(transcript.moved(state, -15, 60, 10)), 0.0)[0]
    before = transcript.view(state, 60, 10)
    for what in (e.Requested("o", "m"), e.Heard(TextDelta("new words\n\n" * 30)), e.Notice("hm")):
        state = update(state, what, 1.0)[0]
        transcript.hear(state, 60)
        after = transcript.view(state, 60, 10)
        assert plain(after.lines) == plain(before.lines)
    assert after.below > before.below


def test_scrolling_past_the_end_follows_it_again(transcript):
    state = opened(long_talk(30))
    state = update(state, s.Scrolled(s.Anchor(3, 0)), 0.0)[0]
    assert transcript.moved(state, 10_000, 60, 10) is None


def test_the_settled_answer_is_the_lines_that_were_heard(transcript):
    state = opened(blank())
    state = update(state, e.Requested("o", "m"), 0.0)[0]
    text = "# One\n\n" + "word " * 900 + "\n\n```py\nx = 1\n```\n\n- a\n- b\n"
    for at in range(0, len(text), 11):
        state = update(state, e.Heard(TextDelta(text[at : at + 11])), 1.0)[0]
        transcript.hear(state, 60)
    said = entry(1, text)
    session = fold(state.session, said)
    state = update(state, e.Settled(2, said, session), 2.0)[0]
    made = transcript.made
    transcript.settle(state, 60)
    heard = transcript.lines(state, 0, 60)
    assert transcript.made == made
    transcript.forget()
    assert transcript.lines(state, 0, 60) == heard


def test_of_a_long_answer_only_what_is_seen_is_rendered(transcript):
    state = opened(talk("q", "some **words** here\n\n" * 20_000))
    first = transcript.view(state, 60, 10)
    while transcript.work():  # it is taken in in slices
        pass
    view = transcript.view(state, 60, 10)
    assert plain(view.lines) == plain(first.lines)
    assert plain(view.lines)[0].strip() in ("some words here", "")
    made = sum(stretch._lines is not None for stretch in transcript.stretches(state, 1, 60))
    assert made < 30
    up = transcript.moved(state, -1000, 60, 10)
    state = update(state, s.Scrolled(up), 0.0)[0]
    assert plain(transcript.view(state, 60, 10).lines) == plain(view.lines)


def test_a_long_block_of_code_is_plain_first_and_coloured_in_slices(transcript):
    code = "x = 1  # one\n" * 3000
    state = opened(talk("q", f"```python\n'''{code}\n'''\n{code}```\n"))
    view = transcript.view(state, 60, 10)
    assert {style for line in view.lines for style, text in line if "x" in text} == {"class:code"}
    rounds = 0
    while transcript.work():
        rounds += 1
    assert rounds > 5
    after = transcript.view(state, 60, 10)
    assert plain(after.lines) == plain(view.lines)
    assert "class:code.comment" in {style for line in after.lines for style, _ in line}
    state = update(state, s.Scrolled(transcript.moved(state, -4000, 60, 10)), 0.0)[0]
    inside = transcript.view(state, 60, 10).lines
    assert {style for line in inside for style, text in line if "x" in text} == {
        "class:code.string"
    }


def test_a_link_defined_later_is_known_at_the_end_and_moves_no_reader(transcript):
    state = update(opened(blank()), e.Requested("o", "m"), 0.0)[0]
    text = "see [one][x] " + "and more words " * 20 + "\n\n" + "a paragraph\n\n" * 40
    state = update(state, e.Heard(TextDelta(text)), 1.0)[0]
    transcript.hear(state, 60)
    state = update(state, s.Scrolled(s.Anchor(0, 0, 20)), 1.0)[0]
    before = plain(transcript.view(state, 60, 10).lines)
    assert "[one][x]" in "\n".join(plain(transcript.lines(state, 0, 60)))
    whole = text + "[x]: https://x.example/" + "long/" * 30 + "\n"
    state = update(state, e.Heard(TextDelta(whole[len(text) :])), 1.0)[0]
    transcript.hear(state, 60)
    session = fold(state.session, entry(1, whole))
    state = update(state, e.Settled(1, entry(1, whole), session), 2.0)[0]
    transcript.settle(state, 60)
    assert "(https://x.example/" in "\n".join(plain(transcript.lines(state, 0, 60)))
    assert plain(transcript.view(state, 60, 10).lines) == before


@pytest.mark.parametrize("columns", [4, 10, 20, 40, 80])
def test_no_line_is_wider_than_the_screen(transcript, columns):
    session = talk(
        "窓" * 90 + "\x1b[2J\u202e", "x" * 300 + "\n```\n" + "y" * 90 + "\n```\n| a |\n|-|\n"
    )
    session = fold(session, entry(1, "part", status=Status.FAILED, error="boom " * 40, hint="h"))
    state = opened(session)
    for what in (e.Notice("n " * 99), e.Page("title" * 30, "# p"), e.Failed("X", "m" * 99, "h")):
        state = update(state, what, 0.0)[0]
    state = update(state, s.Scrolled(s.Anchor(0, 0)), 0.0)[0]
    for line in plain(transcript.view(state, columns, 400).lines):
        assert width(line) <= columns
        assert "\x1b" not in line
        assert "\u202e" not in line


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (Status.INTERRUPTED, "", "stopped — /continue"),
        (Status.PARTIAL, "the connection broke", "the connection broke"),
        (Status.FAILED, "no such model", "no such model"),
    ],
)
def test_an_answer_that_is_not_whole_says_why_and_what_to_do(transcript, status, error, words):
    state = opened(fold(talk("q"), entry(1, "part", status=status, error=error)))
    text = "\n".join(plain(transcript.view(state, 80, 20).lines))
    assert words in text
    assert "/retry" in text


def test_before_rich_is_there_the_talk_can_be_read():
    text = "\n".join(plain(Transcript().view(opened(talk("q", "**bold** 窓")), 80, 20).lines))
    assert "**bold** 窓" in text
