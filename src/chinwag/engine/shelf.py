"""Which session is in front of the person: beginning, opening, following, forking, leaving.

Invariants. A session is written by one program at a time: whoever has its lock. Another one that
opens it *follows*: it sees what comes and changes nothing. A lock is let go only when all of the
session that was said here is safe, and never of the session that is in front and written here.
What was said in a session that somebody else has changed goes on in a fork; it is never dropped,
also where the person has gone on to another session meanwhile. The session in front changes in one
step: nothing can be said between the old and the new one.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import msgspec

from chinwag.engine.promises import Keeper
from chinwag.engine.request import unanswered
from chinwag.errors import ChinwagError, SessionLocked, SessionNotFound, UsageError
from chinwag.stores.base import Stored
from chinwag.talk.entry import AnyEntry, Titled
from chinwag.talk.event import Ear, Following, Level, Notice, Opened, Settled
from chinwag.talk.session import Birth, Header, Session, begin, fold, fold_all, glimpse

LONG = 5_000  # entries from which on the end of a session is shown before all of it is read
GLIMPSE = 200  # entries
LET_GO_WITHIN = 0.8  # seconds for the answer that comes in to end and be saved, when asked to go
HINT = "go on in a copy of it (--fork, or /fork), or leave it there first"


class _Left(msgspec.Struct, frozen=True):
    """A session that was in front, of which the keeper was given ``kept`` entries."""

    session: Session
    kept: int


class Shelf(ABC):
    """What a conversation knows of sessions. ``settle`` alone changes the one in front."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.session: Session = begin()
        #: Who writes the session in front, where we only follow it; "" where we write.
        self.following = ""
        #: Whether a session that somebody else writes is followed when it is opened, or refused.
        self.may_follow = False
        self._on_disk = 0  # entries handed to the keeper; 0 = the session is not born there
        self._yielding = False  # the lock is being let go
        self._left: dict[str, _Left] = {}  # not all of it is safe yet: still locked
        self._forked: set[str] = set()  # sessions whose words went on in a fork
        self._hidden = ("", 0)  # what was kept of which session before the talk became private

    # -- what a conversation adds -------------------------------------------------------------

    @property
    @abstractmethod
    def busy(self) -> bool: ...

    @abstractmethod
    def interrupt(self) -> bool: ...

    @abstractmethod
    def settle(self, entry: AnyEntry, hear: Ear) -> int: ...

    @abstractmethod
    def hand_over(self) -> None: ...

    @abstractmethod
    def _stamped(self, entry: AnyEntry) -> AnyEntry: ...

    @abstractmethod
    def _empty(self, title: str) -> Session:
        """A new session as it is shown first: with the model that answers now."""

    @abstractmethod
    def _changed(self) -> None:
        """Another session is in front."""

    # -- in front -----------------------------------------------------------------------------

    @property
    def private(self) -> bool:
        """Whether what is said now is kept in memory alone."""
        return self._keeper.private

    @property
    def writes(self) -> bool:
        """Whether the session in front is kept, and by us: its lock is ours, or will be."""
        return bool(self._on_disk) and not self.following

    async def headers(self) -> list[Header]:
        """Every kept session, last used first."""
        return await self._keeper.call(lambda store: store.headers())

    async def kept(self) -> list[Header]:
        """The same, in a private talk too, which has none of its own."""
        return await self._keeper.look(lambda store: store.headers())

    async def store_notices(self) -> tuple[str, ...]:
        """What the store says of itself, once it was reached. Raises StoreUnavailable."""
        return await self._keeper.call(lambda store: store.notices)

    async def begin(self, hear: Ear, title: str = "") -> None:
        """A new, empty session in front of the person; the old one stays where it is kept."""
        left = self._put(self._empty(title), 0)
        hear(Opened(self.session))
        await self._let_go(left)

    async def is_kept(self, session_id: str) -> bool:
        """Whether a session of that id is kept already."""
        try:
            await self._keeper.call(lambda store: store.header(session_id))
        except SessionNotFound:
            return False
        return True

    async def begin_from(self, session: Session, hear: Ear) -> None:
        """``session``, which is kept nowhere yet, in front of the person; kept from now on."""
        left = self._put(session, 0)
        hear(Opened(self.session))
        if session.tally.messages:
            self.hand_over()
        await self._let_go(left)

    def _put(self, session: Session, kept: int) -> _Left:
        """Another session in front, of which the keeper has ``kept`` entries; what was before."""
        left = _Left(self.session, self._on_disk)
        self.session, self._on_disk, self.following = session, kept, ""
        self._changed()
        return left

    async def open(self, session_id: str, hear: Ear) -> None:
        """Another session in front of the person. Raises StoreError's family, changing nothing.

        One that somebody else writes is followed, or where we may not refused: SessionLocked.
        """
        if session_id == self.session.id and (self._on_disk or self.following):
            hear(Opened(self.session))
            return
        if (left := self._left.pop(session_id, None)) is not None:  # its lock is still ours
            before = self._put(left.session, left.kept)
            hear(Opened(self.session))
            await self._let_go(before)
            return
        left, followed = _Left(self.session, self._on_disk), self.following
        try:
            await self._glimpse(session_id, hear)
            stored, session = await self._keeper.call(lambda store: _whole(store, session_id))
        except SessionLocked as locked:
            if not self.may_follow:
                raise SessionLocked(locked.message, hint=HINT, owner=locked.owner) from None
            await self._follow(session_id, locked.owner, hear)
        except ChinwagError:
            if self.session is not left.session:  # the end that was shown is nothing to go on with
                self._put(left.session, left.kept)
                self.following = followed
                hear(Opened(self.session))
            raise
        else:
            self._adopt(stored, hear, session)
            await self._let_go(left)

    async def _glimpse(self, session_id: str, hear: Ear) -> None:
        """Show the end of a long session at once: reading all of it takes a while."""
        end = await self._keeper.call(lambda store: _locked_end(store, session_id))
        if end is not None:
            self._put(end, 0)
            hear(Opened(end))

    def _adopt(self, stored: Stored, hear: Ear, session: Session | None = None) -> _Left:
        """Show what was read; an answer a crash had cut is settled as interrupted."""
        left = self._put(session or _session(stored), len(stored.entries))
        self._keeper.opened(self.session.id, self._on_disk)
        hear(Opened(self.session))
        self._report(stored, hear)
        return left

    def _report(self, stored: Stored, hear: Ear) -> None:
        for notice in stored.notices:
            hear(Notice(notice, Level.WARNING))
        if stored.rescued is not None:
            self.settle(stored.rescued, hear)
            self._keeper.part_end(self.session.id)
        if not self.session.birth.imported and (names := unanswered(self.session)):
            text = f"no result of {', '.join(names)} was kept: if it ran, it was cut off"
            hear(Notice(f"{text} - /continue lets the model go on", Level.WARNING))

    async def _let_go(self, left: _Left) -> None:
        """Others may write the session we leave, as soon as all that we said there is safe."""
        name = left.session.id
        if not left.kept or name == self.session.id:
            return
        if self._keeper.saved_through(name) < left.kept:
            self._left[name] = left
            return
        await self._unlock(name)

    def may_go(self, session_id: str, through: int) -> bool:
        """Whether a session that was left is safe now that ``through`` entries of it are."""
        left = self._left.get(session_id)
        return left is not None and through >= left.kept

    async def release(self, session_id: str) -> None:
        """Let go of a session that was left; see `may_go`."""
        if self._left.pop(session_id, None) is not None and session_id != self.session.id:
            await self._unlock(session_id)

    async def _unlock(self, session_id: str) -> None:
        await self._keeper.call(lambda store: store.unlock(session_id))

    # -- two windows --------------------------------------------------------------------------

    async def _follow(self, session_id: str, owner: str, hear: Ear) -> None:
        """Show a session that ``owner`` writes, as it is now."""
        hear(Following(session_id, owner))  # before it is read: a long one takes its time
        stored = await self._keeper.call(lambda store: store.read(session_id))
        left = self._put(_session(stored), 0)
        self.following = owner
        hear(Opened(self.session))
        hear(Notice(f"this session is open elsewhere: {owner}", Level.WARNING))
        await self._let_go(left)

    def overhear(self, after: int, entries: Iterable[AnyEntry], hear: Ear) -> None:
        """What the one we follow has settled, to be numbers after+1…; what is known is left out."""
        for n, entry in enumerate(entries, after + 1):
            if self.following and n == len(self.session) + 1:
                self._see(entry, hear)

    def _see(self, entry: AnyEntry, hear: Ear) -> None:
        self.session = fold(self.session, entry)
        hear(Settled(len(self.session), entry, self.session))

    async def see_again(self, hear: Ear) -> None:
        """Read the session that is followed anew: what was there has been changed."""
        session_id, owner = self.session.id, self.following
        stored = await self._keeper.call(lambda store: store.read(session_id))
        if self.following and self.session.id == session_id:
            self._put(_session(stored), 0)
            self.following = owner
            hear(Opened(self.session))

    async def write_here(self, hear: Ear, patience: float = 0.0) -> bool:
        """Become the writer of the session that is followed.

        False where somebody else still is after ``patience`` seconds.
        """
        session_id, until = self.session.id, time.monotonic() + patience
        while self.following:
            if self._yielding:
                return False
            try:
                stored = await self._keeper.call(lambda store: _locked_read(store, session_id))
            except SessionLocked as locked:
                self.following = locked.owner or self.following
                if time.monotonic() >= until:
                    return False
                await asyncio.sleep(0.02)
            else:
                self._take(stored, hear)
        return True

    def _take(self, stored: Stored, hear: Ear) -> None:
        known = len(self.session)
        if _goes_on(stored, self.session):
            for entry in stored.entries[known:]:
                self._see(entry, hear)
            self.following, self._on_disk = "", len(self.session)
            self._keeper.opened(self.session.id, self._on_disk)
            hear(Following(self.session.id, ""))
            self._report(stored, hear)
        else:
            self._adopt(stored, hear)

    async def give_up(self, session_id: str, who: str, hear: Ear) -> str:
        """Let ``who`` write the session that is in front here, and follow it from now on.

        The answer that is coming in is ended, and everything is safe before. Returns why not, ""
        when the session was let go.
        """
        if session_id != self.session.id or not self.writes:
            return "it is not written here"
        self.following, self._yielding = who, True  # nothing new is begun here
        try:
            rests = await self._at_rest(session_id)
            if self.session.id != session_id:  # the person has gone elsewhere meanwhile
                rests = rests and session_id not in self._left
            elif rests:
                self._on_disk = 0
                hear(Following(session_id, who))
            else:
                self.following = ""
            if rests:
                await self._unlock(session_id)
        finally:
            self._yielding = False
        return "" if rests else "not everything that was said there is saved yet"

    async def _at_rest(self, name: str) -> bool:
        """Whether, in a short time, no answer comes in any more and everything is safe."""
        until = time.monotonic() + LET_GO_WITHIN
        while self.busy:
            self.interrupt()
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.01)
        kept = self._on_disk
        return await self._keeper.safe(name, kept, max(0.05, until - time.monotonic()))

    # -- copies -------------------------------------------------------------------------------

    async def fork(self, hear: Ear, title: str = "") -> None:
        """A copy with a life of its own; the parent stays as it is, and where it is written."""
        old = self.session
        if not old.tally.messages:
            raise UsageError("there is nothing to fork yet", hint="type a message first")
        left = self._put(self._copied(old, title or f"{old.title} (fork)"), 0)
        hear(Opened(self.session))
        self.hand_over()
        await self._let_go(left)

    async def fork_of(self, session_id: str, hear: Ear, title: str = "") -> None:
        """A copy of a kept session in front, whoever writes that one."""
        stored = await self._keeper.call(lambda store: store.read(session_id))
        old = _session(stored)
        if stored.rescued is not None:
            old = fold(old, stored.rescued)
        left = self._put(self._copied(old, title or f"{old.title} (fork)"), 0)
        hear(Opened(self.session))
        self.hand_over()
        await self._let_go(left)

    async def borrow(self, session_id: str, hear: Ear) -> None:
        """A kept session in front of a private talk: it is read, and what is said from here on is
        in a copy that is kept nowhere."""
        stored = await self._keeper.look(lambda store: store.read(session_id))
        old = _session(stored)
        if stored.rescued is not None:
            old = fold(old, stored.rescued)
        self._put(self._copied(old, old.title), 0)
        hear(Opened(self.session))
        self.hand_over()

    def copied(self, title: str = "") -> Session:
        """A copy of the session in front, with an id of its own, kept nowhere yet."""
        return self._copied(self.session, title or f"{self.session.title} (fork)")

    def _copied(self, old: Session, title: str) -> Session:
        fresh = begin(parent=old.id, parent_at=len(old), imported=old.birth.imported)
        return fold_all(fresh, [*old.entries, self._stamped(Titled(title=title))])

    async def conflicted(self, lost: str, hear: Ear) -> None:
        """Somebody else wrote session ``lost``: our words go on in a fork, nothing is lost.

        What had been handed over before the fork may be refused piece by piece: all of it is there.
        """
        left = self._left.pop(lost, None)
        if lost == self.session.id and self._on_disk:
            self._go_on_in_a_fork(hear)
        elif left is not None:
            self._keep_a_fork(left.session, hear)
        elif lost not in self._forked:
            hear(Notice(f"session {lost} was changed by another program", Level.WARNING))
            return
        self._forked.add(lost)
        self._keeper.forget(lost)
        self._keeper.part_end(lost)
        if lost != self.session.id:
            await self._unlock(lost)

    def _go_on_in_a_fork(self, hear: Ear) -> None:
        old = self.session
        self._put(self._copied(old, f"{old.title} (conflict)"), 0)
        hear(Opened(self.session))
        # Behind it: a screen draws another session from its beginning, without what was told.
        text = "another program changed or removed this session: all you have goes on in a fork"
        hear(Notice(text, Level.WARNING))
        self.hand_over()

    def _keep_a_fork(self, old: Session, hear: Ear) -> None:
        fork = self._copied(old, f"{old.title} (conflict)")
        self._keeper.append(fork.birth, tuple(fork.entries), 0, fork.headline())
        text = f"another program changed {old.title!r}: what you said there is in {fork.title!r}"
        hear(Notice(text, Level.WARNING))

    # -- taking away, and leaving no trace ----------------------------------------------------

    async def delete(self, session_id: str, hear: Ear) -> None:
        """Take a session away; deleting the open one leaves a new one in front."""
        if session_id != self.session.id or self.following:
            await self._keeper.call(lambda store: store.delete(session_id))
            return
        if not self._on_disk:
            raise SessionNotFound("this session is not saved yet: there is nothing to delete")
        self._put(begin(), 0)
        await self._keeper.call(lambda store: store.delete(session_id))  # unlocks it as well
        hear(Opened(self.session))

    async def go_private(self) -> bool:
        """From now on nothing is written. Whether something of this session is written already."""
        if self.private:
            return bool(self._hidden[1]) and self._hidden[0] == self.session.id
        written, following = self._on_disk, self.following
        if written:
            await self._unlock(self.session.id)
        self._keeper.hide()
        self._hidden = self.session.id, written
        self._on_disk = self._keeper.saved_through(self.session.id)  # it may have been so before
        return bool(written) and not following

    async def erase_written(self) -> bool:
        """Remove for good what was written of this session before it was private; if any was."""
        name, written = self._hidden
        if not written or name != self.session.id:
            return False
        await self._keeper.erase(name)
        self._hidden = (name, 0)
        return True

    def go_lasting(self) -> None:
        """From now on everything is written, this session from its beginning on."""
        name, written = self._hidden
        self._keeper.reveal()
        self._on_disk = written if name == self.session.id else 0
        self._hidden = ("", 0)


