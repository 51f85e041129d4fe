"""Attachments in Redis: by their SHA-256, each once, whichever session speaks of it.

Invariants: what is given out is what was kept, or it is said that it is not; where things expire,
an attachment lives as long as the sessions that speak of it.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from chinwag.errors import SessionNotFound, SessionUnreadable
from chinwag.stores import redis_scripts as at_once

if TYPE_CHECKING:
    from chinwag.stores.redis_link import Link


_DIGEST = re.compile(r"[0-9a-f]{64}")
_SPOKEN_OF = re.compile(rb'"blob":"([0-9a-f]{64})"')


class _SpokenOf(msgspec.Struct, eq=False):
    """Attachments that a session's entries name, and when their time was last renewed."""

    digests: set[str] = msgspec.field(default_factory=set)
    renewed: float = float("-inf")


class Blobs:
    """``ttl`` in seconds; 0: nothing expires."""

    def __init__(self, link: Callable[[], Link], ttl: int) -> None:
        self._link = link
        self._ttl = ttl
        self._spoken: dict[str, _SpokenOf] = {}

    def put(self, data: bytes) -> str:
        """Keep it; its digest."""
        link, digest = self._link(), hashlib.sha256(data).hexdigest()
        where = at_once.blob(digest)
        if not data or link.run("STRLEN", where) != len(data):
            link.run("SET", where, data, heavy=len(data))
        if self._ttl:
            link.run("EXPIRE", where, self._ttl)
        return digest

    def get(self, digest: str) -> bytes:
        """What was kept. Raises SessionNotFound, SessionUnreadable."""
        data = None
        if _DIGEST.fullmatch(digest):
            data = self._link().run("GET", at_once.blob(digest))
        if data is None:
            raise SessionNotFound(f"no attachment {digest!r} is kept")
        if hashlib.sha256(data).hexdigest() != digest:
            raise SessionUnreadable(f"the attachment {digest} is not what was kept")
        return bytes(data)

    def keep(self, session_id: str, lines: Iterable[bytes]) -> None:
        """With a TTL: attachments that a living session speaks of live on with it."""
        if not self._ttl:
            return
        spoken = self._spoken.setdefault(session_id, _SpokenOf())
        new = {found.decode() for line in lines for found in _SPOKEN_OF.findall(line)}
        new -= spoken.digests
        spoken.digests |= new
        due = time.monotonic() - spoken.renewed > min(3600, self._ttl / 4)
        if due:
            spoken.renewed = time.monotonic()
        renewed = spoken.digests if due else new
        self._link().many([("EXPIRE", at_once.blob(name), self._ttl) for name in renewed])

    def forget(self, session_id: str) -> None:
        """The session is gone."""
        self._spoken.pop(session_id, None)
