"""The record of what a server's disk holds of a talk, and what is said of it. Pure.

Invariants: a record names no address and holds no word of the talk; one that cannot be read is as
if it were not there, since it only ever saved time.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final, Protocol

import msgspec

from chinwag.providers.base import Request
from chinwag.talk.entry import AssistantSaid
from chinwag.talk.session import Session

_LEAST: Final = 0.1  # of what was read back: less reused means that restoring does nothing


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a file on a llama.cpp server. Sizes in bytes, times ISO 8601 (UTC).

    ``address`` and ``server`` are fingerprints: of where it is, and of model file, build, window
    and template ("" where the server does not say). ``prefix`` is that of the first ``messages``
    messages with system prompt and tools; ``covered`` the newest entry among them. ``cached`` is
    what the first answer after the newest restore reused, None before that.
    """

    session: str
    provider: str
    model: str
    address: str
    server: str
    slot: int
    file: str
    covered: int
    messages: int
    prefix: str
    tokens: int
    bytes: int = 0
    at: str = ""
    cached: int | None = None
    format: int = 1

    @property
    def useless(self) -> bool:
        """Whether restoring it was tried, and the server read everything anew all the same."""
        return self.cached is not None and is_useless(self.cached, self.tokens)


class Kept(Protocol):
    """Where records are kept, one for each session. Blocks."""

    def load(self, session_id: str) -> bytes:
        """What is there; b"" where nothing is, or nothing that can be read."""
        ...

    def keep(self, session_id: str, data: bytes) -> None:
        """Raises StoreError's family."""
        ...

    def drop(self, session_id: str) -> None:
        """Raises StoreError's family."""
        ...


class InMemory:
    """For talks that are kept nowhere else either."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}

    def load(self, session_id: str) -> bytes:
        return self._records.get(session_id, b"")

    def keep(self, session_id: str, data: bytes) -> None:
        self._records[session_id] = data

    def drop(self, session_id: str) -> None:
        self._records.pop(session_id, None)


_SNAPSHOT: Final = msgspec.json.Decoder(Snapshot)


def decoded(data: bytes) -> Snapshot | None:
    try:
        return _SNAPSHOT.decode(data) if data else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # it only ever saved time


def left_behind(data: bytes) -> str:
    """What a server still has of a session whose record this was; "" where it is no record."""
    snapshot = decoded(data)
    return stays(snapshot, "delete it there") if snapshot is not None else ""


def offered(data: bytes) -> str:
    """What is said when the session of this record is opened; "" where it would not help."""
    snapshot = decoded(data)
    if snapshot is None or snapshot.useless:
        return ""
    return (
        f"what {snapshot.provider} had read of this talk was saved ({snapshot.tokens:,} tokens): "
        "/warm restore reads it back"
    )


def is_useless(cached: int, tokens: int) -> bool:
    """Whether so little of what was read back was reused that it must have been read anew."""
    return cached < tokens * _LEAST


def prefix_of(request: Request, messages: int) -> str:
    """A digest of what a model reads first: system prompt, tools and so many messages."""
    head = {
        "model": request.model,
        "system": request.system,
        "thinking": request.options.reasoning,
        "tools": msgspec.to_builtins(request.tools),
        "messages": msgspec.to_builtins(request.messages[:messages]),
    }
    return digest(json.dumps(head, sort_keys=True))  # half surrogate pairs are no obstacle


def digest(*texts: str) -> str:
    """16 hexadecimal digits of SHA-256 over ``texts``, each apart."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:16]


def stays(snapshot: Snapshot, why: str) -> str:
    return f"{snapshot.provider} still has the file {snapshot.file}, which holds the talk: {why}"


def resumed(answer: AssistantSaid, cached: int, snapshot: Snapshot) -> str:
    anew = max(0, (answer.usage.input or 0) - cached)
    first = f", first word after {answer.first:,.1f} s" if answer.first else ""
    reused = f"{min(cached, snapshot.tokens):,} of {snapshot.tokens:,} tokens reused"
    return f"resumed: {reused}, {anew:,} read anew{first}"


def in_vain(cached: int, snapshot: Snapshot) -> str:
    return (
        f"the server said it had read {snapshot.tokens:,} tokens back, but reused {cached:,}: "
        f"for {snapshot.model} on this server it does nothing"
    )


def about(snapshot: Snapshot, session: Session) -> list[tuple[str, str]]:
    since = len(session) - snapshot.covered
    size = f", {snapshot.bytes / 1e6:,.1f} MB" if snapshot.bytes else ""
    own = "" if snapshot.session == session.id else ", of the session this is a copy of"
    rows = [
        ("saved", f"{snapshot.at[:16].replace('T', ' ')} UTC{own}"),
        ("it holds", f"{snapshot.tokens:,} tokens{size}, up to #{snapshot.covered}"),
        ("said since", f"{max(0, since):,} entries"),
        ("on the server", f"slot {snapshot.slot}, file {snapshot.file}"),
    ]
    if snapshot.cached is not None:
        told = f"{snapshot.cached:,} of {snapshot.tokens:,} tokens reused"
        rows.append(("last restore", told))
    return rows
