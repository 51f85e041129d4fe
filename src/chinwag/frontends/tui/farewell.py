"""What is left on the normal screen when the full one is gone; pure.

Invariants: safe text only, no colour, no line wider than the terminal; an empty session says
nothing. The text of an answer is given as it was written, so that it can be copied.
"""

from __future__ import annotations

import shlex

from chinwag.talk.entry import AssistantSaid, Status, UserSaid
from chinwag.talk.session import Session, slug
from chinwag.text.cells import clip, wrap
from chinwag.text.safe import safe, safe_line

MOST_LINES = 40
"""Of a longer answer the end is left out."""
MOST_LETTERS = 100_000
"""More are not even looked at: nobody waits for that when leaving."""
MOST_WIDE = 10_000
"""Nor more of a text that is not plain ASCII: measuring it takes ten times as long."""


def farewell(session: Session, columns: int, *, saved: bool = True) -> str:
    """The last exchange, then how to come back; "" for a session in which nothing was said.

    Of one whose head is before everything said (after an edit, say), how to come back alone.
    """
    asked, answered = _last_exchange(session)
    if asked is None and answered is None:
        elsewhere = any(isinstance(entry, UserSaid) for entry in session.entries)
        return f"chat --resume {_name(session)}\n" if saved and elsewhere else ""
    out: list[str] = []
    if asked is not None:
        lines = _lines(asked.text[:MOST_WIDE], columns - 2)
        out += [clip(f"› {line}", columns) for line in lines[:4]]
    if answered is not None:
        out += ["", *_answer(answered, columns)]
    if saved:
        out += ["", f"chat --resume {_name(session)}"]
    return "\n".join(out) + "\n"


def _last_exchange(session: Session) -> tuple[UserSaid | None, AssistantSaid | None]:
    answered: AssistantSaid | None = None
    for _, entry in session.back():
        if isinstance(entry, AssistantSaid) and answered is None:
            answered = entry
        elif isinstance(entry, UserSaid):
            return entry, answered
    return None, answered


def _answer(entry: AssistantSaid, columns: int) -> list[str]:
    text = entry.text.strip()
    most = MOST_LETTERS if text.isascii() else MOST_WIDE
    lines = _lines(text[:most], columns)
    if len(lines) > MOST_LINES:
        left = f"{len(lines) - MOST_LINES} " if len(text) <= most else "many "
        lines = [*lines[:MOST_LINES], f"… {left}more lines"]
    if entry.status is not Status.COMPLETE:
        lines.append(f"({entry.status})")
    return lines


def _lines(text: str, columns: int) -> list[str]:
    return list(wrap(safe(text.strip()), max(1, columns)))


def _name(session: Session) -> str:
    name = slug(session.title) or session.id
    return safe_line(shlex.quote(name), 120)
