"""What a store of sessions promises, whichever medium it uses.

Invariants, for every backend (tests/contracts/store.py holds each to them):

* `append` returns only when the entries are as safe as the medium can make them: an
  acknowledgement is never false. It writes all of its entries or none that can be read back.
* `at` is how many entries the writer believes are there. If it is wrong the store raises
  `SessionConflict` and changes nothing.
* What cannot be read is never treated as absent or empty, and never overwritten.
* Values go in and come out as immutable data: changing what was passed changes nothing stored.
* A store is used from one thread at a time (the saver's); it blocks, it never waits on a loop.

Errors are of `StoreError`'s family, each with a sentence saying what to do.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import Self, TypeAlias

import msgspec

from chinwag.errors import SessionConflict, SessionNotFound, nearest
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid
from chinwag.talk.session import Birth, Header, Headline, slug

TRASH_DAYS = 30
POLL = 0.1  # seconds between two looks of a store that is not told of changes


class Stored(msgspec.Struct, frozen=True):
    """What `read` gives back.

    ``rescued`` is an answer that was streaming when the program died, marked interrupted; its
    place is after the last entry. ``notices`` are sentences for the person (a torn tail cut, a
    damaged copy kept).
    """

    birth: Birth
    entries: tuple[AnyEntry, ...]
    rescued: AssistantSaid | None = None
    notices: tuple[str, ...] = ()


class PartHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """First line of a part: the answer that is coming in, to be entry ``n`` with id ``id``."""

    n: int
    id: str
    at: str
    provider: str = ""
    model: str = ""


class Trashed(msgspec.Struct, frozen=True):
    """A deleted session that can still be brought back: `header` as it was, ``at`` in UTC."""

    header: Header
    at: str


class Reply(StrEnum):
    """What came of asking whoever writes a session to let it go."""

    LET_GO = "let go"
    KEPT = "kept"  # it answered no
    STOPPED = "stopped"  # it is there but does not run
    AWAY = "away"  # nobody answers here: another machine, or a program that cannot be asked
    SILENT = "silent"  # it runs and did not answer in time


class Answer(msgspec.Struct, frozen=True):
    """``why`` is a part of a sentence, for people."""

    reply: Reply
    why: str = ""


class News(msgspec.Struct, frozen=True):
    """What is new about a session that somebody else writes.

    ``entries`` follow the first ``after``. ``part`` is the id of the answer that is coming in, ""
    when none is, and ``deltas`` are its new pieces. ``holder`` is who writes now, "" for nobody.
    ``begun_anew``: fewer entries are there than were told of; it has to be read again.
    """

    session_id: str
    after: int
    entries: tuple[AnyEntry, ...] = ()
    part: str = ""
    deltas: tuple[AnyDelta, ...] = ()
    holder: str = ""
    begun_anew: bool = False


class SessionStore(ABC):
    """Sessions by id. Blocking; see the module's promise."""

    #: What `/store` and the footer call it: a URL without credentials.
    url: str = ""
    #: False for a store that forgets when the program ends.
    lasting: bool = True

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the person about this store itself, to be shown once.

        May connect: ask for them in the saver's thread.
        """
        return ()

    @abstractmethod
    def append(
        self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
    ) -> int:
        """Write ``entries`` as numbers at+1…; at=0 creates the session. Returns the new count.

        Raises SessionConflict (changed meanwhile, or exists already when at=0), StoreUnavailable
        (full, read-only, gone), SessionUnreadable.
        """

    @abstractmethod
    def read(self, session_id: str) -> Stored:
        """The whole session. Raises SessionNotFound, SessionUnreadable, StoreUnavailable."""

    @abstractmethod
    def header(self, session_id: str) -> Header:
        """One session's line in the list, cheaply. Raises SessionNotFound."""

    @abstractmethod
    def headers(self) -> list[Header]:
        """Every session, last used first, damaged ones included and marked."""

    def span(
        self, session_id: str, after: int, upto: int | None = None
    ) -> tuple[tuple[AnyEntry, ...], int]:
        """Entries after+1 to ``upto`` (None: the newest), and how many there are in all.

        Touches no more than it must: the end of a session of a million entries is as near as its
        beginning. Never mends, never takes a lock: another program may be writing meanwhile.
        """
        entries = self.read(session_id).entries
        return entries[max(0, after) : upto], len(entries)

    def wait(self, session_id: str, after: int, seconds: float) -> bool:
        """Block until there are more than ``after`` entries, or for ``seconds``; whether there are.

        A store that can only look again and again must be asked in its own thread, and for short
        times; one that is told may be asked from any (its class says so).
        """
        deadline = time.monotonic() + seconds
        while self.span(session_id, after, after)[1] <= after:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL, left))
        return True

    def overheard(
        self,
        session_id: str,  # noqa: ARG002 - a store that cannot tell
        since: int,  # noqa: ARG002
    ) -> tuple[PartHead, tuple[AnyDelta, ...]] | None:
        """The answer that comes in for whoever writes: its head, and its deltas but ``since``.

        None when none does, or where this store does not let others listen. Never writes.
        """
        return None

    def writers(self) -> list[tuple[str, str]]:
        """(session, who) for each that another program writes now, where the store can list them.

        ``who`` is as `holder` says it.
        """
        return []

    def meeting(self, session_id: str) -> Path | None:  # noqa: ARG002
        """Where programs of this machine may meet about the session's lock; None: nowhere."""
        return None

    @abstractmethod
    def delete(self, session_id: str) -> None:
        """Put the session in the trash, kept for TRASH_DAYS. Raises SessionNotFound."""

    @abstractmethod
    def trashed(self) -> list[Trashed]:
        """What was deleted and is still kept, newest first."""

    @abstractmethod
    def restore(self, session_id: str) -> None:
        """Bring a deleted session back, the newest of that id.

        Raises SessionNotFound, SessionConflict where a session of that id is there.
        """

    @abstractmethod
    def erase(self, session_id: str) -> None:
        """Remove the session for good, whatever lies beside it and its deleted forms included.

        Harmless when none of it is there. Raises SessionLocked where somebody else writes it.
        """

    @abstractmethod
    def prune(self, days: float = TRASH_DAYS) -> int:
        """Let go of what has lain in the trash longer than ``days``; returns how many sessions."""

    @abstractmethod
    def holder(self, session_id: str) -> str:
        """Who writes the session now, as part of a sentence (pid, host, terminal, since); "" if
        nobody does, or we do. At most 200 ms."""

    @abstractmethod
    def put_blob(self, data: bytes) -> str:
        """Keep ``data`` (an attachment, a tool's output) under its SHA-256; returns that, in hex.

        As safe as an entry when it returns. Keeping the same twice costs nothing.
        """

    @abstractmethod
    def blob(self, digest: str) -> bytes:
        """What was kept. Raises SessionNotFound, SessionUnreadable (its hash is another now)."""

    @abstractmethod
    def lock(self, session_id: str) -> None:
        """Become the one writer. Raises SessionLocked naming who holds it. Idempotent."""

    @abstractmethod
    def unlock(self, session_id: str) -> None:
        """Let others write. Harmless when not locked."""

    @abstractmethod
    def begin_part(self, session_id: str, head: PartHead) -> None:
        """An answer starts to come in. Replaces a part that is there."""

    @abstractmethod
    def add_part(self, session_id: str, deltas: Sequence[AnyDelta], *, sync: bool) -> None:
        """More of it; ``sync`` asks that it be on stable storage when this returns."""

    @abstractmethod
    def end_part(self, session_id: str) -> None:
        """The answer was settled (or dropped): the part is no longer needed. Harmless if none."""

    def close(self) -> None:  # noqa: B027 - a store without anything open has nothing to do
        """Let go of files, locks and connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SavedReport(msgspec.Struct, frozen=True):
    """Entries up to and including ``through`` are safe."""

    session_id: str
    through: int


class FailedReport(msgspec.Struct, frozen=True):
    """``waiting`` entries are kept in memory, since the store cannot take them now."""

    session_id: str
    reason: str
    hint: str
    waiting: int


class ConflictReport(msgspec.Struct, frozen=True):
    """``entries`` will not be saved under this id: somebody else has it, or has changed it."""

    session_id: str
    entries: tuple[AnyEntry, ...]
    message: str


Report: TypeAlias = SavedReport | FailedReport | ConflictReport


def conflict(session_id: str, expected: int, found: int) -> SessionConflict:
    """Whoever comes second to a place is told so, by every store alike."""
    return SessionConflict(
        f"the session {session_id} was changed by something else: "
        f"{expected} entries were expected, {found} are there",
        hint="nothing is lost: go on in a copy, or open the session anew",
        expected=expected,
        found=found,
    )


def _apart(found: Sequence[Header], wanted: str) -> Iterator[str]:
    """What each is called to be told from the others: by its id where the name is not enough."""
    names = [header.name for header in found]
    for header in found:
        shared = names.count(header.name) > 1 or header.id.startswith(wanted)
        yield header.id if shared else header.name


_LAST_USED = attrgetter("headline.updated", "id")


def last_used_first(found: list[Header]) -> list[Header]:
    """``found`` sorted as every list shows it.

    A time that is still to come, or is no time, was written under a clock that was wrong or by
    another hand: it comes last, for it says nothing of when the session was used.
    """
    found = sorted(found, key=_LAST_USED, reverse=True)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    doubtful = next((n for n, h in enumerate(found) if h.headline.updated < tomorrow), 0)
    return found[doubtful:] + found[:doubtful] if doubtful else found


def resolve(name: str, headers: Iterable[Header]) -> Header:
    """The session somebody means by ``name``: an id, a title, its slug, or a unique prefix of one.

    Several of one title: the one used last. Raises SessionNotFound with near names; an ambiguous
    prefix is not guessed at.
    """
    pool = list(headers)
    wanted = name.strip()
    key = slug(wanted)
    for match in (
        lambda h: h.id == wanted,
        lambda h: h.headline.title.lower() == wanted.lower() != "",
        lambda h: slug(h.headline.title) == key != "",
    ):
        if found := [h for h in pool if match(h)]:
            return last_used_first(found)[0]
    starts = [h for h in pool if h.id.startswith(wanted) or (key and h.name.startswith(key))]
    if len(starts) == 1:
        return starts[0]
    near = tuple(_apart(starts[:5], wanted)) or nearest(key, (h.name for h in pool))
    why = "is the beginning of several" if starts else "is not there"
    raise SessionNotFound(
        f"the session {name!r} {why}",
        hint=f"did you mean {', '.join(near)}?" if near else "chat sessions list shows them all",
        near=near,
    )