def _session(stored: Stored) -> Session:
    return fold_all(Session(stored.birth), stored.entries)


def _goes_on(stored: Stored, session: Session) -> bool:
    """Whether what was read begins with what is known already."""
    known = len(session)
    if len(stored.entries) < known or stored.birth != session.birth:
        return False
    return not known or stored.entries[known - 1] == session.entries[known - 1]


def _locked_end(store: Any, session_id: str) -> Session | None:
    """The end of a long session, which is then locked; None for a short one, or a damaged."""
    store.lock(session_id)
    try:
        header: Header = store.header(session_id)
        if header.entries < LONG or header.damaged:
            return None
        entries, count = store.span(session_id, header.entries - GLIMPSE)
    except ChinwagError:
        return None  # whoever reads it next says what is wrong
    birth = Birth(id=session_id, created=header.created)
    return glimpse(birth, header.headline, entries, count - len(entries))


def _whole(store: Any, session_id: str) -> tuple[Stored, Session]:
    """Read and folded, both in the keeper's thread: the loop has keys to read meanwhile."""
    stored = _locked_read(store, session_id)
    return stored, _session(stored)


def _locked_read(store: Any, session_id: str) -> Stored:
    store.lock(session_id)
    try:
        stored: Stored = store.read(session_id)
    except ChinwagError:
        store.unlock(session_id)
        raise
    return stored
