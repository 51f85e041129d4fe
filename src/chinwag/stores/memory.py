"""Sessions that end with the program: `memory:`.

Invariant: bytes are kept, not the objects that came in, so that nobody can change what was stored
by changing what was passed; and each reader gets objects of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from chinwag.errors import (
    SessionConflict,
    SessionNotFound,
    SessionUnreadable,
    UsageError,
)
from chinwag.stores import part_form
from chinwag.stores.base import (
    TRASH_DAYS,
    PartHead,
    SessionStore,
    Stored,
    Trashed,
    last_used_first,
)
from chinwag.stores.names import not_there
from chinwag.talk import codec
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Header, Headline


class _Kept(msgspec.Struct, eq=False):
    birth: Birth
    headline: Headline
    lines: list[bytes] = []


class _Deleted(msgspec.Struct, frozen=True):
    at: datetime
    kept: _Kept
    part: bytearray | None


class MemoryStore(SessionStore):
    url = "memory:"
    lasting = False

    def __init__(self) -> None:
        self._sessions: dict[str, _Kept] = {}
        self._parts: dict[str, bytearray] = {}
        self._trash: list[_Deleted] = []  # oldest first
        self._blobs: dict[str, bytes] = {}

    def append(
        self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
    ) -> int:
        kept = self._sessions.get(birth.id)
        found = len(kept.lines) if kept else 0
        if at != found or (kept and at == 0 and kept.birth != birth):
            raise SessionConflict(
                f"the session {birth.id} has {found} entries, not {at}", expected=at, found=found
            )
        lines = [codec.encode(entry, n) for n, entry in enumerate(entries, at + 1)]
        kept = kept or _Kept(birth, headline)
        kept.lines += lines
        kept.headline = headline
        self._sessions[birth.id] = kept
        return len(kept.lines)

    def read(self, session_id: str) -> Stored:
        kept = self._kept(session_id)
        entries = tuple(codec.decode(line)[1] for line in kept.lines)
        part = part_form.read_part(bytes(self._parts.get(session_id, b"")))
        rescued = part_form.rescued(*part, {e.id for e in entries}) if part else None
        return Stored(kept.birth, entries, rescued)

    def span(
        self, session_id: str, after: int, upto: int | None = None
    ) -> tuple[tuple[AnyEntry, ...], int]:
        lines = self._kept(session_id).lines
        return tuple(codec.decode(line)[1] for line in lines[max(0, after) : upto]), len(lines)

    def header(self, session_id: str) -> Header:
        return _header(self._kept(session_id))

    def headers(self) -> list[Header]:
        found = [_header(kept) for kept in self._sessions.values()]
        return last_used_first(found)

    # -- the trash, which ends with the program as well ----------------------------------------

    def delete(self, session_id: str) -> None:
        kept = self._kept(session_id)
        part = self._parts.pop(session_id, None)
        self._trash.append(_Deleted(datetime.now(UTC), kept, part))
        del self._sessions[session_id]

    def trashed(self) -> list[Trashed]:
        return [
            Trashed(_header(gone.kept), f"{gone.at:%Y-%m-%dT%H:%M:%SZ}")
            for gone in reversed(self._trash)
        ]

    def restore(self, session_id: str) -> None:
        gone = next((g for g in reversed(self._trash) if g.kept.birth.id == session_id), None)
        if gone is None:
            raise SessionNotFound(f"no session {session_id} is in the trash")
        if there := self._sessions.get(session_id):
            raise SessionConflict(
                f"there is a session {session_id} already",
                hint="delete that one first",
                found=len(there.lines),
            )
        self._trash.remove(gone)
        self._sessions[session_id] = gone.kept
        if gone.part is not None:
            self._parts[session_id] = gone.part

    def erase(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._parts.pop(session_id, None)
        self._trash = [gone for gone in self._trash if gone.kept.birth.id != session_id]

    def prune(self, days: float = TRASH_DAYS) -> int:
        oldest = datetime.now(UTC) - timedelta(days=days)
        before = len(self._trash)
        self._trash = [gone for gone in self._trash if gone.at > oldest]
        return before - len(self._trash)

    # -- blobs ----------------------------------------------------------------------------------

    def put_blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self._blobs[digest] = data
        return digest

    def blob(self, digest: str) -> bytes:
        data = self._blobs.get(digest)
        if data is None:
            raise SessionNotFound(f"no attachment {digest!r} is kept")
        if hashlib.sha256(data).hexdigest() != digest:
            raise SessionUnreadable(f"the attachment {digest} is not what was kept")
        return data

    # -- locks and parts ------------------------------------------------------------------------

    def holder(self, session_id: str) -> str:  # noqa: ARG002
        """Nobody: see lock."""
        return ""

    def lock(self, session_id: str) -> None:
        """Nobody else can reach this store."""

    def unlock(self, session_id: str) -> None:
        """See lock."""

    def begin_part(self, session_id: str, head: PartHead) -> None:
        self._parts[session_id] = bytearray(part_form.part_head(head))

    def add_part(
        self,
        session_id: str,
        deltas: Sequence[AnyDelta],
        *,
        sync: bool,  # noqa: ARG002 - nothing in memory can be made any safer
    ) -> None:
        if session_id not in self._parts:
            raise UsageError(f"no answer is coming in for session {session_id}")
        self._parts[session_id] += part_form.part_lines(deltas)

    def end_part(self, session_id: str) -> None:
        self._parts.pop(session_id, None)

    def overheard(
        self, session_id: str, since: int
    ) -> tuple[PartHead, tuple[AnyDelta, ...]] | None:
        return part_form.read_deltas(bytes(self._parts.get(session_id, b"")), since)

    def _kept(self, session_id: str) -> _Kept:
        kept = self._sessions.get(session_id)
        if kept is None:
            raise not_there(session_id, self._sessions)
        return kept


def _header(kept: _Kept) -> Header:
    size = sum(map(len, kept.lines))
    return Header(kept.birth.id, kept.birth.created, kept.headline, len(kept.lines), size)
