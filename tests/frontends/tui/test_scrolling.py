"""What only moved is moved by the terminal, and what was finished is never sent again."""

from __future__ import annotations

import re

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.frontends.tui.scrolling import Move, moved, sequence
from chinwag.talk import event as e
from support.fakes import FakeDesk, entry, heard, long_talk
from support.pilot import pilot

ASK = e.Requested("ollama", "qwen3:8b", 1)


def lines(words: str) -> list:
    return [[("", word)] if word != "." else [] for word in words.split()]


@pytest.mark.parametrize(
    ("old", "new", "move"),
    [
        ("a b c d e", "a b c d e", None),
        ("a b c d e", "v w x y z", None),
        ("a b c d e", "b c d e f", Move(0, 4, 1)),
        ("a b c d e f", "d e f x y z", Move(0, 5, 3)),
        ("head a b c d foot", "head b c d e foot", Move(1, 4, 1)),
        ("b c d e f", "a b c d e", Move(0, 4, -1)),
        ("head a b c . par", "head b c . paragraph foot", Move(1, 5, 1)),
        ("a b c d e f g", "a b x d e f g", None),
        ("a b c", "b c d", None),
    ],
)
def test_a_move_is_found_where_there_is_one(old, new, move):
    assert moved(lines(old), lines(new)) == move


words = st.lists(st.sampled_from("abcdefgh."), min_size=1, max_size=9)


@given(words, words)
def test_a_move_makes_the_new_rows_and_touches_no_others(old, new):
    new = (new + old)[: len(old)]
    before, after = lines(" ".join(old)), lines(" ".join(new))
    move = moved(before, after)
    if move is None:
        return
    screen = pyte.Screen(10, len(old) + 2)
    stream = pyte.Stream(screen)
    stream.feed("top\r\n" + "\r\n".join(word.strip(".") for word in old) + "\r\nend")
    stream.feed(sequence(1 + move.top, 1 + move.bottom, move.by))
    got = [line.rstrip() for line in screen.display]
    assert (got[0], got[-1]) == ("top", "end")
    same = [a for a, b in zip(got[1:-1], new, strict=True) if a == b.strip(".")]
    assert len(same) >= 3
    assert (screen.cursor.x, screen.cursor.y) == (3, len(old) + 1)


def story(count: int) -> str:
    return "".join(
        f"- the item q{n:04d} of the list, a line long as lines are\n"
        if n % 3
        else f"\nA paragraph of some length, called q{n:04d} in *words*.\n\n"
        for n in range(count)
    )


class Recording(pyte.Screen):
    """Remembers which rows were drawn on."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self.touched: set[int] = set()

    def draw(self, data: str) -> None:
        self.touched.add(self.cursor.y)
        super().draw(data)


async def streamed(count: int) -> list[str]:
    """What was written while a story streamed in, frame by frame; the first is the whole screen."""
    steps = [
        step for piece in re.findall(r"\s*\S+", story(count)) for step in (*heard(piece, 99), 2e-3)
    ]
    told = [lambda desk: desk.settle(entry(0, "go")), ASK, *steps, lambda desk: desk.answered()]
    async with pilot(FakeDesk(long_talk(20), script={"go": told}), 60, 20) as p:
        p.glass.stream = pyte.Stream(pyte.Screen(1, 1))  # quicker
        await p.type("go")
        await p.press("ctrl+l")
        before = len(p.glass.written) - 1
        p.keyboard.send_text("\r")
        await p.until(lambda: len(p.shell.state.session) > 22, 20)
        return p.glass.written[before:]


async def test_a_finished_line_is_never_sent_again_and_bytes_stay_flat(monkeypatch):
    monkeypatch.setattr("chinwag.frontends.tui.pacing.SHARE", 1)
    frames = await streamed(120)
    screen = Recording(60, 20)
    stream = pyte.Stream(screen)
    stream.feed(frames[0])
    again = []
    for frame in frames[1:]:
        before, screen.touched = set(screen.display), set()
        stream.feed(frame)
        rows = [
            y
            for y in screen.touched
            if re.search(
                r"q\d{4} (of the list, a line long as lines are|in words\.)", screen.display[y]
            )
        ]
        again += [screen.display[y] for y in rows if y < 13 and screen.display[y] in before]
    assert len(frames) > 40
    assert again == []
    seen = [re.sub(r"\x1b[78DM]|\x1b\[[0-9;?]*[A-Za-z]|[\r\n]", "", frame) for frame in frames[1:]]
    letters, all_bytes = sum(map(len, seen)), sum(len(frame.encode()) for frame in frames[1:])
    assert letters < 1.5 * len(story(120))
    assert (all_bytes - letters) / len(seen) < 160  # what a frame costs beside its letters
    half = len(seen) // 2
    assert sum(map(len, seen[half:])) < 1.5 * sum(map(len, seen[:half])) + 500


async def test_scrolled_by_the_terminal_it_is_the_same_picture():
    async with pilot(FakeDesk(long_talk(40)), 60, 20) as p:
        await p.press("ctrl+home")
        for key in ["shift+down"] * 7 + ["wheeldown"] * 5 + ["shift+up"] * 4 + ["pagedown"]:
            await p.press(key)
            seen = p.text()
            await p.press("ctrl+l")
            assert p.text() == seen
        assert "\x1bM" in "".join(p.glass.written)
        assert "\x1bD" in "".join(p.glass.written)
