"""Our own document, as `/export json`, `/save PATH` and the file store write it. Pure.

Invariants: entries come back as they were, ids and all; a damaged document gives what can be read
and says how much that is. The session is a copy: it gets an id of its own, so that it never meets
the original.
"""

from __future__ import annotations

import msgspec

from chinwag.errors import SessionUnreadable
from chinwag.stores import document as doc
from chinwag.stores.importing.base import Talk, Unreadable, short
from chinwag.talk.entry import AnyEntry, Unknown

FORM = "chinwag"


def read(raw: bytes, session_id: str) -> Talk:
    """Raises Unreadable. ``session_id`` is what the document says it is."""
    try:
        document = doc.parse(raw, session_id or "in it")
    except SessionUnreadable as error:
        raise Unreadable(error.message) from None
    mark = f"{FORM}:{session_id or short(raw[:4096].decode('utf-8', 'replace'), 20)}"
    entries = tuple(_with_id(e, n, mark) for n, e in enumerate(document.entries, 1))
    damaged = document.shape is doc.Shape.DAMAGED
    losses = ("the document is damaged: what could be read of it was taken",) if damaged else ()
    return Talk(FORM, mark, entries, document.birth.created, losses)


def _with_id(entry: AnyEntry, n: int, mark: str) -> AnyEntry:
    if isinstance(entry, Unknown):
        return Unknown(raw={k: v for k, v in entry.raw.items() if k != "n"})
    if entry.id:
        return entry
    return msgspec.structs.replace(entry, id=short(f"{mark}\n{n}"))
