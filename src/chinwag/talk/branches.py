"""The tree of a session as a person is shown it: its branches, and the variants of an answer. Pure.

Invariants: a row of the outline is a stretch of talk without a fork, so a session of ten thousand
messages that was never forked is one row; what the person is on is never indented, what leaves it
is. Variants are answers to one and the same thing, in the order in which they came.
"""

from __future__ import annotations

import msgspec

from chinwag.talk.entry import AssistantSaid, Rewound, UserSaid
from chinwag.talk.session import NOT_A_NODE, Session


class Branch(msgspec.Struct, frozen=True):
    """A stretch of talk from node ``n`` to node ``tip``, where it ends or forks.

    ``said`` is the first node in it that is a message (0 = none), ``messages`` how many are.
    ``here``: the head is in it. ``on_path``: one gets to the head through it. ``ends``: nothing
    follows, it does not fork.
    """

    n: int
    tip: int
    depth: int
    said: int
    messages: int
    on_path: bool
    here: bool
    ends: bool


def places(session: Session) -> dict[int, tuple[int, int]]:
    """Of each answer that has variants: it is the first, second … (from 1) of so many.

    Costs a walk over all entries.
    """
    if not any(isinstance(entry, Rewound) for entry in session.entries):
        return {}
    answers: dict[int, list[int]] = {}
    for n in range(session.base + 1, len(session) + 1):
        if isinstance(session.entry(n), AssistantSaid):
            answers.setdefault(session.parent(n), []).append(n)
    forked = (beside for beside in answers.values() if len(beside) > 1)
    return {n: (at, len(beside)) for beside in forked for at, n in enumerate(beside, 1)}


def place(session: Session, n: int) -> tuple[int, int]:
    """The same of the newest entry, an answer; costs as much as lies between it and its parent."""
    parent = session.parent(n)
    answers = [
        at
        for at in range(max(parent, session.base) + 1, n + 1)
        if session.parent(at) == parent and isinstance(session.entry(at), AssistantSaid)
    ]
    return len(answers), len(answers)


def last_forked(session: Session) -> int:
    """The last answer on the path, since the last clear, that has variants; 0 where none has."""
    forked = places(session)
    cleared = session.scope.cleared
    on_path = (n for n, _ in session.back() if n > cleared)
    return next((n for n in on_path if n in forked), 0)


def outline(session: Session) -> list[Branch]:
    """Every branch, in the order of a tree read from above: what leaves the path before the path.

    Costs a walk over all entries.
    """
    children = _children(session)
    path = set(session.path)
    found: list[Branch] = []
    waiting = _below(children.get(session.base, []), 0, path)
    while waiting:
        n, depth = waiting.pop()
        row, forks = _row(session, n, depth, children, path)
        found.append(row)
        waiting += _below(forks, depth, path)
    return found


def _row(
    session: Session, n: int, depth: int, children: dict[int, list[int]], path: set[int]
) -> tuple[Branch, list[int]]:
    """The stretch that begins at ``n``, and the nodes it forks into."""
    said = messages = 0
    tip, here = n, False
    while True:
        if isinstance(session.entry(tip), UserSaid | AssistantSaid):
            said, messages = said or tip, messages + 1
        here = here or tip == session.head
        below = children.get(tip, [])
        if len(below) != 1:
            return Branch(n, tip, depth, said, messages, n in path, here, not below), below
        tip = below[0]


def _below(nodes: list[int], depth: int, path: set[int]) -> list[tuple[int, int]]:
    """Siblings with their depth, the one shown first last: what goes on (the path, else the newest)
    is not indented, and shown after the others."""
    ordered = sorted(nodes, key=lambda n: (n in path, n))
    return [(n, depth + (n != ordered[-1])) for n in reversed(ordered)]


def _children(session: Session) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for n in range(session.base + 1, len(session) + 1):
        parent = session.parent(n)
        if parent != NOT_A_NODE:
            found.setdefault(parent, []).append(n)
    return found
