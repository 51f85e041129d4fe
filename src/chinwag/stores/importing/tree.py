"""A tree of messages, as two exports have it, into entries with branches. Pure.

Invariants: every branch is kept, each behind a `Rewound` to where it leaves the path; the branch
the person last saw comes last, so that the head ends on it. A parent that is not there makes a
root; a circle is walked once; nothing recurses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from chinwag.stores.importing.base import Weaver

State = TypeVar("State")


def weave(
    parents: Mapping[str, str],
    leaf: str,
    weaver: Weaver,
    emit: Callable[[str, State, bool], State],
    start: State,
) -> None:
    """Walk the tree ``parents`` (key to parent's key, in the file's order).

    ``emit`` adds a message's entries to the weaver and returns what its children start with; its
    last argument says that it has none.
    """
    shown = _path(parents, leaf)
    children = _children(parents, shown)
    places: dict[str, int] = {}
    todo = [(key, 0, start) for key in reversed(children.get("", ()))]
    while todo:
        key, at, state = todo.pop()
        if key in places:
            continue
        weaver.rewind(at)
        below = children.get(key, ())
        after = emit(key, state, not below)
        places[key] = weaver.head
        todo += [(child, weaver.head, after) for child in reversed(below)]
    if leaf in places:
        weaver.rewind(places[leaf])


def _path(parents: Mapping[str, str], leaf: str) -> set[str]:
    shown: set[str] = set()
    while leaf in parents and leaf not in shown:
        shown.add(leaf)
        leaf = parents[leaf]
    return shown


def _children(parents: Mapping[str, str], shown: set[str]) -> dict[str, Sequence[str]]:
    """Children by parent, the one that was shown last; circles hang on the root."""
    found: dict[str, list[str]] = {}
    rooted = _rooted(parents)
    for key, parent in parents.items():
        known = parent in parents and key in rooted
        found.setdefault(parent if known else "", []).append(key)
    return {parent: sorted(keys, key=lambda k: k in shown) for parent, keys in found.items()}


def _rooted(parents: Mapping[str, str]) -> set[str]:
    """Keys from which the way up ends."""
    fine: set[str] = set()
    for key in parents:
        way: dict[str, None] = {}
        at = key
        while at in parents and at not in fine and at not in way:
            way[at] = None
            at = parents[at]
        if at not in way:
            fine.update(way)
    return fine
