"""Sessions that end with the program: `memory:`.

Invariant: bytes are kept, not the objects that came in, so that nobody can change what was stored
by changing what was passed; and each reader gets objects of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chinwag.errors import SessionConflict, SessionNotFound, UsageError, nearest
from chinwag.stores import document as doc
from chinwag.stores.base import PartHead, SessionStore, Stored
from chinwag.talk import codec
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Header, Headline


class _Kept(msgspec.Struct, eq=False):
    birth: Birth
    headline: Headline
    lines: list[bytes] = []


class MemoryStore(SessionStore):
    url = "memory:"
    lasting = False

    def __init__(self) -> None:
        self._sessions: dict[str, _Kept] = {}
        self._parts: dict[str, bytearray] = {}

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
        part = doc.read_part(bytes(self._parts.get(session_id, b"")))
        rescued = doc.rescued(*part, {e.id for e in entries}) if part else None
        return Stored(kept.birth, entries, rescued)

    def header(self, session_id: str) -> Header:
        kept = self._kept(session_id)
        size = sum(map(len, kept.lines))
        return Header(session_id, kept.birth.created, kept.headline, len(kept.lines), size)

    def headers(self) -> list[Header]:
        found = [self.header(session_id) for session_id in self._sessions]
        return sorted(found, key=lambda h: (h.headline.updated, h.id), reverse=True)

    def delete(self, session_id: str) -> None:
        self._kept(session_id)
        del self._sessions[session_id]
        self._parts.pop(session_id, None)

    def lock(self, session_id: str) -> None:
        """Nobody else can reach this store."""

    def unlock(self, session_id: str) -> None:
        """See lock."""

    def begin_part(self, session_id: str, head: PartHead) -> None:
        self._parts[session_id] = bytearray(doc.part_head(head))

    def add_part(
        self,
        session_id: str,
        deltas: Sequence[AnyDelta],
        *,
        sync: bool,  # noqa: ARG002 - nothing in memory can be made any safer
    ) -> None:
        if session_id not in self._parts:
            raise UsageError(f"no answer is coming in for session {session_id}")
        self._parts[session_id] += doc.part_lines(deltas)

    def end_part(self, session_id: str) -> None:
        self._parts.pop(session_id, None)

    def _kept(self, session_id: str) -> _Kept:
        kept = self._sessions.get(session_id)
        if kept is None:
            near = nearest(session_id, self._sessions)
            raise SessionNotFound(f"the session {session_id} is not there", near=near)
        return kept
