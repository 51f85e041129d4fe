"""Putting conversations that were read into a store. Blocking, as stores are.

Invariants: an imported session is marked so, and its id ends in its mark's hash: importing it again
finds it. What grew since is added to it; what was gone on with here is never written over. All or
nothing of one conversation is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from chinwag.stores.base import SessionStore
from chinwag.stores.importing.base import Talk, short
from chinwag.talk import codec
from chinwag.talk.entry import AnyEntry, now
from chinwag.talk.session import Birth, Header, Session, fold_all, new_session_id


class Came(StrEnum):
    """What became of a conversation that was to be imported."""

    NEW = "imported"
    GROWN = "updated"
    THERE = "already imported"
    BOTH_CHANGED = "changed here and there"


class Kept(msgspec.Struct, frozen=True):
    """``header`` is the session's line in the list, ``added`` how many entries were written."""

    came: Came
    header: Header
    added: int = 0


class Importer:
    """Imports into one store; knows what is there, so that each conversation costs only itself.

    With ``again`` a conversation that was imported before comes beside what became of it.
    """

    def __init__(self, store: SessionStore, *, again: bool = False) -> None:
        self._store, self._again = store, again
        self._there = {h.id.rpartition("-")[2]: h.id for h in store.headers()}

    def keep(self, talk: Talk) -> Kept:
        """Write it. Raises StoreError's family, having written nothing of it."""
        ending = short(f"{talk.form}:{talk.mark}")
        earlier = "" if self._again else self._there.get(ending, "")
        if earlier:
            return _met(self._store, earlier, talk)
        created = talk.created or now()
        stamp = _stamp(created)
        fresh = new_session_id(stamp) if self._again else f"{stamp:%Y%m%d-%H%M%S}-{ending}"
        birth = Birth(id=fresh, created=created, imported=talk.form)
        kept = _written(self._store, birth, (), talk.entries, Came.NEW)
        self._there[ending] = fresh
        return kept


def _stamp(created: str) -> datetime:
    try:
        return datetime.fromisoformat(created).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)


def _met(store: SessionStore, earlier: str, talk: Talk) -> Kept:
    """An earlier import of the same conversation is there."""
    stored = store.read(earlier)
    there, here = _lines(stored.entries), _lines(talk.entries)
    common = min(len(there), len(here))
    if there[:common] != here[:common]:
        return Kept(Came.BOTH_CHANGED, store.header(earlier))
    if len(here) <= len(there):
        return Kept(Came.THERE, store.header(earlier))
    return _written(store, stored.birth, stored.entries, talk.entries[common:], Came.GROWN)


def _lines(entries: Sequence[AnyEntry]) -> list[bytes]:
    return [codec.encode(entry, n) for n, entry in enumerate(entries, 1)]


def _written(
    store: SessionStore,
    birth: Birth,
    before: Sequence[AnyEntry],
    more: Sequence[AnyEntry],
    came: Came,
) -> Kept:
    headline = fold_all(Session(birth), (*before, *more)).headline()
    was_ours = not store.holder(birth.id)
    try:
        store.append(birth, tuple(more), at=len(before), headline=headline)
    finally:
        if was_ours:
            store.unlock(birth.id)
    return Kept(came, store.header(birth.id), len(more))
