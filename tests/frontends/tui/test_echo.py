"""A plain letter is there before its frame, and nothing on the screen is ever another for it."""

from __future__ import annotations

import asyncio
import random

import pytest

from support.fakes import FakeDesk
from support.pilot import Pilot, pilot

WIDE, COMBINING, EMOJI = "漢", "\u0301", "👩\u200d🚀"


async def wrote(p: Pilot, text: str) -> list[str]:
    """What was written to the terminal for one read of ``text``."""
    before = len(p.glass.written)
    await p.type(text)
    return p.glass.written[before:]


async def test_a_letter_is_written_alone_and_not_again():
    async with pilot(FakeDesk(), 60, 12) as p:
        for letter in "ßλж":
            first, *after = await wrote(p, letter)
            assert first == letter
            assert after, "the frame with its effects still comes"
            assert letter not in "".join(after)
        assert "ßλж" in p.text()


async def test_it_stands_behind_what_the_person_sees_with_the_same_attributes():
    async with pilot(FakeDesk(), 60, 12) as p:
        await p.type("ab")
        x, y = p.cursor()
        cell = p.glass.screen.buffer[y][x - 1]
        p.shell.app.renderer.clear()
        p.shell.app.invalidate()
        await p.idle()
        assert p.glass.screen.buffer[y][x - 1] == cell
        assert p.cursor() == (x, y)


@pytest.mark.parametrize(
    ("before", "keys", "typed"),
    [
        ("abc", ["left"], "x"),  # in the middle of a line
        ("abc", [], WIDE),
        ("abc", [], COMBINING),
        ("abc", [], EMOJI),
        ("abc", [], "\x01"),  # Ctrl+A
        ("abc", [], "\u202e"),
        ("abc", [], "\x1b[200~xy\x1b[201~"),
        ("x" * 55, [], "y"),  # the last cell of the row
    ],
)
async def test_anything_else_waits_for_the_frame(before, keys, typed):
    async with pilot(FakeDesk(), 59, 12) as p:
        for letter in before:
            await p.type(letter)
        if keys:
            await p.press(*keys)
        put = []
        p.shell.echo._put = lambda letter, _: put.append(letter)
        await p.type(typed)
        assert put == []


async def test_nothing_is_written_over_what_is_in_front_of_the_input():
    async with pilot(FakeDesk(), 60, 12) as p:
        await p.type("a")
        put = []
        p.shell.echo._put = lambda letter, _: put.append(letter)
        await p.press("ctrl+p")
        await p.type("h")  # into the palette's filter
        assert put == []
        await p.press("escape")
        p.glass.screen.resize(14, 70)  # the terminal is another, and we have not been told yet
        await p.type("b")
        assert put == []


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_typed_the_screen_is_as_drawn_from_nothing(seed, soak):
    chance = random.Random(seed)
    keys = ["left", "right", "up", "down", "backspace", "ctrl+a", "ctrl+e", "ctrl+j", "ctrl+k"]
    keys += ["ctrl+w", "ctrl+y", "tab"]
    async with pilot(FakeDesk(), chance.choice([20, 40, 61]), chance.choice([8, 14])) as p:
        for _ in range(12 * soak):
            word = "".join(chance.choices("abcé λ/@ß" + WIDE + COMBINING, k=chance.randint(1, 9)))
            for letter in word:
                p.keyboard.send_text(letter)
                if chance.random() < 0.5:
                    await asyncio.sleep(0)
            await p.idle()
            if chance.random() < 0.5:
                await p.press(chance.choice(keys))
            now = (p.text(), p.cursor())
            p.shell.app.renderer.clear()
            p.shell.app.invalidate()
            await p.idle()
            assert (p.text(), p.cursor()) == now
