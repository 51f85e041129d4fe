"""What of a branch still counts: since which clear, past which compaction, with which marks.

Invariants: a scope is a value shared by all nodes between which nothing about it changed, so it
costs a word a node, and going back in the talk brings back the scope of that time. Positions in it
are positions of the branch; a file may name others, which are then of no effect.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from chinwag.talk.entry import AnyEntry, Cleared, Compacted, Hidden, Mark, Marked


class Scope(msgspec.Struct, frozen=True):
    """``cleared`` and ``compacted`` are the nodes of the newest of their kind (0 = none);
    ``through`` is the last position the compaction leaves out."""

    cleared: int = 0
    compacted: int = 0
    through: int = 0
    pinned: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()

    @property
    def start(self) -> int:
        """What lies at or before this position is not sent, unless it is pinned."""
        return max(self.cleared, self.through)

    def leaves_out(self, ns: Collection[int]) -> bool:
        """Whether the messages ``ns``, which are sent together or not at all, are not sent.

        What a person wants of one of them is done to all: excluding goes before pinning, and
        pinning before what a policy has hidden.
        """
        if not self.excluded.isdisjoint(ns):
            return True
        return not self.hidden.isdisjoint(ns) and self.pinned.isdisjoint(ns)


WHOLE = Scope()


def scoped(before: Scope, n: int, entry: AnyEntry) -> Scope:
    """The scope after the node ``entry`` at position ``n``."""
    match entry:
        case Cleared():
            return Scope(cleared=n)
        case Compacted(through=through):
            # It can only hide what came before it, and never less than was hidden already.
            last = max(before.through, min(through, n))
            left = frozenset(of for of in before.hidden if of > last)  # the rest is hidden anyway
            return msgspec.structs.replace(before, compacted=n, through=last, hidden=left)
        case Hidden(ns=ns):
            gone = (of for of in ns if of < n)  # nothing is left out before it was said
            return msgspec.structs.replace(before, hidden=before.hidden.union(gone))
        case Marked(of=of, mark=mark) if of < n:
            return _marked(before, of, mark)
        case _:
            return before


def _marked(before: Scope, of: int, mark: Mark) -> Scope:
    one = frozenset((of,))
    return msgspec.structs.replace(
        before,
        pinned=before.pinned | one if mark is Mark.PIN else before.pinned - one,
        excluded=before.excluded | one if mark is Mark.EXCLUDE else before.excluded - one,
        hidden=before.hidden - one if mark is Mark.PIN else before.hidden,
    )
