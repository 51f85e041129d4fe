"""What of a session the next request shows the model: a pure view over an immutable record.

Invariants: oldest first; a tool call is never parted from its results (an answer that calls, and
what its calls gave back, are shown or left out together); what is pinned is shown whatever was
compacted or pruned; what is excluded is not. A view costs what it shows, not what there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chinwag.talk.entry import AssistantSaid, Spoken, ToolReturned, UserSaid
from chinwag.talk.session import Session

Placed = tuple[int, Spoken]
"""Position and what was said there."""


def shown(session: Session) -> list[Placed]:
    """What is sent, oldest first, with positions."""
    scope = session.scope
    recent = session.said(after=scope.start)
    if not (scope.pinned or scope.excluded or scope.hidden):
        return recent
    old = sorted(n for n in scope.pinned if scope.cleared < n <= scope.start)
    units = [*(_unit_of(session, n) for n in old), *units_of(recent)]
    kept = (unit for unit in units if unit and not any(scope.leaves_out(n) for n, _ in unit))
    return [placed for unit in kept for placed in unit]


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
    if scope.pinned or scope.excluded or scope.hidden:
        return sum(entry.tokens for _, entry in shown(session))
    before = session.node_at(scope.through) if scope.through > scope.cleared else 0
    return session.tally.tokens - session.tally_at(before).tokens
