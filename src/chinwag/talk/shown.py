"""What of a session the next request shows the model: a pure view over an immutable record.

Invariants: oldest first; a tool call is never parted from its results (an answer that calls, and
what its calls gave back, are shown or left out together); what is pinned is shown whatever was
compacted or pruned; what is excluded is not. A view costs what it shows, not what there is: where
messages are marked or hidden, the view of the session before is gone on with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from chinwag.talk.entry import AssistantSaid, Spoken, ToolReturned, UserSaid
from chinwag.talk.scope import Scope
from chinwag.talk.session import Session

Placed = tuple[int, Spoken]
"""Position and what was said there."""


def shown(session: Session) -> list[Placed]:
    """What is sent, oldest first, with positions."""
    scope = session.scope
    if not _is_marked(scope):
        return session.said(after=scope.start)
    return list(_view(session, scope).placed)


class _View(msgspec.Struct, frozen=True):
    """What is shown at ``head``, the node at place ``depth`` of its path; ``open`` says whether a
    result that comes next belongs to something shown."""

    scope: Scope
    depth: int
    head: int
    placed: list[Placed]
    tokens: int
    open: bool


def _is_marked(scope: Scope) -> bool:
    return bool(scope.pinned or scope.excluded or scope.hidden)


def _view(session: Session, scope: Scope) -> _View:
    found = session.remembered
    if not isinstance(found, _View) or not _is_before(found, session):
        view = _looked(session, scope)
    elif found.scope is scope:
        view = _gone_on(found, session)
    elif _only_hides(found.scope, scope):
        before = _gone_on(found, session)
        view = _made(session, scope, list(units_of(before.placed)), is_open=before.open)
    else:
        view = _looked(session, scope)
    session.remember(view)
    return view


def _only_hides(before: Scope, scope: Scope) -> bool:
    """Whether nothing but more hidden messages parts the two."""
    same = msgspec.structs.replace(before, hidden=scope.hidden) == scope
    return same and before.hidden <= scope.hidden


def _is_before(view: _View, session: Session) -> bool:
    path = session.path
    return 0 < view.depth <= len(path) and path[view.depth - 1] == view.head


def _looked(session: Session, scope: Scope) -> _View:
    """Everything since the last cut is looked at."""
    old = sorted(n for n in scope.pinned if scope.cleared < n <= scope.start)
    recent = session.said(after=scope.start)
    units = [unit for n in old if (unit := _unit_of(session, n))] + list(units_of(recent))
    return _made(session, scope, units, is_open=True)


def _made(session: Session, scope: Scope, units: list[list[Placed]], *, is_open: bool) -> _View:
    kept = [unit for unit in units if not scope.leaves_out([n for n, _ in unit])]
    placed = [each for unit in kept for each in unit]
    is_open = is_open and (not units or (bool(kept) and kept[-1] is units[-1]))
    tokens = sum(entry.tokens for _, entry in placed)
    return _View(scope, len(session.path), session.head, placed, tokens, is_open)


def _gone_on(view: _View, session: Session) -> _View:
    """The view after what was said since: a mark speaks of what was there before it."""
    path, is_open = session.path, view.open
    fresh: list[Placed] = []
    for at in range(view.depth, len(path)):
        entry = session.entry(path[at])
        if isinstance(entry, UserSaid | AssistantSaid | ToolReturned):
            is_open = is_open or not isinstance(entry, ToolReturned)
            if is_open:
                fresh.append((path[at], entry))
    tokens = view.tokens + sum(entry.tokens for _, entry in fresh)
    placed = [*view.placed, *fresh] if fresh else view.placed
    return _View(view.scope, len(path), session.head, placed, tokens, is_open)


def held_by_pins(session: Session) -> frozenset[int]:
    """Positions that stay because they, or what belongs with them, are pinned."""
    units = (_unit_of(session, n) for n in session.scope.pinned)
    return frozenset(n for unit in units for n, _ in unit)


def units_of(said: Sequence[Placed]) -> Iterator[list[Placed]]:
    """What belongs together: an answer that calls with the results of its calls; else one each."""
    unit: list[Placed] = []
    for placed in said:
        if unit and not isinstance(placed[1], ToolReturned):
            yield unit
            unit = []
        unit.append(placed)
    if unit:
        yield unit


def _unit_of(session: Session, n: int) -> list[Placed]:
    """The unit that holds position ``n``; empty where nothing was said there on this branch."""
    if not 1 <= n <= len(session) or not _is_on_path(session, n):
        return []
    first = n
    while isinstance(session.entry(first), ToolReturned) and session.parent(first) > 0:
        first = session.parent(first)
    unit: list[Placed] = []
    for at in session.path_from(first):
        entry = session.entry(at)
        if at != first and not isinstance(entry, ToolReturned):
            break
        if isinstance(entry, UserSaid | AssistantSaid | ToolReturned):
            unit.append((at, entry))
    return unit


def _is_on_path(session: Session, n: int) -> bool:
    return next(iter(session.path_from(n)), 0) == n


def tokens_shown(session: Session) -> int:
    """Tokens of what is shown, as counted when it was said. O(1) where nothing is marked."""
    scope = session.scope
    if _is_marked(scope):
        return _view(session, scope).tokens
    before = session.node_at(scope.through) if scope.through > scope.cleared else 0
    return session.tally.tokens - session.tally_at(before).tokens
