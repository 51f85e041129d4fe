"""Two windows on one session: being asked for it, asking for it, reading along.

Invariants. While we write a session that others may open, they can ask for it; while we follow one,
what its writer settles and hears is told as it happens. Both follow from what is in front and are
never set by hand (`mind`). The door is shut before the lock is let go, so that the next writer's
door is its own. Nothing here blocks; the news come from another thread by way of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from chinwag.engine.promises import Keeper
from chinwag.engine.shelf import Shelf
from chinwag.errors import ChinwagError
from chinwag.stores.base import Answer, News, Reply
from chinwag.talk.delta import AnyDelta, TextDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid
from chinwag.talk.event import Choice, Ear, Following, Heard, Level, Notice, Offered, Rested
from chinwag.threads import beside

AFTER_ANSWER = 1.0  # seconds in which a lock that was let go is there to be taken


class Door(Protocol):
    """Where we can be asked for a session."""

    def open(self) -> bool: ...

    def close(self) -> None: ...


class Watch(Protocol):
    """Tells the news of a session until it is stopped."""

    @property
    def session_id(self) -> str: ...

    def stop(self) -> None: ...


class Meeting(Protocol):
    """How windows of one person meet; wiring knows."""

    def door(self, path: Path, asked: Callable[[str], Awaitable[str]]) -> Door: ...

    def watch(self, session_id: str, after: int, tell: Callable[[News], None]) -> Watch:
        """``tell`` is called on the loop."""
        ...

    def place(self, session_id: str) -> Path:
        """Where programs of this machine meet about a session whose store names no place."""
        ...

    async def ask(self, path: Path) -> Answer: ...

    async def can_be_asked(self, path: Path) -> Reply: ...


class Windows:
    """Keeps the door and the watch in step with the conversation; see the module."""

    def __init__(self, talk: Shelf, keeper: Keeper, meeting: Meeting) -> None:
        self._talk = talk
        self._keeper = keeper
        self._meeting = meeting
        self._hear: Ear = _deaf
        self._door: Door | None = None
        self._door_for = ""
        self._watch: Watch | None = None
        self._heard: list[str] = []  # of the answer that is coming in to the one we follow
        self._part = ""
        self._left_alone = False
        self._tasks: set[asyncio.Future[Any]] = set()

    def begin(self, hear: Ear) -> None:
        """From now on what happens beside the lines is told to ``hear``."""
        self._hear = hear
        self.mind()

    def mind(self) -> None:
        """Something may have changed: another session in front, or who writes it."""
        if self._hear is _deaf:
            return
        name = self._talk.session.id
        wanted = name if self._talk.writes else ""
        if wanted != self._door_for:
            self._shut()
            self._door_for = wanted
            if wanted:
                beside(self._tasks, self._open(wanted))
        self._mind_watch(name if self._talk.following else "")

    def _mind_watch(self, wanted: str) -> None:
        if (self._watch.session_id if self._watch else "") == wanted:
            return
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self._heard, self._part, self._left_alone = [], "", False
        if wanted:
            self._watch = self._meeting.watch(wanted, len(self._talk.session), self._news)

    def close(self) -> None:
        """Nobody is told anything any more."""
        self._hear = _deaf
        self._shut()
        self._mind_watch("")
        for task in tuple(self._tasks):
            task.cancel()

    # -- being asked --------------------------------------------------------------------------

    async def _open(self, session_id: str) -> None:
        path = await self._path(session_id)  # after the append that takes the lock
        if path is None or self._door_for != session_id or self._door is not None:
            return
        self._door = door = self._meeting.door(path, self._asked)
        door.open()

    async def _path(self, session_id: str) -> Path | None:
        try:
            path, lasting = await self._keeper.call(lambda s: (s.meeting(session_id), s.lasting))
            return path or (self._meeting.place(session_id) if lasting else None)
        except (ChinwagError, RuntimeError):  # no such session; or it is all over
            return None

    def _shut(self) -> None:
        if self._door is not None:
            self._door.close()
        self._door, self._door_for = None, ""

    async def _asked(self, who: str) -> str:
        """Another window wants the session; "" when it has it now, else why not."""
        session_id = self._door_for
        if not session_id:
            return "it is being let go"
        self._shut()
        why = await self._talk.give_up(session_id, who, self._hear)
        if not why:
            text = f"this session is written elsewhere now: {who}; you read along"
            self._hear(Notice(text, Level.WARNING))
        self.mind()
        return why

    # -- asking -------------------------------------------------------------------------------

    async def take_over(self, hear: Ear) -> Answer:
        """Ask whoever writes the session that is followed to let us; `Reply.LET_GO`: we do now."""
        if await self._talk.write_here(hear):
            return Answer(Reply.LET_GO)
        path = await self._path(self._talk.session.id)
        answer = await self._meeting.ask(path) if path else Answer(Reply.AWAY)
        if answer.reply is Reply.LET_GO and not await self._talk.write_here(hear, AFTER_ANSWER):
            return Answer(Reply.SILENT)
        return answer

    async def offer(self, hear: Ear, title: str = "") -> None:
        """Say what can be done about a session that is open elsewhere."""
        path = await self._path(self._talk.session.id)
        reply = await self._meeting.can_be_asked(path) if path else Reply.AWAY
        if owner := self._talk.following:
            hear(Offered(title or f"open elsewhere: {owner}", choices(reply)))

    # -- reading along ------------------------------------------------------------------------

    def _news(self, news: News) -> None:
        talk = self._talk
        if not talk.following or self._watch is None or news.session_id != talk.session.id:
            return
        if news.begun_anew or news.after > len(talk.session):
            beside(self._tasks, self._read_again())
            return
        # An answer may have been settled between the look at its pieces and the one at the entries.
        over = any(entry.id == news.part for entry in news.entries)
        if over:
            self._overhear(news.part, news.deltas)
        for n, entry in enumerate(news.entries, news.after):
            self._tell_rest(entry)
            talk.overhear(n, (entry,), self._hear)
        if not over:
            self._overhear(news.part, news.deltas)
        self._mind_holder(news.holder)

    async def _read_again(self) -> None:
        try:
            await self._talk.see_again(self._hear)
        except ChinwagError:
            return  # deleted, or in the middle of something: the next look tells
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self.mind()

    def _tell_rest(self, entry: AnyEntry) -> None:
        """Of an answer whose pieces were not all overheard, the rest as one more piece."""
        if not isinstance(entry, AssistantSaid):
            return
        heard = "".join(self._heard) if entry.id == self._part else ""
        if entry.text.startswith(heard) and len(entry.text) > len(heard):
            self._hear(Heard(TextDelta(entry.text[len(heard) :])))
        self._heard, self._part = [], ""

    def _overhear(self, part: str, deltas: tuple[AnyDelta, ...]) -> None:
        if part != self._part:
            if self._heard and not part:
                self._hear(Rested())  # the answer that was coming in came to nothing
            self._heard, self._part = [], part
        for delta in deltas:
            if isinstance(delta, TextDelta):
                self._heard.append(delta.text)
            self._hear(Heard(delta))

    def _mind_holder(self, holder: str) -> None:
        if holder and (self._left_alone or holder != self._talk.following):
            self._talk.following = holder
            self._hear(Following(self._talk.session.id, holder))
        elif not holder and not self._left_alone:
            self._hear(Following(self._talk.session.id, ""))
            self._hear(Notice("nobody writes this session any more: what you say now is said here"))
        self._left_alone = not holder


def choices(reply: Reply) -> tuple[Choice, ...]:
    """What there is to choose from, given how a holder would answer."""
    follow = Choice("read along", "", "read only; what is said there appears here")
    fork = Choice("go on in a copy", "/fork", "a session of its own from here on")
    match reply:
        case Reply.STOPPED:
            return (fork, Choice(follow.label, "", "it is stopped: nothing comes, nobody answers"))
        case Reply.AWAY:
            return (follow, fork)
        case _:
            take = Choice("take it over", "/takeover", "it is asked to let go, and reads along")
            return (follow, fork, take)


def _deaf(_: object) -> None:
    """Before anybody listens."""
