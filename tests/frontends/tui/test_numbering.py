"""The number beside a code block on the screen is the one `/copy` takes."""

from __future__ import annotations

import re

from chinwag.commands.blocks import numbered
from chinwag.frontends.tui.numbering import Numbers
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.state import Said
from chinwag.frontends.tui.theme import looks
from chinwag.frontends.tui.transcript import Transcript
from chinwag.frontends.tui.update import opened
from chinwag.talk.entry import AssistantSaid, Cleared, Rewound, UserSaid
from chinwag.talk.grown import Grown
from chinwag.talk.message import Text
from chinwag.talk.session import begin, fold_all

LOOKS = looks("none", {})


def said(text):
    return AssistantSaid(parts=(Text(text),), provider="p", model="m")


def asked(text):
    return UserSaid(parts=(Text(text),))


ANSWERS = [
    "```py\nalpha = 1\n```\n\nand\n\n- in a list\n\n  ```sh\n  beta\n  ```\n",
    "no code",
    "    indented gamma\n\n~~~\ndelta\n~~~\n",
]


def shown(session, columns=80):
    """Number to the line of code under it, as drawn."""
    transcript = Transcript()
    transcript.use(Renderer(LOOKS), Renderer(LOOKS, breaks=False))
    state = opened(session)
    view = transcript.view(state, columns, 500)
    lines = ["".join(text for _, text in line) for line in view.lines]
    found = {}
    for at, line in enumerate(lines):
        if mark := re.search(r"¶(\d+)\s*$", line):
            found[int(mark[1])] = lines[at + 1].strip()
    return found


def test_the_numbers_on_the_screen_are_those_of_copy():
    talk = [entry for answer in ANSWERS for entry in (asked("q ```not code```"), said(answer))]
    session = fold_all(begin(), talk)
    copied = {n: block.text.split("\n")[0].strip() for n, block in numbered(session)}
    assert copied == {1: "alpha = 1", 2: "beta", 3: "delta"}
    assert shown(session) == copied
    assert shown(session, columns=24) == copied


def test_after_a_clear_they_begin_anew_and_undo_brings_them_back():
    talk = [asked("q"), said(ANSWERS[0]), Cleared(), asked("q"), said("```\nepsilon\n```")]
    session = fold_all(begin(), talk)
    assert {n: b.text for n, b in numbered(session)} == {1: "epsilon\n"}
    assert shown(session)[1] == "epsilon"
    back = fold_all(session, [Rewound(to=2, why="undo")])
    assert set(shown(back)) == {1, 2}


def test_items_are_looked_at_once():
    numbers = Numbers()
    items = Grown(Said(n, said("```\nx\n```")) for n in range(1, 100))
    assert numbers.before(items, 99) == 99
    counted = numbers._totals
    assert numbers.before(items, 50) == 50
    more = items.plus(Said(100, said("```\ny\n```")))
    assert numbers.before(more, 100) == 100
    assert numbers._totals is counted
    assert numbers.before(Grown(items[:10]), 10) == 10
