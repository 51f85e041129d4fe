"""A call that waits for a person's word: all that would be done, and what can be said to it.

Invariants: the text is whole and display-safe, cut between characters and never at a blank, so that
two calls that differ look different; nothing can be allowed before every line of it, and the rule
that would be written, was on the screen. The mark begins at no. What is typed is a word to the
model and goes with a no; no letter allows anything. Keys that come before the person can have seen
the question are not for it. Pure, but for `Reading`, which remembers what was drawn.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chinwag.frontends.tui.drawing import clipped, one
from chinwag.frontends.tui.state import Question
from chinwag.frontends.tui.stretch import Line
from chinwag.talk.event import ApprovalAsked, Verdict
from chinwag.text.cells import cluster_width, clusters, for_screen, width
from chinwag.text.safe import safe

GUARD: Final = 0.3
"""Seconds without a key, from the first frame of a question on, before a key is meant for it."""
ROOMY: Final = 5
"""Rows from which on a question has a title."""
BARRED: Final = 3
"""Rows from which on a line says which part of the text is shown."""
STRANGE: Final = 6
"""Letters outside ASCII that are named beside the text."""


class Choice(msgspec.Struct, frozen=True):
    """``allows``: it needs all to have been seen."""

    verdict: Verdict
    label: str
    allows: bool


def choices(asked: ApprovalAsked) -> tuple[Choice, ...]:
    """What can be said, the safest first."""
    found = [
        Choice(Verdict.DENY, "no, do not run it", allows=False),
        Choice(Verdict.ONCE, "yes, this once", allows=True),
    ]
    if asked.rule:
        found += [
            Choice(Verdict.SESSION, "yes, in this session by this rule", allows=True),
            Choice(Verdict.ALWAYS, "yes, always in this folder by this rule", allows=True),
        ]
    if asked.never:
        found.append(Choice(Verdict.NEVER, f"never: no call of {asked.never}", allows=False))
    return tuple(found)


def chosen(question: Question) -> Choice:
    """What Enter would say."""
    there = choices(question.asked)
    return there[min(question.at, len(there) - 1)]


def moved(question: Question, by: int) -> Question:
    """The mark ``by`` answers further, stopping at the ends."""
    last = len(choices(question.asked)) - 1
    return msgspec.structs.replace(question, at=max(0, min(question.at + by, last)))


def typed(question: Question, text: str) -> Question:
    """A letter for the model; "" takes the last one back. The mark goes to no."""
    word = question.word + text if text else question.word[:-1]
    return msgspec.structs.replace(question, word=word[:2000], at=0)


# -- the text -----------------------------------------------------------------------------------


def whole(asked: ApprovalAsked, columns: int) -> list[Line]:
    """Everything there is to see, as lines of at most so many columns."""
    room = max(4, columns - 4)
    lines = _said(asked.why, room, "class:warning") if asked.why else []
    for line in safe(asked.shown).split("\n"):
        lines += [[("", f"   {piece}")] for piece in _pieces(line, room)]
    if found := strange(asked.shown):
        lines += [[], *_said(f"not plain letters: {found}", room, "class:warning")]
    if asked.rule:
        lines += [[], *_said(f"the rule: {asked.rule}", room, "class:meta")]
    return lines


def _said(text: str, room: int, style: str) -> list[Line]:
    found = safe(text, keep_newlines=False)
    return [[(style, f"   {piece}")] for piece in _pieces(found, room)]


def _pieces(line: str, room: int) -> list[str]:
    """A line cut where it is full; what goes on is marked. Every blank is kept."""
    line = line.replace("\t", "    ")
    if line.isascii() and len(line) <= room:
        return [line]
    pieces: list[str] = []
    for piece in _cut(line, room - 2):
        pieces.append(f"↪ {piece}" if pieces else piece)
    return pieces or [""]


def _cut(line: str, room: int) -> list[str]:
    if line.isascii():
        return [line[at : at + room] for at in range(0, len(line), room)]
    out, held, used = list[str](), list[str](), 0
    for cluster in clusters(for_screen(line)):
        cells = cluster_width(cluster)
        if used + cells > room and held:
            out.append("".join(held))
            held, used = [], 0
        held.append(cluster)
        used += cells
    return [*out, "".join(held)]


def strange(text: str) -> str:
    """The letters outside ASCII, which can look like others: `о U+043E, …`; "" without any."""
    if text.isascii():
        return ""
    found = dict.fromkeys(char for char in text if not char.isascii())
    named = [f"{char} U+{ord(char):04X}" for char in list(found)[:STRANGE]]
    more = f" and {len(found) - STRANGE} more" if len(found) > STRANGE else ""
    return ", ".join(named) + more


# -- the picture --------------------------------------------------------------------------------


class Laid(msgspec.Struct, frozen=True):
    """The lines, and which of the whole they show: from ``first`` up to, not with, ``last``."""

    lines: list[Line]
    first: int
    last: int
    total: int


def laid(question: Question, text: list[Line], columns: int, rows: int, *, seen: bool) -> Laid:
    """The question on so many rows, never more. ``seen``: all of the text was on the screen by now.

    Where there are few, the text has half of them, and of the answers those beside the marked one
    are shown: a line that counts as seen is one that was drawn.
    """
    head = _head(question.asked, columns) if rows >= ROOMY else []
    bars = 1 if rows >= BARRED else 0
    spare = rows - len(head) - bars
    foot = _foot(question, columns, seen=seen)
    few = max(1, min(len(foot), spare - min(len(text), max(1, spare // 2))))
    foot = _around(foot, min(question.at, len(foot) - 1), few)
    room = max(0, spare - len(foot))
    first = max(0, min(question.top, len(text) - room))
    last = min(len(text), first + room)
    bar = [_bar(first, last, len(text), columns, seen=seen)] * bars
    return Laid([*head, *text[first:last], *bar, *foot], first, last, len(text))


def _around(lines: list[Line], at: int, count: int) -> list[Line]:
    """So many of the lines, that at ``at`` among them."""
    first = max(0, min(at - count // 2, len(lines) - count))
    return lines[first : first + count]


def _head(asked: ApprovalAsked, columns: int) -> list[Line]:
    source = f" · from {asked.source}" if asked.source else ""
    title = f" {asked.call.name} asks to run · {asked.risk}{source}"
    return [[("class:page", one(title, columns - 1))]]


def _bar(first: int, last: int, total: int, columns: int, *, seen: bool) -> Line:
    if first == 0 and last == total:
        words = " "
    else:
        more = "" if seen else " · PgDn: see all of it before you can allow it"
        words = one(f" ── lines {first + 1} to {last} of {total}{more}", columns - 2) + " "
    return clipped([("class:rule", words + "─" * max(0, columns - 1 - width(words)))], columns)


def _foot(question: Question, columns: int, *, seen: bool) -> list[Line]:
    lines: list[Line] = []
    marked = chosen(question)
    for choice in choices(question.asked):
        here = choice.verdict is marked.verdict
        label = choice.label if seen or not choice.allows else f"{choice.label} (not seen yet)"
        if choice.verdict is Verdict.DENY and question.word:
            label += ", and tell the model what you typed"
        style = "class:pick.at" if here else "class:pick"
        if choice.allows and not seen:
            style = "class:pick.detail"
        lines.append([(style, one(f" {'›' if here else ' '} {label}", columns - 1))])
    return lines


# -- what was seen ------------------------------------------------------------------------------


class Reading:
    """Remembers of the question on the screen which lines were drawn, and when keys came."""

    def __init__(self) -> None:
        self._of: tuple[str, str, int] = ("", "", 0)
        self._text: list[Line] = []
        self._through = 0  # lines from the first on without a gap that were drawn
        self._quiet_since: float | None = None
        self.top = 0  # as it was drawn: what scrolling starts from
        self.page = 1

    def draw(self, question: Question, columns: int, rows: int, now: float) -> list[Line]:
        """The lines of a frame at the moment ``now``, which is taken to be seen."""
        asked = question.asked
        of = (asked.call.id, asked.digest, columns)
        if of != self._of:
            if of[:2] != self._of[:2]:
                self._quiet_since = None
            self._of, self._text, self._through = of, whole(asked, columns), 0
        found = laid(question, self._text, columns, rows, seen=self.seen)
        if found.first <= self._through:
            self._through = max(self._through, found.last)
        if self._quiet_since is None:
            self._quiet_since = now
        self.top, self.page = found.first, max(1, found.last - found.first - 1)
        if self.seen:  # perhaps by this very frame
            found = laid(question, self._text, columns, rows, seen=True)
        return found.lines

    @property
    def seen(self) -> bool:
        """Whether every line was drawn."""
        return bool(self._text) and self._through >= len(self._text)

    def heeds(self, now: float) -> bool:
        """Whether a key that comes now is for the question; one that is not puts it off."""
        if self._quiet_since is not None and now - self._quiet_since >= GUARD:
            return True
        if self._quiet_since is not None:
            self._quiet_since = now
        return False

    def forget(self) -> None:
        """No question is on the screen any more."""
        self._of, self._text, self._through = ("", "", 0), [], 0
        self._quiet_since = None
